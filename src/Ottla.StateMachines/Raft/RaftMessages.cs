using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <summary>A request between replicas. The host converts it from and to Kafka's API.</summary>
/// <param name="Epoch">
/// The sender's epoch, in a vote the epoch of the candidacy; <see cref="NoEpoch"/> in a request that carries none.
/// </param>
public abstract record RaftRequest(int Epoch)
{
    /// <summary>The epoch of requests that carry none: AddRaftVoter and RemoveRaftVoter.</summary>
    public const int NoEpoch = -1;
}

/// <summary>Vote: the sender asks to be elected.</summary>
/// <param name="Epoch">The epoch of the candidacy; in a pre-vote (KIP-996), the current epoch.</param>
/// <param name="Candidate">The candidate.</param>
/// <param name="Voter">The voter that the candidate means to ask; its id is -1 when the request does not say (version 0).</param>
/// <param name="LogEnd">The end of the candidate's log.</param>
/// <param name="IsPreVote">Whether the candidate only asks if it would get the vote.</param>
public sealed record VoteCall(int Epoch, ReplicaKey Candidate, ReplicaKey Voter, LogPosition LogEnd, bool IsPreVote) : RaftRequest(Epoch);

/// <summary>BeginQuorumEpoch: the sender is the leader.</summary>
/// <param name="Epoch">The epoch that it leads.</param>
/// <param name="LeaderId">The sender.</param>
/// <param name="Voter">The voter that the sender means to notify; its id is -1 when the request does not say (version 0).</param>
public sealed record BeginEpochCall(int Epoch, int LeaderId, ReplicaKey Voter) : RaftRequest(Epoch)
{
    /// <summary>The endpoints of the sender's controller listeners; empty when the request does not say (version 0).</summary>
    public IReadOnlyList<RaftEndpoint> LeaderEndpoints { get; init; } = [];
}

/// <summary>EndQuorumEpoch: the sender resigned.</summary>
/// <param name="Epoch">The epoch it led.</param>
/// <param name="LeaderId">The sender.</param>
/// <param name="PreferredCandidates">The voters that should lead next, best first; without directory ids in version 0.</param>
public sealed record EndEpochCall(int Epoch, int LeaderId, IReadOnlyList<ReplicaKey> PreferredCandidates) : RaftRequest(Epoch)
{
    /// <summary>The endpoints of the sender; empty when the request does not say. Kafka never says.</summary>
    public IReadOnlyList<RaftEndpoint> LeaderEndpoints { get; init; } = [];
}

/// <summary>Fetch: asks for the records after <paramref name="LogEnd"/>, up to which a voter has flushed its log.</summary>
/// <param name="Epoch">The sender's epoch.</param>
/// <param name="Replica">The sender.</param>
/// <param name="LogEnd">The end of the sender's log.</param>
/// <param name="HighWatermark">
/// The high watermark that the sender knows (KIP-1166), -1 for none; <see cref="long.MaxValue"/> when the request does not have it.
/// </param>
/// <param name="MaxWaitMs">How long the leader may delay the response while there are no new records.</param>
public sealed record FetchCall(int Epoch, ReplicaKey Replica, LogPosition LogEnd, long HighWatermark, int MaxWaitMs) : RaftRequest(Epoch)
{
    /// <summary>How many bytes of records the sender wants at most; one batch may be larger.</summary>
    public int MaxBytes { get; init; } = 1024 * 1024;
}

/// <summary>FetchSnapshot: asks for a piece of a snapshot.</summary>
/// <param name="Epoch">The sender's epoch.</param>
/// <param name="Replica">The sender.</param>
/// <param name="Snapshot">The snapshot.</param>
/// <param name="Position">Where the piece begins, in bytes from the start of the snapshot's file.</param>
/// <param name="MaxBytes">The longest piece that the sender wants.</param>
public sealed record FetchSnapshotCall(int Epoch, ReplicaKey Replica, LogPosition Snapshot, long Position, int MaxBytes)
    : RaftRequest(Epoch);

/// <summary>AddRaftVoter: asks the leader to make a replica a voter (KIP-853).</summary>
/// <param name="Voter">The replica.</param>
/// <param name="Endpoints">The endpoints of its controller listeners.</param>
/// <param name="TimeoutMs">How long the leader may take.</param>
/// <param name="AckWhenCommitted">Whether the answer waits for the commit, or only for the append.</param>
public sealed record AddVoterCall(ReplicaKey Voter, IReadOnlyList<RaftEndpoint> Endpoints, int TimeoutMs, bool AckWhenCommitted)
    : RaftRequest(NoEpoch);

/// <summary>RemoveRaftVoter: asks the leader to make a voter an observer (KIP-853). The answer waits for the commit.</summary>
/// <param name="Voter">The voter.</param>
public sealed record RemoveVoterCall(ReplicaKey Voter) : RaftRequest(NoEpoch);

/// <summary>UpdateRaftVoter: a voter tells the leader its endpoints and its range of <c>kraft.version</c> (KIP-853).</summary>
/// <param name="Epoch">The sender's epoch.</param>
/// <param name="Voter">The voter as it is now.</param>
public sealed record UpdateVoterCall(int Epoch, Voter Voter) : RaftRequest(Epoch);

/// <summary>A response between replicas.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="LeaderId">The leader that the responding replica knows; -1 for none, and when the response does not say.</param>
/// <param name="Epoch">The epoch of the responding replica; -1 when the response does not say.</param>
public abstract record RaftResponse(ErrorCode Error, int LeaderId, int Epoch)
{
    /// <summary>
    /// The leader's endpoints; empty when they are not known. In a response to send these are all of them, and the host gives the one of
    /// the listener that the request came on. In a received response it is one, which the host names by the quorum's listener.
    /// </summary>
    public IReadOnlyList<RaftEndpoint> LeaderEndpoints { get; init; } = [];
}

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
    /// <summary>The first offset of the responding replica's log; -1 when the response does not say.</summary>
    public long LogStartOffset { get; init; } = -1;

    /// <summary>Set when the logs diverge: the end of the last common epoch in the leader's log.</summary>
    public LogPosition? Diverging { get; init; }

    /// <summary>Set when the leader's log begins after the fetch offset: the snapshot to fetch.</summary>
    public LogPosition? Snapshot { get; init; }

    /// <summary>In a response of the machine: the host adds record batches from this offset on.</summary>
    public long? ReadFrom { get; init; }

    /// <summary>With <see cref="ReadFrom"/>: how many bytes the host adds at most.</summary>
    public int MaxBytes { get; init; }

    /// <summary>Record batches; only the last may be incomplete.</summary>
    public ReadOnlyMemory<byte> Records { get; init; }
}

/// <summary>The response to a <see cref="FetchSnapshotCall"/>.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">The epoch of the responding replica.</param>
/// <param name="Snapshot">The snapshot that was asked for.</param>
/// <param name="Position">Where the piece begins.</param>
public sealed record FetchSnapshotReply(ErrorCode Error, int LeaderId, int Epoch, LogPosition Snapshot, long Position)
    : RaftResponse(Error, LeaderId, Epoch)
{
    /// <summary>
    /// In a response of the machine without an error: the host adds <see cref="Size"/> and <see cref="Bytes"/>, or an error.
    /// </summary>
    public int MaxBytes { get; init; }

    /// <summary>The size of the whole snapshot, in bytes.</summary>
    public long Size { get; init; }

    /// <summary>The piece: cut anywhere, also within a batch.</summary>
    public ReadOnlyMemory<byte> Bytes { get; init; }
}

/// <summary>The response to an <see cref="AddVoterCall"/>. On the wire it names no leader.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="Message">What is wrong, for people; null without an error.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">The epoch of the responding replica.</param>
public sealed record AddVoterReply(ErrorCode Error, string? Message, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The response to a <see cref="RemoveVoterCall"/>. On the wire it names no leader.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="Message">What is wrong, for people; null without an error.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">The epoch of the responding replica.</param>
public sealed record RemoveVoterReply(ErrorCode Error, string? Message, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>The response to an <see cref="UpdateVoterCall"/>.</summary>
public sealed record UpdateVoterReply(ErrorCode Error, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);

/// <summary>A wish of this node's controller, not of the wire: to raise <c>kraft.version</c>.</summary>
/// <param name="Epoch">The epoch that the controller leads.</param>
/// <param name="Version">The new level.</param>
/// <param name="ValidateOnly">Whether only to check if it could be done.</param>
public sealed record UpgradeVersionCall(int Epoch, short Version, bool ValidateOnly) : RaftRequest(Epoch);

/// <summary>The response to an <see cref="UpgradeVersionCall"/>, given when the change is committed.</summary>
/// <param name="Error">Kafka's error code.</param>
/// <param name="Message">What is wrong, for people; null without an error.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">The epoch of the responding replica.</param>
public sealed record UpgradeVersionReply(ErrorCode Error, string? Message, int LeaderId, int Epoch) : RaftResponse(Error, LeaderId, Epoch);
