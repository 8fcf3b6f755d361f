namespace Ottla.StateMachines.Raft;

/// <summary>The state of a replica as DescribeQuorum (KIP-595, 853) tells it.</summary>
/// <param name="Key">The replica.</param>
/// <param name="LogEndOffset">Where its log ends; -1 when not known.</param>
/// <param name="LastFetchTimestampMs">When it last fetched; -1 when it never did.</param>
/// <param name="LastCaughtUpTimestampMs">When it last had everything; -1 when it never had.</param>
public readonly record struct ReplicaInfo(ReplicaKey Key, long LogEndOffset, long LastFetchTimestampMs, long LastCaughtUpTimestampMs);

/// <summary>A snapshot of the quorum for DescribeQuorum and metrics. Immutable.</summary>
/// <param name="Role">What this replica is.</param>
/// <param name="LeaderId">The leader; -1 for none.</param>
/// <param name="Epoch">The quorum epoch.</param>
/// <param name="HighWatermark">The first offset that is not committed; -1 when not known.</param>
/// <param name="KRaftVersion">The <c>kraft.version</c> in force.</param>
/// <param name="VoterSet">The voters with their endpoints.</param>
/// <param name="Voters">The state of each voter; only a leader knows that of others.</param>
/// <param name="Observers">The state of each observer; empty when this replica does not lead.</param>
public sealed record QuorumInfo(
    RaftRole Role,
    int LeaderId,
    int Epoch,
    long HighWatermark,
    short KRaftVersion,
    VoterSet VoterSet,
    IReadOnlyList<ReplicaInfo> Voters,
    IReadOnlyList<ReplicaInfo> Observers);
