using System.CommandLine;
using System.Text;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla produce</c>: sends records.</summary>
internal static class ProduceCommand
{
    private static readonly string[] Inputs = ["lines", "json"];

    private static readonly Argument<string> Topic = CommonOptions.Topic();
    private static readonly Option<string?> File =
        CommonOptions.Text("--file", "Read from this file. Default: standard input.", "FILE", "-i");
    private static readonly Option<string?> Input = NewInput();
    private static readonly Option<string?> KeySeparator = CommonOptions.Text(
        "--key-separator", "What is before this is the key, and the rest the value; \\t is a tab.", "TEXT", "-K");

    private static readonly Option<string?> Key = CommonOptions.Text("--key", "The key of all records.", "TEXT", "-k");
    private static readonly Option<string?> Value =
        CommonOptions.Text("--value", "Send one record with this value, and read nothing.", "TEXT", "-v");
    private static readonly Option<string[]> Headers =
        CommonOptions.Texts("--header", "A header of all records; may be repeated.", "NAME=VALUE", "-H");
    private static readonly Option<int?> Partition = CommonOptions.Number("--partition", "The partition. Default: by the key.", "-p");
    private static readonly Option<string?> Null =
        CommonOptions.Text("--null", "A value like this is null: it deletes the key in compacted topics.", "TEXT");
    private static readonly Option<string?> Compression =
        NewChoice("--compression", "none, gzip, snappy, lz4 or zstd.", "CODEC", ["none", "gzip", "snappy", "lz4", "zstd"], "-z");
    private static readonly Option<string?> AcksOption =
        NewChoice("--acks", "Who has to have a record: all, 1 (the leader) or 0. Default: all.", "ACKS", ["all", "1", "0"]);
    private static readonly Option<bool> Report =
        CommonOptions.Flag("--report", "Print where each record is: partition, offset, timestamp.");
    private static readonly Option<bool> AutoCreate =
        CommonOptions.Flag("--auto-create", "Have the cluster create the topic if it does so.");

    public static Command Create() => new ClusterCommand(
        "produce", "Send records: a line each, or an object of JSON each, as 'ottla consume --format json' prints them "
            + "({\"key\":\"a\",\"value\":\"b\",\"headers\":[{\"name\":\"n\",\"value\":\"v\"}]}).",
        "produce orders --key-separator : --file orders.txt", RunAsync, Topic, File, Input, KeySeparator, Key, Value, Headers, Partition,
            Null,
        Compression, AcksOption, Report, AutoCreate);

    private static async Task RunAsync(CommandContext context)
    {
        var topic = context.Value(Topic)!;
        if (context.Value(Compression) is { } codec)
            context.Properties["compression.type"] = codec;
        if (context.Value(AcksOption) is { } acks)
            context.Properties["acks"] = acks;
        if (context.Value(AutoCreate))
        {
            context.Properties["allow.auto.create.topics"] = "true";
        }
        else if ((await context.Admin.DescribeTopicsAsync([topic]))[topic] is { Error: ErrorCode.UnknownTopicOrPartition })
        {
            context.Fail($"There is no topic {topic}. 'ottla topic create {topic}' creates it.");
            return;
        }

        var headers = ConnectionOptions.Assignments(context.Value(Headers), "--header")
            .Select(each => new RecordHeader(each.Key, Encoding.UTF8.GetBytes(each.Value))).ToArray();
        await using var producer = Open(context);
        var sender = new RecordSender(context, producer, topic, context.Value(Partition), headers, context.Value(Report));
        try
        {
            await SendAsync(context, sender);
            await producer.FlushAsync(context.Stopped);
        }
        catch (OperationCanceledException) when (context.Stopped.IsCancellationRequested)
        {
            context.ExitWith(context.SignalExitCode);
        }

        sender.End();
    }

    private static Producer<ByteSlice, ByteSlice> Open(CommandContext context)
    {
        try
        {
            return context.Cluster.Client.CreateProducer(
                context.Cluster.Properties.Producer, ByteSlice.Serializer, ByteSlice.Serializer);
        }
        catch (ArgumentException e)
        {
            throw new ConfigException(e.Message);
        }
    }

    private static async Task SendAsync(CommandContext context, RecordSender sender)
    {
        var key = context.Value(Key) is { } text ? Encoding.UTF8.GetBytes(text) : null;
        var none = context.Value(Null) is { } mark ? Encoding.UTF8.GetBytes(mark) : null;
        if (context.Value(Value) is { } one)
        {
            var value = Encoding.UTF8.GetBytes(one);
            await sender.SendAsync(key, none is not null && value.AsSpan().SequenceEqual(none) ? null : (ReadOnlyMemory<byte>?)value);
            return;
        }

        var isJson = context.Value(Input) == "json";
        if (isJson && (context.Value(KeySeparator) ?? context.Value(Key) ?? context.Value(Null)) is not null)
            throw new ConfigException("With --input json the key and the value are in the objects.");
        var separator = context.Value(KeySeparator) is { } given ? Encoding.UTF8.GetBytes(Unescaped(given)) : null;
        if (separator is { Length: 0 } || (separator is not null && key is not null))
            throw new ConfigException("--key-separator must not be empty, and does not go together with --key.");
        await using var input = context.Value(File) is { } path and not "-"
            ? new FileInfo(path).OpenRead() : Console.OpenStandardInput();
        if (context.Value(File) is null && !Console.IsInputRedirected)
            context.Note("Each line is a record. Ctrl-D ends.");
        var lines = new LineReader(input);
        var number = 0L;
        while (await lines.ReadAsync(context.Stopped) is { } line)
        {
            number++;
            if (isJson)
            {
                if (!line.Span.Trim(" \t\r"u8).IsEmpty)
                    await sender.SendJsonAsync(line, number);
                continue;
            }

            var (lineKey, value) = (key is null ? (ReadOnlyMemory<byte>?)null : key, line);
            if (separator is not null)
            {
                var at = line.Span.IndexOf(separator);
                if (at < 0)
                    throw new ConfigException($"Line {number} has no key: '{context.Value(KeySeparator)}' is not in it.");
                (lineKey, value) = (line[..at], line[(at + separator.Length)..]);
            }

            await sender.SendAsync(lineKey, none is not null && value.Span.SequenceEqual(none) ? (ReadOnlyMemory<byte>?)null : value);
        }
    }

    private static string Unescaped(string text) =>
        text.Replace("\\t", "\t", StringComparison.Ordinal).Replace("\\\\", "\\", StringComparison.Ordinal);

    private static Option<string?> NewInput() => NewChoice("--input", "lines or json. Default: lines.", "INPUT", Inputs);

    private static Option<string?> NewChoice(string name, string description, string helpName, string[] choices, params string[] aliases)
    {
        var option = CommonOptions.Text(name, description, helpName, aliases);
        option.AcceptOnlyFromAmong(choices);
        return option;
    }
}
