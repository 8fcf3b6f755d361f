using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>A partition of a group: how far the group is, and who reads it.</summary>
/// <param name="GroupId">The group.</param>
/// <param name="Partition">The partition.</param>
/// <param name="Committed">The committed offset; null when there is none.</param>
/// <param name="LogEndOffset">The end of the partition; null when it is not known.</param>
/// <param name="Member">Who reads it; null for nobody.</param>
internal sealed record GroupPartition(
    string GroupId, TopicPartition Partition, CommitOffset? Committed, long? LogEndOffset, ConsumerMemberDescription? Member);

/// <summary>Looks up how far groups are.</summary>
internal sealed class GroupOffsets(ToolClient client)
{
    /// <summary>The partitions of groups: those of members first, those of the largest member before others.</summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyList<GroupPartition>>> OfAsync(IEnumerable<ConsumerGroupDescription> groups)
    {
        var all = new Dictionary<string, IReadOnlyList<GroupPartition>>();
        foreach (var group in groups)
            all[group.GroupId] = await OfAsync(group);
        return all;
    }

    /// <summary>The offsets that a group has committed.</summary>
    public async Task<IReadOnlyDictionary<TopicPartition, CommitOffset>> CommittedAsync(string groupId)
    {
        var fetched = (await client.CallAsync(
            "listConsumerGroupOffsets(api=OFFSET_FETCH)",
            admin => admin.ListConsumerGroupOffsetsAsync(
                new Dictionary<string, IReadOnlyCollection<TopicPartition>?> { [groupId] = null })))[groupId];
        if (fetched.Error == ErrorCode.GroupIdNotFound)
            return new Dictionary<TopicPartition, CommitOffset>();
        if (!fetched.IsSuccess)
            throw JavaErrors.Of(fetched, "listConsumerGroupOffsets(api=OFFSET_FETCH)").OfRuntime();
        return fetched.Value.Where(each => each.Value is { IsSuccess: true, Value: not null })
            .ToDictionary(each => each.Key, each => each.Value.Value!.Value);
    }

    /// <summary>Looks offsets of partitions up.</summary>
    /// <exception cref="JavaException">One is not to be had.</exception>
    public async Task<IReadOnlyDictionary<TopicPartition, TimestampedOffset>> LookUpAsync(
        IReadOnlyCollection<TopicPartition> partitions, OffsetSpec spec)
    {
        if (partitions.Count == 0)
            return new Dictionary<TopicPartition, TimestampedOffset>();
        var found = await client.CallAsync(
            "listOffsets(api=METADATA)", admin => admin.ListOffsetsAsync(partitions.Distinct().ToDictionary(each => each, _ => spec)));
        foreach (var (partition, result) in found)
        {
            if (result.Error == ErrorCode.InvalidTopicException)
            {
                throw JavaException.Kafka(
                    "InvalidTopicException",
                        $"Failed to fetch metadata for partition {partition} due to invalid topic `{partition.Topic}`").OfRuntime();
            }

            if (!result.IsSuccess)
                throw JavaErrors.Of(result, "listOffsets(api=METADATA)").OfRuntime();
        }

        return found.ToDictionary(each => each.Key, each => each.Value.Value);
    }

    private async Task<IReadOnlyList<GroupPartition>> OfAsync(ConsumerGroupDescription group)
    {
        var committed = await CommittedAsync(group.GroupId);
        var members = group.Members.Where(member => member.Assignment.Count > 0).OrderByDescending(member => member.Assignment.Count)
            .ToList();
        var assigned = members.SelectMany(member => member.Assignment).ToHashSet();
        var rows = members.SelectMany(
            member => Sorted(member.Assignment).Select(partition => (partition, (ConsumerMemberDescription?)member)))
            .Concat(Sorted(committed.Keys.Where(partition => !assigned.Contains(partition))).Select(
                partition => (partition, (ConsumerMemberDescription?)null)))
            .ToList();
        var ends = await LookUpAsync([.. rows.Select(row => row.Item1)], OffsetSpec.Latest);
        return
        [
            .. rows.Select(row => new GroupPartition(
                group.GroupId, row.Item1, committed.TryGetValue(row.Item1, out var offset) ? offset
                    : null, ends[row.Item1].Offset, row.Item2)),
        ];
    }

    private static IEnumerable<TopicPartition> Sorted(IEnumerable<TopicPartition> partitions) =>
        partitions.OrderBy(partition => partition.Topic, StringComparer.Ordinal).ThenBy(partition => partition.Partition);
}
