using System.Text.RegularExpressions;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>
/// kafka-streams-application-reset: has an application of Kafka Streams begin anew. It sets the offsets of its input topics and deletes
/// the topics that it has made for itself.
/// </summary>
internal sealed partial class StreamsResetTool
{
    private const string DefaultBootstrap = "localhost:9092";

    private static readonly string[] Scenarios =
        ["to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "from-file", "shift-by"];

    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;
    private readonly OffsetPlanner _planner;
    private readonly string _applicationId;

    private StreamsResetTool(ToolContext context, ParsedOptions options, ToolClient client)
    {
        (_context, _options, _client) = (context, options, client);
        _applicationId = options.Value("application-id")!;
        _planner = new OffsetPlanner(
            client,
            (_, offset, why, moved) => context.Output.WriteLine($"New offset ({offset}) is {why} offset. Value will be set to {moved}"),
            partition => context.Output.WriteLine(
                $"Partition {partition.Partition} from topic {partition.Topic} is empty, without a committed record. Falling back to "
                    + "latest known offset."));
    }

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = Parse(context);
        try
        {
            await using var client = ToolClient.Open(
                options.Value("bootstrap-server") ?? DefaultBootstrap,
                commandConfig: options.Value("command-config") ?? options.Value("config-file"));
            return await new StreamsResetTool(context, options, client).RunAsync();
        }
        catch (JavaException e)
        {
            await context.Output.FlushAsync();
            await context.Error.WriteLineAsync($"ERROR: {e.Text}");
            return 1;
        }
    }

    private static ParsedOptions Parse(ToolContext context)
    {
        try
        {
            var options = JoptTool.Parse(
                context, "This tool helps to process the input of a Kafka Streams application anew: it sets the offsets of its input "
                    + "topics and deletes its internal topics. Stop all instances of the application before.");
            if (!options.Has("application-id"))
                throw new UsageException("Missing required option(s) [application-id]");
            OldNames.Refuse(options, ("config-file", "command-config"));
            OldNames.Warn(
                options, context, "Option --{0} has been deprecated and will be removed in a future version. Use --{1} instead.",
                ("config-file", "command-config"));
            foreach (var scenario in Scenarios)
                options.Refuse(scenario, Scenarios.Where(other => other != scenario).ToArray());
            return options;
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }
    }

    private async Task<int> RunAsync()
    {
        await EnsureInactiveAsync();
        var topics = (await _client.CallAsync("listTopics", admin => admin.ListTopicsAsync())).Select(topic => topic.Name).ToHashSet();
        if (_options.Has("dry-run"))
            _context.Output.WriteLine("----Dry run displays the actions which will be performed when running Streams Reset Tool----");
        var areAllFound = await ResetAsync(topics);
        await DeleteInternalTopicsAsync(topics);
        return areAllFound ? 0 : 1;
    }

    private async Task EnsureInactiveAsync()
    {
        const string call = "describeConsumerGroups(api=CONSUMER_GROUP_DESCRIBE)";
        var group = (await _client.CallAsync(call, admin => admin.DescribeConsumerGroupsAsync([_applicationId])))[_applicationId];
        if (group.Error == ErrorCode.GroupIdNotFound)
            return;
        group.ThrowIfFailed(call);
        if (group.Value.Members.Count == 0)
            return;
        if (!_options.Has("force"))
        {
            var members = string.Join(", ", group.Value.Members.Select(member => member.MemberId));
            throw new JavaException(
                "java.lang.IllegalStateException",
                $"Consumer group '{_applicationId}' is still active and has following members: [{members}]. Make sure to stop all running "
                    + "application instances before running the reset tool. You can use option '--force' to remove active members from the "
                    + "group.");
        }

        _context.Output.WriteLine($"Force deleting all active members in the group: {_applicationId}");
        var removed = await _client.CallAsync("leaveGroup", admin => admin.RemoveMembersFromConsumerGroupAsync(_applicationId));
        foreach (var result in removed.Values.Where(result => result.Error != ErrorCode.UnknownMemberId))
            result.ThrowIfFailed("leaveGroup");
    }

    /// <summary>Sets offsets.</summary>
    /// <returns>Whether all topics that are named exist.</returns>
    private async Task<bool> ResetAsync(HashSet<string> topics)
    {
        var (inputs, intermediates) = (Listed("input-topics"), Listed("intermediate-topics"));
        var output = _context.Output;
        if (inputs.Count == 0 && intermediates.Count == 0)
        {
            output.WriteLine("No input or intermediate topics specified. Skipping seek.");
            return true;
        }

        if (inputs.Count > 0)
            output.WriteLine($"Reset-offsets for input topics [{string.Join(", ", inputs)}]");
        if (intermediates.Count > 0)
            output.WriteLine($"Seek-to-end for intermediate topics [{string.Join(", ", intermediates)}]");
        var areAllFound = TellMissing("input", "Topic: ", inputs, topics) & TellMissing("intermediate", "Topic:", intermediates, topics);
        inputs.RemoveAll(topic => !topics.Contains(topic));
        intermediates.RemoveAll(topic => !topics.Contains(topic) || inputs.Contains(topic));
        if (inputs.Count + intermediates.Count == 0)
            return areAllFound;

        var offsets = new Dictionary<TopicPartition, long>();
        if (inputs.Count > 0)
        {
            output.WriteLine($"Following input topics offsets will be reset to (for consumer group {_applicationId})");
            foreach (var (partition, offset) in await PlanAsync(await PartitionsAsync(inputs)))
            {
                offsets[partition] = offset;
                output.WriteLine($"Topic: {partition.Topic} Partition: {partition.Partition} Offset: {offset}");
            }
        }

        if (intermediates.Count > 0)
        {
            output.WriteLine($"Following intermediate topics offsets will be reset to end (for consumer group {_applicationId})");
            foreach (var (partition, offset) in await _planner.AtAsync(await PartitionsAsync(intermediates), OffsetSpec.Latest))
            {
                offsets[partition] = offset;
                output.WriteLine($"Topic: {partition.Topic}");
            }
        }

        if (!_options.Has("dry-run"))
            await CommitAsync(offsets);
        output.WriteLine("Done.");
        return areAllFound;
    }

    private bool TellMissing(string kind, string label, List<string> wanted, HashSet<string> topics)
    {
        var missing = wanted.Where(topic => !topics.Contains(topic)).ToList();
        if (missing.Count > 0)
            _context.Output.WriteLine($"Following {kind} topics are not found, skipping them");
        foreach (var topic in missing)
            _context.Output.WriteLine($"{label}{topic}");
        return missing.Count == 0;
    }

    private async Task<IReadOnlyList<TopicPartition>> PartitionsAsync(List<string> topics)
    {
        var partitions = new List<TopicPartition>();
        foreach (var (topic, described) in await TopicArguments.DescribeAsync(_client, topics))
        {
            if (!described.IsSuccess)
                throw TopicArguments.ErrorOf(described);
            partitions.AddRange(described.Value.Partitions.Select(partition => new TopicPartition(topic, partition.Index)));
        }

        return [.. JavaHashOrder.Of(partitions, JavaHashOrder.HashOf)];
    }

    private async Task<IEnumerable<(TopicPartition Partition, long Offset)>> PlanAsync(IReadOnlyList<TopicPartition> partitions)
    {
        var offsets = await OffsetsAsync(partitions);
        return partitions.Select(partition => (partition, offsets[partition]));
    }

    private async Task<IReadOnlyDictionary<TopicPartition, long>> OffsetsAsync(IReadOnlyList<TopicPartition> partitions)
    {
        if (_options.Long("to-offset") is { } wanted)
            return await _planner.WithinLogAsync(partitions.ToDictionary(partition => partition, _ => wanted));
        if (_options.Has("to-latest"))
            return await _planner.AtAsync(partitions, OffsetSpec.Latest);
        if (_options.Long("shift-by") is { } shift)
        {
            var current = await _planner.CurrentAsync(_applicationId, partitions);
            return await _planner.WithinLogAsync(current.ToDictionary(each => each.Key, each => each.Value + shift));
        }

        if (_options.Value("to-datetime") is { } time)
            return await _planner.AtTimeAsync(partitions, TimeArguments.ParseTime(time));
        if (_options.Value("by-duration") is { } duration)
            return await _planner.AtTimeAsync(partitions, TimeProvider.System.GetUtcNow() - TimeArguments.ParseDuration(duration));
        if (_options.Value("from-file") is { } file)
            return await FromFileAsync(file, partitions);
        return await _planner.AtAsync(partitions, OffsetSpec.Earliest);
    }

    private async Task<IReadOnlyDictionary<TopicPartition, long>> FromFileAsync(
        string file, IReadOnlyList<TopicPartition> partitions)
    {
        var planned = OffsetCsv.Parse(JsonFile.ReadText(file), [_applicationId]).GetValueOrDefault(_applicationId);
        return await _planner.WithinLogAsync(partitions.ToDictionary(
            partition => partition, partition => planned is not null && planned.TryGetValue(partition, out var offset)
                ? offset
                : throw JavaException.IllegalArgument($"{file} has no offset of partition {partition}, which is an input")));
    }

    private async Task CommitAsync(Dictionary<TopicPartition, long> offsets)
    {
        const string call = "alterConsumerGroupOffsets";
        var results = await _client.CallAsync(call, admin => admin.AlterConsumerGroupOffsetsAsync(
            _applicationId, [.. offsets.Select(each => new PartitionOffset(each.Key, new CommitOffset(each.Value)))]));
        foreach (var result in results.Values)
            result.ThrowIfFailed(call);
    }

    private async Task DeleteInternalTopicsAsync(HashSet<string> topics)
    {
        var named = Listed("internal-topics");
        var inferred = JavaHashOrder.Of(topics).Where(IsInternalTopic).ToList();
        if (named.Except(inferred).Any())
        {
            throw JavaException.IllegalArgument(
                "Invalid topic specified in the --internal-topics option. Ensure that the topics specified are all internal topics. Do a "
                    + "dry run without the --internal-topics option to see the list of all internal topics that can be deleted.");
        }

        var deleted = named.Count > 0 ? named : inferred;
        _context.Output.WriteLine(
            $"Deleting {(named.Count > 0 ? "specified" : "inferred")} internal topics [{string.Join(", ", deleted)}]");
        if (!_options.Has("dry-run") && deleted.Count > 0)
        {
            foreach (var result in (await _client.CallAsync("deleteTopics", admin => admin.DeleteTopicsAsync(deleted))).Values)
                result.ThrowIfFailed("deleteTopics");
        }

        _context.Output.WriteLine("Done.");
    }

    /// <summary>Whether a topic's name says that the application has made it for itself.</summary>
    private bool IsInternalTopic(string topic) => topic.StartsWith($"{_applicationId}-", StringComparison.Ordinal)
        && InternalTopicName().IsMatch(topic) && !Listed("input-topics").Contains(topic) && !Listed("intermediate-topics").Contains(topic);

    private List<string> Listed(string option) =>
        [.. _options.Values(option).SelectMany(value => value.Split(',', StringSplitOptions.RemoveEmptyEntries)).Distinct()];

    [GeneratedRegex("-changelog$|-repartition$|-subscription-registration-topic$|-subscription-response-topic$"
        + "|.-KTABLE-FK-JOIN-SUBSCRIPTION-(REGISTRATION|RESPONSE)-[0-9]+-topic$")]
    private static partial Regex InternalTopicName();
}
