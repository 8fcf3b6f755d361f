using System.Threading.Tasks.Sources;
using Ottla.Kernel;

namespace Ottla.Broker.Replicas;

/// <summary>One wait of a long poll. It ends when one of its partitions changes, or at its timeout.</summary>
/// <remarks>
/// The waiting request creates it for one wait; an append wakes it. Woken on a network thread, the request continues on that thread as soon
/// as the append is answered, because a running thread is the cheapest. Woken on any other thread, it continues on the thread pool, so that
/// the append is not delayed.
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

    /// <summary>
    /// Waits until one of the <paramref name="watched"/> partitions changes, but no longer than <paramref name="timeout"/>.
    /// </summary>
    /// <param name="watched">The partitions to watch, and which changes end the wait.</param>
    /// <param name="timeout">The longest wait.</param>
    /// <param name="cancellationToken">Ends the wait with an <see cref="OperationCanceledException"/>.</param>
    /// <param name="draining">Ends the wait as a change does.</param>
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
    /// <summary>Registers <paramref name="waiter"/> with each partition: the next append or change of leader wakes it.</summary>
    void Add(DataWaiter waiter);

    /// <summary>Undoes <see cref="Add"/>.</summary>
    void Remove(DataWaiter waiter);

    /// <summary>Whether a partition has changed already. Called after <see cref="Add"/>, so that no change is missed in between.</summary>
    bool HasNews();
}
