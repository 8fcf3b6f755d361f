using Ottla.Kernel;

namespace Ottla.Client;

/// <summary>An offset to commit: where the group goes on.</summary>
/// <param name="Offset">The offset of the next record to process.</param>
/// <param name="LeaderEpoch">The leader epoch of the last record before it, to find lost records by; -1 for unknown.</param>
/// <param name="Metadata">A note that is kept beside it.</param>
public readonly record struct CommitOffset(long Offset, int LeaderEpoch = -1, string Metadata = "");

/// <summary>An offset of a partition.</summary>
/// <param name="Partition">The partition.</param>
/// <param name="Offset">The offset, and what belongs to it.</param>
public readonly record struct PartitionOffset(TopicPartition Partition, CommitOffset Offset)
{
    /// <summary>An offset without a leader epoch.</summary>
    public PartitionOffset(string topic, int partition, long offset)
        : this(new TopicPartition(topic, partition), new CommitOffset(offset))
    {
    }
}

/// <summary>The offset that belongs to a timestamp.</summary>
/// <param name="Offset">The offset.</param>
/// <param name="TimestampMs">The timestamp of the record there, in ms since the epoch; -1 when no record was looked for.</param>
/// <param name="LeaderEpoch">The leader epoch of the record; -1 for unknown.</param>
public readonly record struct TimestampedOffset(long Offset, long TimestampMs, int LeaderEpoch);

/// <summary>A member of a group, for a transaction that commits the group's offsets: it fences a member that is not it any more.</summary>
/// <param name="GroupId">The group.</param>
/// <param name="GenerationId">The generation, or the member's epoch; -1 outside of a group.</param>
/// <param name="MemberId">The member; empty outside of a group.</param>
/// <param name="GroupInstanceId">The instance id of a static member; null for a dynamic one.</param>
public sealed record ConsumerGroupMetadata(string GroupId, int GenerationId, string MemberId, string? GroupInstanceId);
