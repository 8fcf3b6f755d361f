using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <summary>A request between replicas; the host translates it from and to the API of the same name.</summary>
/// <param name="Epoch">The sender's epoch; of a vote, the epoch it is a candidate for.</param>
public abstract record RaftRequest(int Epoch);

/// <summary>Vote: the sender wants to lead.</summary>
/// <param name="Epoch">The epoch to lead; of a pre-vote (KIP-996), the present one.</param>
/// <param name="Candidate">Who wants to.</param>
/// <param name="Voter">Whom it believes to ask.</param>
/// <param name="LogEnd">The end of its log.</param>
/// <param name="IsPreVote">It only asks whether it would get the vote.</param>
public sealed record VoteCall(int Epoch, ReplicaKey Candidate, ReplicaKey Voter, LogPosition LogEnd, bool IsPreVote) : RaftRequest(Epoch);

/// <summary>BeginQuorumEpoch: the sender leads.</summary>
/// <param name="Epoch">The epoch it leads.</param>
/// <param name="LeaderId">The sender.</param>
/// <param name="Voter">Whom it believes to tell.</param>
public sealed record BeginEpochCall(int Epoch, int LeaderId, ReplicaKey Voter) : RaftRequest(Epoch);

/// <summary>EndQuorumEpoch: the sender leads no longer.</summary>
/// <param name="Epoch">The epoch it led.</param>
/// <param name="LeaderId">The sender.</param>
/// <param name="PreferredSuccessors">Who should follow it, best first.</param>
public sealed record EndEpochCall(int Epoch, int LeaderId, IReadOnlyList<ReplicaKey> PreferredSuccessors) : RaftRequest(Epoch);

/// <summary>Fetch: the sender's log ends at <paramref name="LogEnd"/> (flushed) and wants what follows.</summary>
/// <param name="Epoch">The sender's epoch.</param>
/// <param name="Replica">The sender.</param>
/// <param name="LogEnd">The end of its log.</param>
/// <param name="HighWatermark">The high watermark that it knows of (KIP-1166); <see cref="long.MaxValue"/> when it does not say.</param>
/// <param name="MaxWaitMs">How long the leader may hold an answer without news.</param>
public sealed record FetchCall(int Epoch, ReplicaKey Replica, LogPosition LogEnd, long HighWatermark, int MaxWaitMs) : RaftRequest(Epoch);

/// <summary>An answer.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="LeaderId">The leader as the answering replica knows it; -1 for none.</param>
/// <param name="Epoch">Its epoch.</param>
public abstract record RaftResponse(ErrorCode Error, int LeaderId, int Epoch);

/// <summary>The answer to a <see cref="VoteCall"/>.</summary>
public sealed record VoteReply(ErrorCode Error, int LeaderId, int Epoch, bool IsGranted) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The answer to a <see cref="BeginEpochCall"/>.</summary>
public sealed record BeginEpochReply(ErrorCode Error, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The answer to an <see cref="EndEpochCall"/>.</summary>
public sealed record EndEpochReply(ErrorCode Error, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The answer to a <see cref="FetchCall"/>.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">Its epoch.</param>
/// <param name="HighWatermark">The leader's high watermark; -1 when it does not know one.</param>
public sealed record FetchReply(ErrorCode Error, int LeaderId, int Epoch, long HighWatermark) : RaftResponse(Error, LeaderId, Epoch)
{
    /// <summary>The logs differ: where the leader's last common epoch ends.</summary>
    public LogPosition? Diverging { get; init; }

    /// <summary>The leader's log begins later: the snapshot to fetch.</summary>
    public LogPosition? Snapshot { get; init; }

    /// <summary>In an answer to send: the offset from which on the host adds record batches.</summary>
    public long? ReadFrom { get; init; }

    /// <summary>In an answer received: record batches, whole ones first.</summary>
    public ReadOnlyMemory<byte> Records { get; init; }
}
