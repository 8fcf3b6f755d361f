using Ottla.Kernel;

namespace Ottla.StateMachines.Raft;

/// <summary>What is to be done to the log.</summary>
public abstract record RaftLogEffect
{
    private RaftLogEffect()
    {
    }

    /// <summary>Cut the log: <paramref name="EndOffset"/> is the next offset.</summary>
    public sealed record Truncate(long EndOffset) : RaftLogEffect;

    /// <summary>Append the control batch that opens an epoch; answer with <see cref="RaftEvent.Appended"/>.</summary>
    /// <param name="BaseOffset">The offset of its first record.</param>
    /// <param name="Epoch">The new epoch.</param>
    /// <param name="Timestamp">The records' timestamp.</param>
    /// <param name="LeaderId">For the LeaderChange record.</param>
    /// <param name="VoterIds">For the LeaderChange record.</param>
    /// <param name="GrantingVoterIds">For the LeaderChange record.</param>
    /// <param name="KRaftVersion">Not null: a KRaftVersion and a Voters record follow.</param>
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

    /// <summary>Append what the leader sent; answer with <see cref="RaftEvent.Appended"/>.</summary>
    public sealed record AppendFetched(ReadOnlyMemory<byte> Records) : RaftLogEffect;
}

/// <summary>A request to send.</summary>
/// <param name="CorrelationId">Names the request in the answer.</param>
/// <param name="To">The node to send it to.</param>
/// <param name="Request">The request.</param>
public readonly record struct RaftSend(long CorrelationId, int To, RaftRequest Request);

/// <summary>An answer to send.</summary>
/// <param name="RequestId">The request it answers.</param>
/// <param name="Response">The answer.</param>
public readonly record struct RaftReply(long RequestId, RaftResponse Response);

/// <summary>A snapshot to fetch from the leader.</summary>
/// <param name="LeaderId">From whom.</param>
/// <param name="Epoch">The epoch it leads.</param>
/// <param name="Id">Which.</param>
public readonly record struct SnapshotFetch(int LeaderId, int Epoch, LogPosition Id);

/// <summary>What a step of the machine asks of its host, in the order of the members: save, then the log, then flush, then send, then tell.</summary>
/// <remarks>Owned by the host, which clears and reuses it. The order is the safety of Raft: no vote leaves before it is saved.</remarks>
public sealed class RaftEffects
{
    /// <summary>Persist this (fsync) before anything else.</summary>
    public ElectionState? Save { get; internal set; }

    /// <summary>Do this to the log, in order.</summary>
    public List<RaftLogEffect> Log { get; } = [];

    /// <summary>Flush the log, then step <see cref="RaftEvent.Flushed"/>. What is in <see cref="Sends"/> and <see cref="Replies"/> need not wait for it.</summary>
    public bool Flush { get; internal set; }

    /// <summary>Answers to send.</summary>
    public List<RaftReply> Replies { get; } = [];

    /// <summary>Requests to send.</summary>
    public List<RaftSend> Sends { get; } = [];

    /// <summary>A snapshot to fetch; answer with <see cref="RaftEvent.SnapshotInstalled"/> or <see cref="RaftEvent.SnapshotFailed"/>.</summary>
    public SnapshotFetch? FetchSnapshot { get; internal set; }

    /// <summary>The leader or the epoch changed.</summary>
    public bool LeaderChanged { get; internal set; }

    /// <summary>The high watermark advanced.</summary>
    public bool HighWatermarkAdvanced { get; internal set; }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Save = null;
        Log.Clear();
        Flush = false;
        Replies.Clear();
        Sends.Clear();
        FetchSnapshot = null;
        LeaderChanged = false;
        HighWatermarkAdvanced = false;
    }
}
