using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <summary>Appended records that are acknowledged once all in-sync replicas hold them.</summary>
/// <remarks>
/// Created after the append of a producer, a transaction marker or a coordinator. A value without resources: it can be dropped at any time.
/// </remarks>
/// <param name="Replica">Their partition.</param>
/// <param name="Offset">The offset after the last record.</param>
public readonly record struct CommitWait(PartitionReplica Replica, long Offset) : IWatched
{
    /// <summary>The records of an append; of the original one, if this was a producer's retry.</summary>
    public static CommitWait For(PartitionReplica replica, in LogAppendResult appended) => new(replica, appended.LastOffset + 1);

    /// <summary>Whether they are committed.</summary>
    public bool IsCommitted => Replica.Log.HighWatermark >= Offset;

    /// <summary>Waits until they are committed. At once, when they are.</summary>
    /// <param name="deadline">When the wait ends at the latest.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>NOT_LEADER_OR_FOLLOWER when this broker no longer leads the partition; REQUEST_TIMED_OUT after the deadline.</returns>
    /// <exception cref="OperationCanceledException">The connection is closed.</exception>
    public async ValueTask<ErrorCode> WaitAsync(Instant deadline, TimeProvider time, CancellationToken cancellationToken)
    {
        while (!IsCommitted)
        {
            if (!Replica.Leadership.IsLeaderHere)
                return ErrorCode.NotLeaderOrFollower;
            var remainingMs = deadline.MillisecondsSince(Instant.Now(time));
            if (remainingMs <= 0)
                return ErrorCode.RequestTimedOut;
            // Checked after the waiter is registered, so that no commit is missed.
            await new DataWaiter(time).WaitAsync(
                this, TimeSpan.FromMilliseconds(Math.Min(remainingMs, int.MaxValue)), cancellationToken);
        }

        return ErrorCode.None;
    }

    void IWatched.Add(DataWaiter waiter) => Replica.AddWaiter(waiter);

    void IWatched.Remove(DataWaiter waiter) => Replica.RemoveWaiter(waiter);

    bool IWatched.HasNews() => IsCommitted || !Replica.Leadership.IsLeaderHere;
}
