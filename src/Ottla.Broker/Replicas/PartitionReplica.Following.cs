using Ottla.Kernel;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Replicas;

/// <summary>What became of a fetcher's change to the log of a follower.</summary>
internal enum FollowerOutcome
{
    /// <summary>It was made.</summary>
    Done,

    /// <summary>The log ends elsewhere by now: nothing was changed.</summary>
    Moved,

    /// <summary>The replica does not follow in this epoch any more: nothing was changed.</summary>
    NotFollowing,
}

/// <content>The replica as a follower: what its fetcher brings.</content>
public sealed partial class PartitionReplica
{
    /// <summary>Where the log stands, for a fetch to go on from there.</summary>
    internal FetcherPosition PositionAsFollower() => PositionOf(Log.FollowerPosition());

    /// <summary>Whether the follower's throttle applies to this replica.</summary>
    internal bool IsThrottledAsFollower(int brokerId) =>
        _settings.Topic.FollowerReplicationThrottledReplicas is { Count: > 0 } replicas
        && ReplicationThrottle.Names(replicas, Partition.Partition, brokerId);

    /// <summary>
    /// Takes an answer of the leader over: appends the records as they are, then the high watermark as far as the log goes, then the log
    /// start.
    /// </summary>
    /// <param name="fetched">The answer.</param>
    /// <param name="now">The time.</param>
    /// <param name="position">Where the log stands afterwards.</param>
    /// <exception cref="LogException">The records are damaged, or the disk fails. Nothing was appended.</exception>
    internal FollowerOutcome TakeFetched(in FetchedBatches fetched, Instant now, out FetcherPosition position)
    {
        var isTaken = Log.TryTakeFetched(fetched, now, out var progress);
        position = PositionOf(progress.Position);
        if (!isTaken)
            return progress.IsFollowing ? FollowerOutcome.Moved : FollowerOutcome.NotFollowing;
        Traffic.CountFetched(fetched.Records.Length);
        var change = (progress.HasAppended ? ReplicaChange.Appended : ReplicaChange.None)
            | (progress.HasMovedHighWatermark ? ReplicaChange.HighWatermark : ReplicaChange.None)
            | (progress.HasMovedLogStart ? ReplicaChange.LogStart : ReplicaChange.None);
        if (change != ReplicaChange.None)
            Announce(change); // consumers that read here (KIP-392) see it, when the high watermark moved
        return FollowerOutcome.Done;
    }

    /// <summary>Cuts the log, which must end at <paramref name="expectedEnd"/>.</summary>
    /// <exception cref="LogException">The disk fails.</exception>
    internal FollowerOutcome TruncateTo(LogManager logs, long offset, int leaderEpoch, long expectedEnd)
    {
        var result = logs.Truncate(Log, offset, leaderEpoch, expectedEnd);
        if (result == FollowerTruncation.Truncated)
            Announce(ReplicaChange.Appended | ReplicaChange.HighWatermark);
        return result == FollowerTruncation.TooLate ? FollowerOutcome.NotFollowing
            : result == FollowerTruncation.Moved ? FollowerOutcome.Moved
            : FollowerOutcome.Done;
    }

    /// <summary>Drops everything; the log begins at <paramref name="offset"/>, where the leader's begins.</summary>
    /// <exception cref="LogException">The disk fails.</exception>
    internal FollowerOutcome RestartAt(LogManager logs, long offset, int leaderEpoch)
    {
        if (!logs.TryTruncateFullyAndStartAt(Log, offset, leaderEpoch))
            return FollowerOutcome.NotFollowing;
        Announce(ReplicaChange.Appended | ReplicaChange.HighWatermark | ReplicaChange.LogStart);
        return FollowerOutcome.Done;
    }

    private static FetcherPosition PositionOf(in FollowerLogPosition position) =>
        new(position.EndOffset, position.LatestEpoch, position.LogStartOffset);
}
