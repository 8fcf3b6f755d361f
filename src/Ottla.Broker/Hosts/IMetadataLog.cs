using Ottla.Protocol.Metadata;

namespace Ottla.Broker.Hosts;

/// <summary>A place in the metadata log: also what names a snapshot.</summary>
/// <param name="Offset">An offset; of a snapshot, the first one that it does not hold.</param>
/// <param name="Epoch">The quorum epoch of the record before it.</param>
public readonly record struct OffsetAndEpoch(long Offset, int Epoch);

/// <summary>Who leads the metadata quorum.</summary>
/// <param name="LeaderId">The leader's node id; -1 when there is none.</param>
/// <param name="Epoch">The quorum epoch.</param>
public readonly record struct LeaderAndEpoch(int LeaderId, int Epoch);

/// <summary>The replicated metadata log (<c>__cluster_metadata-0</c>), as the controller and the brokers use it.</summary>
public interface IMetadataLog
{
    /// <summary>The present leader.</summary>
    LeaderAndEpoch Leader { get; }

    /// <summary>The first offset that is not committed yet.</summary>
    long HighWatermark { get; }

    /// <summary>The offset that the next append will get.</summary>
    long EndOffset { get; }

    /// <summary>Appends records as one batch, in the order of the calls. Only the leader of <paramref name="epoch"/> may.</summary>
    /// <returns>The offset of the last record, and a task that completes when it is committed (flushed by a majority), or fails when leadership is lost before.</returns>
    (long LastOffset, Task Committed) Append(int epoch, IReadOnlyList<MetadataRecord> records);

    /// <summary>Tells <paramref name="listener"/> everything: the newest snapshot, what was committed since, and what will be. Calls come one at a time, in order.</summary>
    void Register(IMetadataLogListener listener);

    /// <summary>Writes a snapshot that replaces the log below <paramref name="id"/>, and deletes what it makes superfluous.</summary>
    void WriteSnapshot(OffsetAndEpoch id, long lastContainedLogTimestampMs, IEnumerable<MetadataRecord> records);
}

/// <summary>Follows the metadata log.</summary>
public interface IMetadataLogListener
{
    /// <summary>Start afresh from a snapshot.</summary>
    void HandleSnapshot(OffsetAndEpoch id, IReadOnlyList<MetadataRecord> records);

    /// <summary>A batch was committed.</summary>
    /// <param name="baseOffset">The offset of the first record.</param>
    /// <param name="epoch">The quorum epoch it was written in.</param>
    /// <param name="appendTimestampMs">When it was written.</param>
    /// <param name="records">The records; empty for a batch of control records.</param>
    /// <param name="lastOffset">The offset of the last record.</param>
    void HandleCommit(long baseOffset, int epoch, long appendTimestampMs, IReadOnlyList<MetadataRecord> records, long lastOffset);

    /// <summary>The leader changed. When this node became it, everything before was committed and handed over.</summary>
    void HandleLeaderChange(LeaderAndEpoch leader);
}
