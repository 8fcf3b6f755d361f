using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Offsets;

/// <summary>Identifies an offset of a group.</summary>
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

/// <summary>An offset that a group committed for a partition. Immutable.</summary>
/// <param name="RecordOffset">
/// The offset of the record in the log. If a plain commit and a transactional one compete, the later one counts.
/// </param>
/// <param name="Offset">The offset.</param>
/// <param name="LeaderEpoch">The leader epoch of the last consumed record; -1 when the client did not send it.</param>
/// <param name="Metadata">Text from the client.</param>
/// <param name="CommittedAt">The time of the commit.</param>
/// <param name="ExpiresAt">The expiry time that old clients may set; null when the broker's retention applies.</param>
/// <param name="TopicId">The topic's id; zero when the topic did not exist, or an old broker wrote the record.</param>
internal sealed record CommittedOffset(
    long RecordOffset, long Offset, int LeaderEpoch, string Metadata, Instant CommittedAt, Instant? ExpiresAt, Uuid TopicId)
{
    private const short ValueVersion = 4;

    /// <summary>The last version with an expiry time.</summary>
    private const short ValueVersionWithExpiration = 1;

    private const long NoTimestamp = -1;

    /// <summary>Reads a record.</summary>
    public static CommittedOffset Of(long recordOffset, OffsetCommitValue value) => new(
        recordOffset,
        value.Offset,
        value.LeaderEpoch,
        value.Metadata,
        new Instant(value.CommitTimestamp),
        value.ExpireTimestamp == NoTimestamp ? null : new Instant(value.ExpireTimestamp),
        value.TopicId);

    /// <summary>Reads a record of Kafka 0.8.2.</summary>
    public static CommittedOffset Of(long recordOffset, LegacyOffsetCommitValue value) => new(
        recordOffset, value.Offset, LeaderEpoch: -1, value.Metadata, new Instant(value.CommitTimestamp), ExpiresAt: null, Uuid.Zero);

    /// <summary>The record, in a version that has all fields that are set.</summary>
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
