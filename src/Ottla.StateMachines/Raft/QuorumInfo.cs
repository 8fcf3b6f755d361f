namespace Ottla.StateMachines.Raft;

/// <summary>The state of a replica as DescribeQuorum (KIP-595, 853) reports it.</summary>
/// <param name="Key">The replica.</param>
/// <param name="LogEndOffset">The end offset of its log; -1 when unknown.</param>
/// <param name="LastFetchTimestampMs">The time of its last fetch; -1 when it never fetched.</param>
/// <param name="LastCaughtUpTimestampMs">The time when it last had all records; -1 when it never had.</param>
public readonly record struct ReplicaInfo(ReplicaKey Key, long LogEndOffset, long LastFetchTimestampMs, long LastCaughtUpTimestampMs);

/// <summary>A snapshot of the quorum for DescribeQuorum and metrics. Immutable.</summary>
/// <param name="Role">The role of this replica.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">The epoch of the quorum.</param>
/// <param name="HighWatermark">The first offset that is not committed; -1 when unknown.</param>
/// <param name="KRaftVersion">The current <c>kraft.version</c>.</param>
/// <param name="VoterSet">The voters with their endpoints.</param>
/// <param name="Voters">The state of each voter. Only the leader knows the state of the others.</param>
/// <param name="Observers">The state of each observer; empty on a replica that is not the leader.</param>
public sealed record QuorumInfo(
    RaftRole Role,
    int LeaderId,
    int Epoch,
    long HighWatermark,
    short KRaftVersion,
    VoterSet VoterSet,
    IReadOnlyList<ReplicaInfo> Voters,
    IReadOnlyList<ReplicaInfo> Observers);
