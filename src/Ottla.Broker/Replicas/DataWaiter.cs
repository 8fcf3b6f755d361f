using System.Threading.Tasks.Sources;
using Ottla.Kernel;

namespace Ottla.Broker.Replicas;

/// <summary>One wait of a long poll: ends when any of its partitions has news, or when its time is over.</summary>
/// <remarks>
/// Made for one wait, by the request that waits; woken by whoever appends. A waiter woken on a thread of the network goes on there once the append is
/// answered: nothing is cheaper than a thread that is running already. Elsewhere it goes on in a task of its own, for who appends has other things to do.
/// </remarks>
public sealed class DataWaiter(TimeProvider time) : IValueTaskSource, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<bool> _woken;
    private bool _isWoken;

    /// <summary>Ends the wait.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _isWoken, true))
            return;
        if (HandlerThread.Current is { } thread)
        {
            thread.Defer(this);
            return;
        }

        _woken.RunContinuationsAsynchronously = true;
        _woken.SetResult(true);
    }

    /// <summary>Waits for news of what is <paramref name="watched"/>, at most <paramref name="timeout"/>.</summary>
    /// <param name="watched">The partitions to watch, and what is news of them.</param>
    /// <param name="timeout">The longest wait.</param>
    /// <param name="cancellationToken">Ends the wait with an <see cref="OperationCanceledException"/>.</param>
    /// <param name="draining">Ends the wait as news does.</param>
    public async ValueTask WaitAsync<TWatched>(
        TWatched watched, TimeSpan timeout, CancellationToken cancellationToken, CancellationToken draining = default)
        where TWatched : struct, IWatched
    {
        watched.Add(this);
        try
        {
            if (watched.HasNews())
                return;
            using var timer = time.CreateTimer(static waiter => ((DataWaiter)waiter!).Wake(), this, timeout, Timeout.InfiniteTimeSpan);
            using var drain = draining.UnsafeRegister(static waiter => ((DataWaiter)waiter!).Wake(), this);
            using var cancellation = cancellationToken.UnsafeRegister(static waiter => ((DataWaiter)waiter!).Wake(), this);
            await new ValueTask(this, _woken.Version);
            cancellationToken.ThrowIfCancellationRequested();
        }
        finally
        {
            watched.Remove(this);
        }
    }

    void IThreadPoolWorkItem.Execute() => _woken.SetResult(true);

    void IValueTaskSource.GetResult(short token) => _woken.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _woken.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _woken.OnCompleted(continuation, state, token, flags);
}

/// <summary>The partitions that a <see cref="DataWaiter"/> watches for one wait. A value: it lives in the wait.</summary>
public interface IWatched
{
    /// <summary>Has each partition wake <paramref name="waiter"/> at its next append or change of leader.</summary>
    void Add(DataWaiter waiter);

    /// <summary>Ends what <see cref="Add"/> began.</summary>
    void Remove(DataWaiter waiter);

    /// <summary>Whether the wait is over. Asked after <see cref="Add"/>, so that no news is missed in between.</summary>
    bool HasNews();
}
