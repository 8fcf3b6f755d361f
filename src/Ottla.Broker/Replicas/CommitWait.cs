using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <summary>Records that were appended and are acknowledged once they are committed: held by all in-sync replicas.</summary>
/// <remarks>
/// Made by the one who appended (Produce, transaction markers, coordinators). A value: it holds nothing and may be dropped.
/// </remarks>
/// <param name="Replica">The partition that they are in.</param>
/// <param name="Offset">The offset after the last of them.</param>
public readonly record struct CommitWait(PartitionReplica Replica, long Offset) : IWatched
{
    /// <summary>The records of an append; of the original one, if this was a producer's retry.</summary>
    public static CommitWait For(PartitionReplica replica, in LogAppendResult appended) => new(replica, appended.LastOffset + 1);

    /// <summary>Whether they are committed.</summary>
    public bool IsCommitted => Replica.Log.HighWatermark >= Offset;

    /// <summary>Waits until they are committed. At once, when they are.</summary>
    /// <param name="deadline">The latest end of the wait.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>NOT_LEADER_OR_FOLLOWER when this broker leads the partition no more, REQUEST_TIMED_OUT after the deadline.</returns>
    /// <exception cref="OperationCanceledException">Nobody waits any more.</exception>
    public async ValueTask<ErrorCode> WaitAsync(Instant deadline, TimeProvider time, CancellationToken cancellationToken)
    {
        while (!IsCommitted)
        {
            if (!Replica.Leadership.IsLeaderHere)
                return ErrorCode.NotLeaderOrFollower;
            var remainingMs = deadline.MillisecondsSince(Instant.Now(time));
            if (remainingMs <= 0)
                return ErrorCode.RequestTimedOut;
            // Asked after the waiter is registered, about what is waited for and not about what was seen before: no commit is missed.
            await new DataWaiter(time).WaitAsync(
                this, TimeSpan.FromMilliseconds(Math.Min(remainingMs, int.MaxValue)), cancellationToken);
        }

        return ErrorCode.None;
    }

    void IWatched.Add(DataWaiter waiter) => Replica.AddWaiter(waiter);

    void IWatched.Remove(DataWaiter waiter) => Replica.RemoveWaiter(waiter);

    bool IWatched.HasNews() => IsCommitted || !Replica.Leadership.IsLeaderHere;
}
