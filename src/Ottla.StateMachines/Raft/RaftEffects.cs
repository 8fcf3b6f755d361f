using Ottla.Kernel;

namespace Ottla.StateMachines.Raft;

/// <summary>An operation on the log that the host must carry out.</summary>
public abstract record RaftLogEffect
{
    private RaftLogEffect()
    {
    }

    /// <summary>Truncates the log: <paramref name="EndOffset"/> is the next offset.</summary>
    public sealed record Truncate(long EndOffset) : RaftLogEffect;

    /// <summary>Appends the control batch that starts an epoch, at once. The host answers with <see cref="RaftEvent.Appended"/>.</summary>
    /// <param name="BaseOffset">The offset of its first record.</param>
    /// <param name="Epoch">The new epoch.</param>
    /// <param name="Timestamp">The timestamp of the records.</param>
    /// <param name="LeaderId">For the LeaderChange record.</param>
    /// <param name="VoterIds">For the LeaderChange record.</param>
    /// <param name="GrantingVoterIds">For the LeaderChange record.</param>
    /// <param name="KRaftVersion">When it is not null, a KRaftVersion record and a Voters record follow.</param>
    /// <param name="Voters">The voters for the Voters record.</param>
    public sealed record AppendEpochStart(
        long BaseOffset,
        int Epoch,
        Instant Timestamp,
        int LeaderId,
        IReadOnlyList<int> VoterIds,
        IReadOnlyList<int> GrantingVoterIds,
        short? KRaftVersion,
        VoterSet? Voters) : RaftLogEffect;

    /// <summary>
    /// Appends a control batch that changes the quorum, behind what waits to be appended already. The host answers with
    /// <see cref="RaftEvent.Appended"/>, or not at all when this replica ceases to lead before.
    /// </summary>
    /// <param name="Epoch">The epoch of the leader.</param>
    /// <param name="Timestamp">The timestamp of the records.</param>
    /// <param name="KRaftVersion">When it is not null, a KRaftVersion record comes first.</param>
    /// <param name="Voters">The voters for the Voters record.</param>
    public sealed record AppendQuorumChange(int Epoch, Instant Timestamp, short? KRaftVersion, VoterSet Voters) : RaftLogEffect;

    /// <summary>Appends records that the leader sent. The host answers with <see cref="RaftEvent.Appended"/>.</summary>
    public sealed record AppendFetched(ReadOnlyMemory<byte> Records) : RaftLogEffect;

    /// <summary>
    /// Writes a piece of a snapshot that is being fetched. The first piece begins a new file. After the last one the host makes the file
    /// survive power loss, replaces the log by it and answers with <see cref="RaftEvent.SnapshotInstalled"/>, or with
    /// <see cref="RaftEvent.SnapshotFailed"/> when it is not whole.
    /// </summary>
    /// <param name="Id">The snapshot.</param>
    /// <param name="Position">Where the piece begins.</param>
    /// <param name="Bytes">The piece.</param>
    /// <param name="IsLast">Whether it is the last one.</param>
    public sealed record WriteSnapshot(LogPosition Id, long Position, ReadOnlyMemory<byte> Bytes, bool IsLast) : RaftLogEffect;
}

/// <summary>A request to send.</summary>
/// <param name="CorrelationId">Identifies the request in the response.</param>
/// <param name="To">The node to send it to, with the address to reach it at.</param>
/// <param name="Request">The request.</param>
public readonly record struct RaftSend(long CorrelationId, RaftNode To, RaftRequest Request);

/// <summary>A response to send.</summary>
/// <param name="RequestId">The request that it answers.</param>
/// <param name="Response">The response.</param>
public readonly record struct RaftReply(long RequestId, RaftResponse Response);

/// <summary>
/// A question by ApiVersions: which levels of <c>kraft.version</c> does the node support? The host answers with
/// <see cref="RaftEvent.Probed"/>.
/// </summary>
/// <param name="ProbeId">Identifies the question in the answer.</param>
/// <param name="To">The node to ask.</param>
public readonly record struct RaftProbe(long ProbeId, RaftNode To);

/// <summary>
/// The work that a step of the machine asks of its host. The host does it in this order: save the election state, change the log, send, and
/// notify waiters. It may flush later.
/// </summary>
/// <remarks>
/// The host owns the object, clears it and reuses it for each step. The order matters for safety: no vote is sent before it is saved.
/// </remarks>
public sealed class RaftEffects
{
    /// <summary>The election state to persist (with fsync) before anything else; null when it is unchanged.</summary>
    public ElectionState? Save { get; internal set; }

    /// <summary>Operations on the log, in order.</summary>
    public List<RaftLogEffect> Log { get; } = [];

    /// <summary>
    /// Whether the log must be flushed. The host may combine the flushes of several steps; it then steps <see cref="RaftEvent.Flushed"/>.
    /// <see cref="Sends"/> and <see cref="Replies"/> do not wait for the flush.
    /// </summary>
    public bool Flush { get; internal set; }

    /// <summary>Responses to send.</summary>
    public List<RaftReply> Replies { get; } = [];

    /// <summary>Requests to send.</summary>
    public List<RaftSend> Sends { get; } = [];

    /// <summary>Nodes to ask for their range of <c>kraft.version</c>.</summary>
    public List<RaftProbe> Probes { get; } = [];

    /// <summary>What an operator should know about this step, for the log: one sentence each.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>Whether the leader, its endpoints or the epoch changed.</summary>
    public bool LeaderChanged { get; internal set; }

    /// <summary>Whether the high watermark advanced.</summary>
    public bool HighWatermarkAdvanced { get; internal set; }

    /// <summary>Clears the object for the next step.</summary>
    public void Clear()
    {
        Save = null;
        Log.Clear();
        Flush = false;
        Replies.Clear();
        Sends.Clear();
        Probes.Clear();
        Notes.Clear();
        LeaderChanged = false;
        HighWatermarkAdvanced = false;
    }
}
