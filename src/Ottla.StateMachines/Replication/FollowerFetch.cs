using Ottla.Kernel;

namespace Ottla.StateMachines.Replication;

/// <summary>A fetch of a follower that the leader has checked and read for: what it says about the follower's log.</summary>
/// <param name="ReplicaId">The follower.</param>
/// <param name="BrokerEpoch">The epoch of its registration; -1 when the version of its request has none.</param>
/// <param name="LeaderEpoch">The leader epoch in which it was checked and read.</param>
/// <param name="FetchOffset">Its log's end.</param>
/// <param name="LogStartOffset">Its log's start.</param>
/// <param name="LeaderEndOffset">The end of the leader's log, captured by the read.</param>
/// <param name="Now">When the fetch arrived.</param>
public readonly record struct FollowerFetch(
    int ReplicaId, long BrokerEpoch, int LeaderEpoch, long FetchOffset, long LogStartOffset, long LeaderEndOffset, Instant Now);

/// <summary>What a fetch says that the leader did not know.</summary>
[Flags]
public enum FollowerMoves
{
    /// <summary>Nothing that others depend on.</summary>
    None = 0,

    /// <summary>The follower's log ends elsewhere.</summary>
    End = 1,

    /// <summary>The follower's log starts elsewhere.</summary>
    LogStart = 2,
}
