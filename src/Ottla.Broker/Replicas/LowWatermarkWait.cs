using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Broker.Replicas;

/// <summary>Deleted records, of which the replicas on live brokers are to know. A value without resources.</summary>
/// <param name="Replica">Their partition.</param>
/// <param name="Offset">The log start offset that all are to reach.</param>
public readonly record struct LowWatermarkWait(PartitionReplica Replica, long Offset) : IWatched
{
    /// <summary>Waits until all have reached it. At once, when they have.</summary>
    /// <param name="deadline">When the wait ends at the latest.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The low watermark then; with REQUEST_TIMED_OUT the one after the deletion.</returns>
    /// <exception cref="OperationCanceledException">The connection is closed.</exception>
    public async ValueTask<DeleteRecordsOutcome> WaitAsync(Instant deadline, TimeProvider time, CancellationToken cancellationToken)
    {
        var first = Replica.LowWatermark;
        while (true)
        {
            if (Look() is { } outcome)
                return outcome;
            var remainingMs = deadline.MillisecondsSince(Instant.Now(time));
            if (remainingMs <= 0)
                return new DeleteRecordsOutcome(ErrorCode.RequestTimedOut, first);
            await new DataWaiter(time).WaitAsync(
                this, TimeSpan.FromMilliseconds(Math.Min(remainingMs, int.MaxValue)), cancellationToken);
        }
    }

    void IWatched.Add(DataWaiter waiter) => Replica.AddWaiter(waiter);

    void IWatched.Remove(DataWaiter waiter) => Replica.RemoveWaiter(waiter);

    bool IWatched.HasNews() => Look() is not null;

    /// <summary>What became of the deletion; null while that is open.</summary>
    private DeleteRecordsOutcome? Look()
    {
        var lowWatermark = Replica.LowWatermark;
        if (Replica.CheckLeader(currentLeaderEpoch: -1) is not ErrorCode.None and var error)
            return new DeleteRecordsOutcome(error, -1);
        return lowWatermark >= Offset ? new DeleteRecordsOutcome(ErrorCode.None, lowWatermark) : null;
    }
}
