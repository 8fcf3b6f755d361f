using System.Globalization;
using System.Text.RegularExpressions;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Topics;

/// <summary>kafka-get-offsets: tells offsets of partitions.</summary>
internal static partial class GetOffsetsTool
{
    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        try
        {
            var options = JoptTool.Parse(context, "An interactive shell for getting topic-partition offsets.");
            options.Require("bootstrap-server");
            JoptTool.ValidateBootstrap(options.Value("bootstrap-server"));
            await PrintAsync(context, options);
            return 0;
        }
        catch (Exception e) when (e is JavaException or ToolException or OptionException)
        {
            var isOfKafka = e is JavaException { Class: var name } && name.StartsWith("org.apache", StringComparison.Ordinal);
            context.Error.WriteLine($"Error occurred: {(isOfKafka ? ((JavaException)e).Text : e.Message)}");
            return 1;
        }
    }

    private static async Task PrintAsync(ToolContext context, ParsedOptions options)
    {
        if (options.Has("topic-partitions") && (options.Has("topic") || options.Has("partitions")))
            throw new ToolException("--topic-partitions cannot be used with --topic or --partitions");
        var spec = SpecOf(options.Value("time") ?? "latest");
        var filters = options.Value("topic-partitions") is { } rules ? [.. rules.Split(',').Select(RuleOf)]
            : new List<Filter> { new(new TopicPattern(options.Value("topic") ?? ".*"), SetOf(options.Value("partitions"))) };
        await using var client = ToolClient.Open(
            options.Value("bootstrap-server"), commandConfig: options.Value("command-config"), clientId: "GetOffsetShell");
        var partitions = await PartitionsAsync(client, filters, includesInternal: !options.Has("exclude-internal-topics"));
        if (partitions.Count == 0)
            throw new ToolException("Could not match any topic-partitions with the specified filters");
        if (spec is not { } asked)
            return;
        var offsets = await client.CallAsync(
            "listOffsets", admin => admin.ListOffsetsAsync(partitions.ToDictionary(partition => partition, _ => asked)));
        foreach (var partition in partitions.OrderBy(partition => $"{partition.Topic}-{partition.Partition}", StringComparer.Ordinal))
        {
            var offset = offsets[partition];
            if (!offset.IsSuccess)
            {
                context.Error.WriteLine(
                    $"Skip getting offsets for topic-partition {partition.Topic}-{partition.Partition} due to error: "
                        + JavaErrors.Of(offset, "listOffsets").Text);
            }
            else if (offset.Value.Offset >= 0)
            {
                context.Output.WriteLine($"{partition.Topic}:{partition.Partition}:{offset.Value.Offset}");
            }
        }
    }

    private static async Task<IReadOnlyList<TopicPartition>> PartitionsAsync(ToolClient client, List<Filter> filters, bool includesInternal)
    {
        var topics = (await client.CallAsync("listTopics", admin => admin.ListTopicsAsync(includesInternal))).Select(topic => topic.Name)
            .Where(topic => filters.Any(filter => filter.Topic.Matches(topic, excludesInternal: false))).ToList();
        if (topics.Count == 0)
            return [];
        var partitions = new List<TopicPartition>();
        foreach (var topic in (await client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync(topics))).Values)
        {
            topic.ThrowIfFailed("describeTopics");
            partitions.AddRange(topic.Value.Partitions.Where(partition => filters.Any(
                filter => filter.Topic.Matches(topic.Value.Name, excludesInternal: false) && filter.Partition(partition.Index)))
                .Select(partition => new TopicPartition(topic.Value.Name, partition.Index)));
        }

        return partitions;
    }

    /// <summary>What to ask for; null for a time before 1970, at which Kafka finds nothing.</summary>
    private static OffsetSpec? SpecOf(string text) => text switch
    {
        "latest" or "-1" => OffsetSpec.Latest,
        "earliest" or "-2" => OffsetSpec.Earliest,
        "max-timestamp" or "-3" => OffsetSpec.MaxTimestamp,
        "earliest-local" or "-4" => OffsetSpec.EarliestLocal,
        "latest-tiered" or "-5" => OffsetSpec.LatestTiered,
        "earliest-pending-upload" or "-6" => OffsetSpec.EarliestPendingUpload,
        _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var timestamp) =>
            timestamp < 0 ? null : OffsetSpec.ForTimestamp(DateTimeOffset.FromUnixTimeMilliseconds(timestamp)),
        _ => throw new ToolException(
            $"Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 "
                + "or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"),
    };

    private static Func<int, bool> SetOf(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return _ => true;
        var partitions = text.Split(',').Select(
            each => int.TryParse(each, NumberStyles.None, CultureInfo.InvariantCulture, out var partition)
            ? partition
            : throw new ToolException(
                $"--partitions expects a comma separated list of numeric partition ids, but received: {text}")).ToHashSet();
        return partitions.Contains;
    }

    private static Filter RuleOf(string rule)
    {
        var match = Rule().Match(rule);
        if (!match.Success)
            throw new ToolException($"Invalid rule specification: {rule}");
        var topic = new TopicPattern(match.Groups[1].Length > 0 ? match.Groups[1].Value : ".*");
        if (match.Groups[2].Length > 0)
        {
            var only = int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture);
            return new Filter(topic, partition => partition == only);
        }

        var lower = match.Groups[3].Length > 0 ? int.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture) : 0;
        var upper = match.Groups[4].Length > 0 ? int.Parse(match.Groups[4].Value, CultureInfo.InvariantCulture) : int.MaxValue;
        return new Filter(topic, partition => partition >= lower && partition < upper);
    }

    [GeneratedRegex("^([^:,]*)(?::(?:([0-9]{0,9})|(?:([0-9]{0,9})-([0-9]{0,9}))))?\\z")]
    private static partial Regex Rule();

    private sealed record Filter(TopicPattern Topic, Func<int, bool> Partition);
}
