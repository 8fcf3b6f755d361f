using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <summary>A request between replicas. The host converts it from and to Kafka's API.</summary>
/// <param name="Epoch">The sender's epoch; in a vote, the epoch of the candidacy.</param>
public abstract record RaftRequest(int Epoch);

/// <summary>Vote: the sender asks to be elected.</summary>
/// <param name="Epoch">The epoch of the candidacy; in a pre-vote (KIP-996), the current epoch.</param>
/// <param name="Candidate">The candidate.</param>
/// <param name="Voter">The voter that the candidate means to ask.</param>
/// <param name="LogEnd">The end of the candidate's log.</param>
/// <param name="IsPreVote">Whether the candidate only asks if it would get the vote.</param>
public sealed record VoteCall(int Epoch, ReplicaKey Candidate, ReplicaKey Voter, LogPosition LogEnd, bool IsPreVote) : RaftRequest(Epoch);

/// <summary>BeginQuorumEpoch: the sender is the leader.</summary>
/// <param name="Epoch">The epoch that it leads.</param>
/// <param name="LeaderId">The sender.</param>
/// <param name="Voter">The voter that the sender means to notify.</param>
public sealed record BeginEpochCall(int Epoch, int LeaderId, ReplicaKey Voter) : RaftRequest(Epoch);

/// <summary>EndQuorumEpoch: the sender resigned.</summary>
/// <param name="Epoch">The epoch it led.</param>
/// <param name="LeaderId">The sender.</param>
/// <param name="PreferredSuccessors">The voters that should lead next, best first.</param>
public sealed record EndEpochCall(int Epoch, int LeaderId, IReadOnlyList<ReplicaKey> PreferredSuccessors) : RaftRequest(Epoch);

/// <summary>Fetch: asks for the records after <paramref name="LogEnd"/>, up to which the sender has flushed its log.</summary>
/// <param name="Epoch">The sender's epoch.</param>
/// <param name="Replica">The sender.</param>
/// <param name="LogEnd">The end of the sender's log.</param>
/// <param name="HighWatermark">
/// The high watermark that the sender knows (KIP-1166); <see cref="long.MaxValue"/> when the request does not have it.
/// </param>
/// <param name="MaxWaitMs">How long the leader may delay the response while there are no new records.</param>
public sealed record FetchCall(int Epoch, ReplicaKey Replica, LogPosition LogEnd, long HighWatermark, int MaxWaitMs) : RaftRequest(Epoch);

/// <summary>A response between replicas.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="LeaderId">The leader that the responding replica knows; -1 for none.</param>
/// <param name="Epoch">The epoch of the responding replica.</param>
public abstract record RaftResponse(ErrorCode Error, int LeaderId, int Epoch);

/// <summary>The response to a <see cref="VoteCall"/>.</summary>
public sealed record VoteReply(ErrorCode Error, int LeaderId, int Epoch, bool IsGranted) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The response to a <see cref="BeginEpochCall"/>.</summary>
public sealed record BeginEpochReply(ErrorCode Error, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The response to an <see cref="EndEpochCall"/>.</summary>
public sealed record EndEpochReply(ErrorCode Error, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The response to a <see cref="FetchCall"/>.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">The epoch of the responding replica.</param>
/// <param name="HighWatermark">The leader's high watermark; -1 when unknown.</param>
public sealed record FetchReply(ErrorCode Error, int LeaderId, int Epoch, long HighWatermark) : RaftResponse(Error, LeaderId, Epoch)
{
    /// <summary>Set when the logs diverge: the end of the last common epoch in the leader's log.</summary>
    public LogPosition? Diverging { get; init; }

    /// <summary>Set when the leader's log begins after the fetch offset: the snapshot to fetch.</summary>
    public LogPosition? Snapshot { get; init; }

    /// <summary>In a response to send: the host adds record batches from this offset on.</summary>
    public long? ReadFrom { get; init; }

    /// <summary>In a received response: record batches; only the last may be incomplete.</summary>
    public ReadOnlyMemory<byte> Records { get; init; }
}
