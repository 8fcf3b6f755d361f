using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Offsets;

/// <summary>Names an offset of a group.</summary>
/// <param name="Topic">The topic's name.</param>
/// <param name="Partition">The partition's index.</param>
/// <param name="GroupId">The group.</param>
internal readonly record struct OffsetName(string GroupId, string Topic, int Partition)
{
    /// <summary>The record that deletes the offset.</summary>
    public CoordinatorRecord Tombstone() => CoordinatorRecord.Tombstone(ToKey());

    /// <summary>The key of the offset's record.</summary>
    public OffsetCommitKey ToKey() => new() { Group = GroupId, Topic = Topic, Partition = Partition };
}

/// <summary>What a group has committed for a partition. Immutable.</summary>
/// <param name="RecordOffset">Where the record is in the log: of a commit and one of a transaction, the later counts.</param>
/// <param name="Offset">The offset.</param>
/// <param name="LeaderEpoch">The leader epoch of the last record that was consumed; -1 when the client did not say.</param>
/// <param name="Metadata">The client's text.</param>
/// <param name="CommittedAt">When it was committed.</param>
/// <param name="ExpiresAt">When it expires, as old clients may say; null when the broker's retention decides.</param>
/// <param name="TopicId">The topic's id; zero when the client gave a name that had none, or an old broker wrote it.</param>
internal sealed record CommittedOffset(long RecordOffset, long Offset, int LeaderEpoch, string Metadata, Instant CommittedAt, Instant? ExpiresAt, Uuid TopicId)
{
    private const short ValueVersion = 4;

    /// <summary>The last version that says when it expires.</summary>
    private const short ValueVersionWithExpiration = 1;

    private const long NoTimestamp = -1;

    /// <summary>What the record says.</summary>
    public static CommittedOffset Of(long recordOffset, OffsetCommitValue value) => new(
        recordOffset,
        value.Offset,
        value.LeaderEpoch,
        value.Metadata,
        new Instant(value.CommitTimestamp),
        value.ExpireTimestamp == NoTimestamp ? null : new Instant(value.ExpireTimestamp),
        value.TopicId);

    /// <summary>What a record of Kafka 0.8.2's says.</summary>
    public static CommittedOffset Of(long recordOffset, LegacyOffsetCommitValue value) => new(
        recordOffset, value.Offset, LeaderEpoch: -1, value.Metadata, new Instant(value.CommitTimestamp), ExpiresAt: null, Uuid.Zero);

    /// <summary>The record, in the version that has room for what there is to say.</summary>
    public CoordinatorRecord ToRecord(in OffsetName name)
    {
        var value = new OffsetCommitValue
        {
            Offset = Offset,
            LeaderEpoch = LeaderEpoch,
            Metadata = Metadata,
            CommitTimestamp = CommittedAt.UnixMilliseconds,
            ExpireTimestamp = ExpiresAt?.UnixMilliseconds ?? NoTimestamp,
            TopicId = TopicId,
        };
        return new CoordinatorRecord(name.ToKey(), value, ExpiresAt is null ? ValueVersion : ValueVersionWithExpiration);
    }
}
