using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <summary>A place in the metadata log: also what names a snapshot.</summary>
/// <param name="Offset">An offset; of a snapshot, the first one that it does not hold.</param>
/// <param name="Epoch">The quorum epoch of the record before it.</param>
public readonly record struct OffsetAndEpoch(long Offset, int Epoch);

/// <summary>Who leads the metadata quorum.</summary>
/// <param name="LeaderId">The leader's node id; -1 when there is none.</param>
/// <param name="Epoch">The quorum epoch.</param>
public readonly record struct LeaderAndEpoch(int LeaderId, int Epoch);

/// <summary>Who leads the metadata quorum, and where: what a node needs to reach the active controller. Immutable.</summary>
/// <param name="LeaderId">The leader's node id; -1 when none is known, or when this node led and resigned.</param>
/// <param name="Epoch">The quorum epoch.</param>
/// <param name="Endpoints">The endpoints of its controller listeners that are known; may be empty.</param>
public sealed record QuorumLeader(int LeaderId, int Epoch, IReadOnlyList<RaftEndpoint> Endpoints)
{
    /// <summary>No leader is known yet.</summary>
    public static QuorumLeader None { get; } = new(-1, 0, []);
}

/// <summary>What a replica knows of its quorum, without how far the others are. Immutable.</summary>
/// <param name="Role">The role of this replica.</param>
/// <param name="LeaderId">The leader; -1 for none. This replica itself also after it has resigned.</param>
/// <param name="Epoch">The epoch of the quorum.</param>
/// <param name="KRaftVersion">The current <c>kraft.version</c>.</param>
/// <param name="VoterSet">The voters with their endpoints.</param>
public sealed record QuorumState(RaftRole Role, int LeaderId, int Epoch, short KRaftVersion, VoterSet VoterSet);

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
    /// <returns>
    /// The offset of the last record, and a task that completes when it is committed (flushed by a majority), or fails when leadership is
    /// lost before.
    /// </returns>
    (long LastOffset, Task Committed) Append(int epoch, IReadOnlyList<MetadataRecord> records);

    /// <summary>
    /// Tells <paramref name="listener"/> everything: the newest snapshot, what was committed since, and what will be. Calls come one at a
    /// time, in order.
    /// </summary>
    void Register(IMetadataLogListener listener);

    /// <summary>A listener that was not ready is so again: it is told what was held back.</summary>
    void Resume(IMetadataLogListener listener);

    /// <summary>Writes a snapshot that replaces the log below <paramref name="id"/>, and deletes what it makes superfluous.</summary>
    void WriteSnapshot(OffsetAndEpoch id, long lastContainedLogTimestampMs, IEnumerable<MetadataRecord> records);
}

/// <summary>Follows the metadata log. Called on the log's own loop: it must only take note, never work or wait.</summary>
public interface IMetadataLogListener
{
    /// <summary>Whether it takes more batches now. One that is not ready calls <see cref="IMetadataLog.Resume"/> when it is.</summary>
    bool IsReady { get; }

    /// <summary>Start afresh from a snapshot, which the listener disposes.</summary>
    void HandleSnapshot(OpenMetadataSnapshot snapshot);

    /// <summary>A batch was committed. It has no records if it is one of control records.</summary>
    void HandleCommit(MetadataBatch batch);

    /// <summary>
    /// Everything was handed over that the quorum had committed when this node first heard of its high watermark (or won the leadership):
    /// from here on the listener's state is of today. Called once.
    /// </summary>
    void HandleCaughtUp();

    /// <summary>The leader changed. When this node became it, everything before was committed and handed over.</summary>
    void HandleLeaderChange(LeaderAndEpoch leader);
}
