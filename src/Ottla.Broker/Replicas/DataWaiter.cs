namespace Ottla.Broker.Replicas;

/// <summary>One wait of a long poll: ends when any of its partitions has news, or when its time is over.</summary>
/// <remarks>Made for one wait, by the request that waits; woken by whoever appends.</remarks>
public sealed class DataWaiter(TimeProvider time)
{
    // The waiter goes on in a task of its own: who appends has other things to do.
    private readonly TaskCompletionSource _woken = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends the wait.</summary>
    public void Wake() => _woken.TrySetResult();

    /// <summary>Waits for news of <paramref name="partitions"/>, at most <paramref name="timeout"/>.</summary>
    /// <param name="partitions">The partitions to watch.</param>
    /// <param name="hasNews">Asked once all are watched: true ends the wait at once, so that nothing is missed in between.</param>
    /// <param name="timeout">The longest wait.</param>
    /// <param name="cancellationToken">Ends the wait with an <see cref="OperationCanceledException"/>.</param>
    public async ValueTask WaitAsync(IReadOnlyList<PartitionReplica> partitions, Func<bool> hasNews, TimeSpan timeout, CancellationToken cancellationToken)
    {
        foreach (var partition in partitions)
            partition.AddWaiter(this);
        try
        {
            if (hasNews())
                return;
            using var timer = time.CreateTimer(static waiter => ((DataWaiter)waiter!).Wake(), this, timeout, Timeout.InfiniteTimeSpan);
            using var cancellation = cancellationToken.UnsafeRegister(static (waiter, token) => ((DataWaiter)waiter!)._woken.TrySetCanceled(token), this);
            await _woken.Task;
        }
        finally
        {
            foreach (var partition in partitions)
                partition.RemoveWaiter(this);
        }
    }
}
