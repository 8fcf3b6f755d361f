using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Finds the offsets that a group's are to be set to.</summary>
/// <param name="client">The cluster.</param>
/// <param name="onMoved">Learns of an offset outside the log: how it lies, as <c>higher than latest</c>, and what is taken instead.</param>
/// <param name="onNothingSoLate">Learns of a partition without a record at or after a time.</param>
internal sealed class OffsetPlanner(
    ToolClient client, Action<TopicPartition, long, string, long> onMoved, Action<TopicPartition> onNothingSoLate)
{
    private readonly GroupOffsets _offsets = new(client);

    /// <summary>What a group has committed.</summary>
    public Task<IReadOnlyDictionary<TopicPartition, CommitOffset>> CommittedAsync(string groupId) => _offsets.CommittedAsync(groupId);

    /// <summary>The offsets of start or end.</summary>
    public async Task<IReadOnlyDictionary<TopicPartition, long>> AtAsync(IReadOnlyCollection<TopicPartition> partitions, OffsetSpec spec) =>
        (await _offsets.LookUpAsync(partitions, spec)).ToDictionary(each => each.Key, each => each.Value.Offset);

    /// <summary>Moves offsets into the log where they lie outside.</summary>
    public async Task<IReadOnlyDictionary<TopicPartition, long>> WithinLogAsync(IReadOnlyDictionary<TopicPartition, long> wanted)
    {
        var starts = await AtAsync([.. wanted.Keys], OffsetSpec.Earliest);
        var ends = await AtAsync([.. wanted.Keys], OffsetSpec.Latest);
        return wanted.ToDictionary(each => each.Key, each =>
        {
            var (partition, offset) = each;
            if (offset > ends[partition])
                return Moved("higher than latest", ends[partition]);
            return offset < starts[partition] ? Moved("lower than earliest", starts[partition]) : offset;

            long Moved(string why, long to)
            {
                onMoved(partition, offset, why, to);
                return to;
            }
        });
    }

    /// <summary>What is committed, and so many records later.</summary>
    /// <exception cref="JavaException">Nothing is committed.</exception>
    public async Task<IReadOnlyDictionary<TopicPartition, long>> ShiftedAsync(
        string groupId, IReadOnlyList<TopicPartition> partitions, long shift)
    {
        var committed = await _offsets.CommittedAsync(groupId);
        return await WithinLogAsync(partitions.ToDictionary(partition => partition, partition =>
            committed.TryGetValue(partition, out var offset) ? offset.Offset + shift : throw JavaException.IllegalArgument(
                $"Cannot shift offset for partition {partition} since there is no current committed offset")));
    }

    /// <summary>The first records that are not older than a time; the end where there are none.</summary>
    public async Task<IReadOnlyDictionary<TopicPartition, long>> AtTimeAsync(IReadOnlyList<TopicPartition> partitions, DateTimeOffset time)
    {
        var found = await AtAsync(partitions, OffsetSpec.ForTimestamp(time < DateTimeOffset.UnixEpoch ? DateTimeOffset.UnixEpoch : time));
        var none = found.Where(each => each.Value < 0).Select(each => each.Key).ToList();
        foreach (var partition in none)
            onNothingSoLate(partition);
        var ends = await AtAsync(none, OffsetSpec.Latest);
        return found.ToDictionary(each => each.Key, each => each.Value < 0 ? ends[each.Key] : each.Value);
    }

    /// <summary>What is committed; the end where nothing is.</summary>
    public async Task<IReadOnlyDictionary<TopicPartition, long>> CurrentAsync(string groupId, IReadOnlyList<TopicPartition> partitions)
    {
        var committed = await _offsets.CommittedAsync(groupId);
        var ends = await AtAsync([.. partitions.Where(partition => !committed.ContainsKey(partition))], OffsetSpec.Latest);
        return partitions.Distinct().ToDictionary(
            partition => partition, partition => committed.TryGetValue(partition, out var offset) ? offset.Offset : ends[partition]);
    }
}
