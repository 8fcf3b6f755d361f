using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla consume</c>: prints records.</summary>
internal static class ConsumeCommand
{
    private static readonly Argument<string[]> Topics = CommonOptions.Topics(mayBeNone: false);
    private static readonly Option<string?> Partition = CommonOptions.Text("--partition", "Only these partitions.", "N,...", "-p");
    private static readonly Option<string?> From = CommonOptions.Text(
        "--from", "Where to begin: start, end, an offset, a time (2026-01-31T12:00:00Z, -2h), or '-5' for the last 5 of each partition. "
            + "Default: start; with --group what it has committed.", "WHERE");

    private static readonly Option<int?> Max = CommonOptions.Number("--max", "End after so many records.", "-n");
    private static readonly Option<bool> Follow = CommonOptions.Flag(
        "--follow", "Go on and print what comes, until it is interrupted. Without it: end at what is the end now.", "-f");

    private static readonly Option<string?> Idle = CommonOptions.Text("--idle", "End when nothing came for so long.", "DURATION");
    private static readonly Option<string?> Group = CommonOptions.Text(
        "--group", "Read as a member of this group, and commit. It follows, unless --max or --idle ends it.", CommonOptions.GroupName,
            "-g");

    private static readonly Option<string?> Print = CommonOptions.Text(
        "--print", "How to print a record: %t topic, %p partition, %o offset, %k key, %v value, %h headers, %d time in ms, %D time, %e "
            + "leader epoch, %K %V lengths, %H number of headers, \\n and \\t. Default: '%v\\n'.", "PATTERN");

    private static readonly Option<bool> Key =
        CommonOptions.Flag("--key", "Print the key, a tab and the value: the same as --print '%k\\t%v\\n'.", "-k");
    private static readonly Option<string?> Grep =
        CommonOptions.Text("--grep", "Only records whose value matches this expression.", "REGEX");
    private static readonly Option<string?> Decode = NewDecode();
    private static readonly Option<bool> Committed = CommonOptions.Flag(
        "--committed", "Only records of transactions that are committed, and of none (isolation.level=read_committed).");

    public static Command Create() => new ClusterCommand(
        "consume", "Print records; with --format json an object for each, which 'ottla produce --input json' reads.",
        "consume orders --from -2h --print '%p:%o %k %v\\n'", RunAsync, Topics, Partition, From, Max, Follow, Idle, Group, Print, Key, Grep,
        Decode, Committed);

    private static Option<string?> NewDecode()
    {
        var decode = CommonOptions.Text(
            "--decode", "Print the records of an internal topic as JSON: offsets or groups (of __consumer_offsets), transactions or share.",
            "KIND");
        decode.AcceptOnlyFromAmong(RecordDecoding.Names);
        return decode;
    }

    private static async Task RunAsync(CommandContext context)
    {
        var decoding = context.Value(Decode) is { } kind ? RecordDecoding.Of(kind) : null;
        var format = context.Format switch
        {
            RowFormat.Yaml => RecordFormat.Yaml(decoding),
            RowFormat.Json => RecordFormat.Json(decoding),
            _ when decoding is not null => RecordFormat.Json(decoding),
            RowFormat.Tsv => RecordFormat.Of("%t\\t%p\\t%o\\t%d\\t%k\\t%v\\n"),
            _ => RecordFormat.Of(context.Value(Print) ?? (context.Value(Key) ? "%k\\t%v\\n" : "%v\\n")),
        };
        var printer = new RecordPrinter(format, Pattern(context.Value(Grep)), context.Bytes, context.Value(Max) ?? int.MaxValue);
        var idle = context.Value(Idle) is { } text ? (TimeSpan?)ConnectionOptions.Duration(text, "--idle") : null;
        var groupId = context.Value(Group);
        if (groupId is not null && context.Value(Partition) is not null)
            throw new ConfigException("--partition: the group says which partitions are read.");
        var topics = await TopicNames.ResolveAsync(context, context.Value(Topics)!);
        var partitions = await TopicNames.PartitionsAsync(context, topics);
        if (context.ExitCode != Commands.ExitCode.Success)
            return;
        await using var consumer = context.Cluster.Client.CreateConsumer<Ignored, Ignored>(OptionsOf(context, groupId));
        var reader = new RecordReader(consumer, printer, context.Bytes, context.Time, isMember: groupId is not null);
        try
        {
            if (groupId is not null)
            {
                consumer.Subscribe(topics);
                await reader.RunAsync([], follows: true, idle, context.Stopped);
                return;
            }

            if (context.Value(Partition) is { } some)
                partitions = Chosen(partitions, CommonOptions.Numbers(some, "--partition"));
            consumer.Assign(partitions);
            var starts = await StartsAsync(context, consumer, partitions);
            foreach (var (partition, offset) in starts)
                consumer.Seek(partition, offset);
            var ends = await consumer.EndOffsetsAsync(partitions, context.Stopped);
            await reader.RunAsync(
                ends.Where(end => starts[end.Key] < end.Value).ToDictionary(), context.Value(Follow), idle, context.Stopped);
        }
        finally
        {
            await context.Bytes.FlushAsync(CancellationToken.None);
            await consumer.CloseAsync();
        }
    }

    private static ConsumerOptions OptionsOf(CommandContext context, string? groupId)
    {
        var options = context.Cluster.Properties.Consumer with
        {
            GroupId = groupId,
            OffsetReset = OffsetReset.Earliest,
            ExcludeInternalTopics = false,
        };
        if (groupId is not null)
        {
            options = options with
            {
                OffsetReset = context.Value(From) switch
                {
                    null or "start" => OffsetReset.Earliest,
                    "end" => OffsetReset.Latest,
                    _ => throw new ConfigException(
                        "--from: with --group only start and end, for partitions that it has committed nothing of. 'ottla group reset' "
                            + "sets "
                            + "its offsets."),
                },
            };
        }

        return context.Value(Committed) ? options with { IsolationLevel = IsolationLevel.ReadCommitted } : options;
    }

    private static Regex? Pattern(string? text)
    {
        try
        {
            return text is null ? null : new Regex(text, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5));
        }
        catch (ArgumentException e)
        {
            throw new ConfigException($"--grep: {e.Message}");
        }
    }

    private static IReadOnlyList<TopicPartition> Chosen(IReadOnlyList<TopicPartition> partitions, IReadOnlyList<int> indexes)
    {
        foreach (var index in indexes)
        {
            if (partitions.All(partition => partition.Partition != index))
                throw new ConfigException($"--partition: there is no partition {index}.");
        }

        return [.. partitions.Where(partition => indexes.Contains(partition.Partition))];
    }

    private static async Task<IReadOnlyDictionary<TopicPartition, long>> StartsAsync(
        CommandContext context, Consumer<Ignored, Ignored> consumer, IReadOnlyList<TopicPartition> partitions)
    {
        var from = context.Value(From) ?? "start";
        var starts = await consumer.BeginningOffsetsAsync(partitions, context.Stopped);
        if (from is "start" or "earliest")
            return starts;
        var ends = await consumer.EndOffsetsAsync(partitions, context.Stopped);
        if (from is "end" or "latest")
            return ends;
        if (long.TryParse(from, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var offset))
        {
            return partitions.ToDictionary(
                each => each, each => Math.Clamp(offset < 0 ? ends[each] + offset : offset, starts[each], ends[each]));
        }

        var time = CommonOptions.Time(from, "--from", context.Time.GetUtcNow());
        var found = await consumer.OffsetsForTimesAsync(partitions.ToDictionary(each => each, _ => time), context.Stopped);
        return partitions.ToDictionary(each => each, each => found[each]?.Offset ?? ends[each]);
    }
}
