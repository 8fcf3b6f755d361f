namespace Ottla.StateMachines.Raft;

/// <summary>The election state that a voter must keep over restarts: the content of <c>quorum-state</c>.</summary>
/// <param name="Epoch">The epoch of the quorum.</param>
/// <param name="LeaderId">The leader of the epoch; -1 when unknown.</param>
/// <param name="Voted">The candidate that this replica voted for in the epoch.</param>
public readonly record struct ElectionState(int Epoch, int LeaderId, ReplicaKey? Voted)
{
    /// <summary>The state of a replica that never took part in an election.</summary>
    public static readonly ElectionState None = new(0, -1, null);
}

/// <summary>A control record in the log that changes the quorum.</summary>
/// <param name="Offset">The record's offset.</param>
/// <param name="Voters">The new voters; null when the record is not a voters record.</param>
/// <param name="KRaftVersion">The new <c>kraft.version</c>; null when the record is not a version record.</param>
public readonly record struct QuorumChange(long Offset, VoterSet? Voters, short? KRaftVersion);

/// <summary>A batch that was appended to the log.</summary>
/// <param name="BaseOffset">The offset of its first record.</param>
/// <param name="EndOffset">The offset after its last record.</param>
/// <param name="Epoch">The epoch it was written in.</param>
/// <param name="Changes">The quorum changes in it, in order.</param>
public readonly record struct AppendedBatch(long BaseOffset, long EndOffset, int Epoch, IReadOnlyList<QuorumChange> Changes);

/// <summary>Input of a <see cref="RaftMachine"/>: something that happened.</summary>
public abstract record RaftEvent
{
    private RaftEvent()
    {
    }

    /// <summary>The first event: the state that was found on disk. The machine owns <paramref name="Log"/> from now on.</summary>
    public sealed record Started(ElectionState Election, RaftLogState Log, QuorumHistory History) : RaftEvent;

    /// <summary>A replica or a client sent a request; the reply names <paramref name="RequestId"/>.</summary>
    public sealed record RequestReceived(long RequestId, RaftRequest Request) : RaftEvent;

    /// <summary>A replica answered the request <paramref name="CorrelationId"/>. Late and repeated responses are ignored.</summary>
    public sealed record ResponseReceived(long CorrelationId, RaftResponse Response) : RaftEvent;

    /// <summary>The request <paramref name="CorrelationId"/> failed with its connection.</summary>
    public sealed record RequestFailed(long CorrelationId) : RaftEvent;

    /// <summary>
    /// The process of a node has ended, as far as one can see from here: a connection to it was closed, and its listener refuses new ones.
    /// It does no harm when that is not so.
    /// </summary>
    public sealed record ProcessEnded(int NodeId) : RaftEvent;

    /// <summary>The answer to a <see cref="RaftProbe"/>; the range is null when the node did not answer, or with an error.</summary>
    public sealed record Probed(long ProbeId, (short Min, short Max)? Range) : RaftEvent;

    /// <summary>Batches were appended: the leader's own or fetched ones. The list is empty when the fetched bytes were unusable.</summary>
    public sealed record Appended(IReadOnlyList<AppendedBatch> Batches) : RaftEvent;

    /// <summary>The log before <paramref name="EndOffset"/> was flushed to disk.</summary>
    public sealed record Flushed(long EndOffset) : RaftEvent;

    /// <summary>This replica wrote a snapshot and deleted the logs and snapshots that it replaces.</summary>
    public sealed record SnapshotWritten(LogPosition Earliest, LogPosition Latest, long LogStartOffset) : RaftEvent;

    /// <summary>The snapshot of <see cref="RaftLogEffect.WriteSnapshot"/> has replaced the log and all older snapshots.</summary>
    public sealed record SnapshotInstalled(LogPosition Id, QuorumHistory History) : RaftEvent;

    /// <summary>The snapshot that was fetched is not whole. The machine starts over.</summary>
    public sealed record SnapshotFailed : RaftEvent;

    /// <summary>Time passed. It does no harm when <see cref="RaftMachine.NextDeadline"/> is not due yet.</summary>
    public sealed record Timer : RaftEvent;

    /// <summary>
    /// The node stops, and a leader hands its leadership over. Complete when <see cref="RaftMachine.IsShutdownComplete"/>.
    /// </summary>
    public sealed record Shutdown : RaftEvent;
}
