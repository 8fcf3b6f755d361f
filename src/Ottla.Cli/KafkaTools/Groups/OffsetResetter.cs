using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Sets offsets of groups, as kafka-consumer-groups --reset-offsets does.</summary>
internal sealed class OffsetResetter(ToolContext context, ParsedOptions options, ToolClient client)
{
    private const string LogClass = "org.apache.kafka.tools.GroupOffsetsResetter";

    private readonly OffsetPlanner _planner = new(
        client,
        (partition, offset, why, moved) => context.Log(
            "WARN", $"New offset ({offset}) is {why} offset for topic partition {partition}. Value will be set to {moved}.", LogClass),
        partition => context.Output.WriteLine(
            $"\nWarn: Partition {partition.Partition} from topic {partition.Topic} is empty. Falling back to latest known offset."));

    /// <summary>Plans the new offsets of groups, sets them with <c>--execute</c>, and prints them.</summary>
    public async Task RunAsync(IReadOnlyList<string> groupIds)
    {
        var plan = new Dictionary<string, IReadOnlyDictionary<TopicPartition, long>>();
        var described = await client.CallAsync(
            "describeConsumerGroups(api=FIND_COORDINATOR)", admin => admin.DescribeConsumerGroupsAsync(groupIds.Distinct()));
        foreach (var groupId in JavaHashOrder.Of(groupIds))
        {
            var group = described[groupId];
            if (!group.IsSuccess && group.Error != ErrorCode.GroupIdNotFound)
                throw JavaErrors.Of(group, "describeConsumerGroups(api=FIND_COORDINATOR)").OfRuntime();
            if (group.IsSuccess && group.Value.State is not ("Empty" or "Dead"))
            {
                context.Output.WriteLine(
                    $"\nError: Assignments can only be reset if the group '{groupId}' is inactive, but the current state is "
                        + $"{group.Value.State}.");
                plan[groupId] = new Dictionary<TopicPartition, long>();
                continue;
            }

            plan[groupId] = await PlanAsync(groupId);
            if (options.Has("execute"))
                await ExecuteAsync(groupId, plan[groupId]);
        }

        if (options.Has("export"))
            Export(plan);
        else
            Print(plan);
    }

    private async Task ExecuteAsync(string groupId, IReadOnlyDictionary<TopicPartition, long> offsets)
    {
        var results = await client.CallAsync("alterConsumerGroupOffsets", admin => admin.AlterConsumerGroupOffsetsAsync(
            groupId, [.. offsets.Select(each => new PartitionOffset(each.Key, new CommitOffset(each.Value)))]));
        foreach (var result in results.Values)
            result.ThrowIfFailed("alterConsumerGroupOffsets");
    }

    private async Task<IReadOnlyDictionary<TopicPartition, long>> PlanAsync(string groupId)
    {
        var partitions = await PartitionsAsync(groupId);
        await CheckAsync(partitions);
        if (options.Has("to-offset"))
            return await _planner.WithinLogAsync(partitions.ToDictionary(partition => partition, _ => options.Long("to-offset")!.Value));
        if (options.Has("to-earliest"))
            return await _planner.AtAsync(partitions, OffsetSpec.Earliest);
        if (options.Has("to-latest"))
            return await _planner.AtAsync(partitions, OffsetSpec.Latest);
        if (options.Has("shift-by"))
            return await _planner.ShiftedAsync(groupId, partitions, options.Long("shift-by")!.Value);
        if (options.Value("to-datetime") is { } time)
            return await _planner.AtTimeAsync(partitions, TimeArguments.ParseTime(time));
        if (options.Value("by-duration") is { } duration)
            return await _planner.AtTimeAsync(partitions, TimeProvider.System.GetUtcNow() - TimeArguments.ParseDuration(duration));
        if (options.Value("from-file") is { } file)
            return await FromFileAsync(groupId, file);
        if (options.Has("to-current"))
            return await _planner.CurrentAsync(groupId, partitions);
        throw new UsageException(
            $"Option '[reset-offsets]' requires one of the following scenarios: {ConsumerGroupsOptions.ScenarioNames}");
    }

    private async Task<IReadOnlyList<TopicPartition>> PartitionsAsync(string groupId)
    {
        if (options.Has("all-topics"))
            return [.. (await _planner.CommittedAsync(groupId)).Keys];
        if (!options.Has("topic"))
        {
            return options.Has("from-file")
                ? [] : throw new UsageException("One of the reset scopes should be defined: --all-topics, --topic.");
        }

        var partitions = TopicArguments.Named(options.Values("topic")).ToList();
        var whole = TopicArguments.Whole(options.Values("topic"));
        if (whole.Count == 0)
            return partitions;
        foreach (var (topic, described) in await TopicArguments.DescribeAsync(client, whole))
        {
            if (!described.IsSuccess)
                throw TopicArguments.ErrorOf(described);
            partitions.AddRange(described.Value.Partitions.Select(partition => new TopicPartition(topic, partition.Index)));
        }

        return partitions;
    }

    private async Task CheckAsync(IReadOnlyList<TopicPartition> partitions)
    {
        if (partitions.Count == 0)
            return;
        var known = new Dictionary<TopicPartition, bool>();
        foreach (var (topic, described) in await TopicArguments.DescribeAsync(client, partitions.Select(each => each.Topic).Distinct()))
        {
            if (!described.IsSuccess)
                throw TopicArguments.ErrorOf(described).OfRuntime();
            foreach (var partition in described.Value.Partitions)
                known[new TopicPartition(topic, partition.Index)] = partition.LeaderId is not null;
        }

        Throw(partitions.Where(partition => !known.ContainsKey(partition)), "UnknownTopicOrPartitionException", "do not exist");
        Throw(partitions.Where(partition => !known[partition]), "LeaderNotAvailableException", "have no leader");

        static void Throw(IEnumerable<TopicPartition> wrong, string @class, string what)
        {
            var names = string.Join(',', wrong);
            if (names.Length > 0)
                throw JavaException.Kafka(@class, $"The partitions \"{names}\" {what}");
        }
    }

    private async Task<IReadOnlyDictionary<TopicPartition, long>> FromFileAsync(string groupId, string path)
    {
        string text;
        try
        {
            text = JsonFile.ReadText(path);
        }
        catch (JavaException e)
        {
            throw e.Within("java.lang.RuntimeException");
        }

        var plan = OffsetCsv.Parse(text, options.Values("group"));
        if (plan.TryGetValue(groupId, out var offsets))
            return await _planner.WithinLogAsync(offsets);
        context.Output.WriteLine($"\nError: No reset plan for group {groupId} found.");
        return new Dictionary<TopicPartition, long>();
    }

    private void Export(Dictionary<string, IReadOnlyDictionary<TopicPartition, long>> plan)
    {
        var hasGroups = options.Values("group").Count != 1;
        foreach (var (groupId, offsets) in Ordered(plan))
        {
            foreach (var (partition, offset) in offsets)
                context.Output.WriteLine($"{(hasGroups ? $"{groupId}," : "")}{partition.Topic},{partition.Partition},{offset}");
        }

        context.Output.WriteLine();
    }

    private void Print(Dictionary<string, IReadOnlyDictionary<TopicPartition, long>> plan)
    {
        const int widthMin = 15;
        const int partitionWidth = 10;
        var groupWidth = plan.Keys.Select(group => group.Length).Append(widthMin).Max();
        var topicWidth = plan.Values.SelectMany(offsets => offsets.Keys).Select(partition => partition.Topic.Length).Append(widthMin).Max();
        if (plan.Count > 0)
            Line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
        foreach (var (groupId, offsets) in Ordered(plan))
        {
            foreach (var (partition, offset) in offsets)
                Line(groupId, partition.Topic, $"{partition.Partition}", $"{offset}");
        }

        context.Output.WriteLine();

        void Line(string group, string topic, string partition, string offset) => context.Output.Write(
            $"\n{ColumnText.Line((group, groupWidth), (topic, topicWidth), (partition, partitionWidth), (offset, 0))}");
    }

    private static IEnumerable<(string GroupId, IEnumerable<(TopicPartition Partition, long Offset)> Offsets)> Ordered(
        Dictionary<string, IReadOnlyDictionary<TopicPartition, long>> plan) => JavaHashOrder.Of(plan.Keys).Select(groupId => (
            groupId, JavaHashOrder.Of(plan[groupId].Keys, JavaHashOrder.HashOf).Select(
                partition => (partition, plan[groupId][partition]))));
}
