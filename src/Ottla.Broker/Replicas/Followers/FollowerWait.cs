using System.Threading.Tasks.Sources;
using Ottla.Kernel;

namespace Ottla.Broker.Replicas.Followers;

/// <summary>The wait of a follower's fetch for news, used again by each fetch of its session.</summary>
/// <remarks>
/// One fetch at a time waits: it clears the signal, looks for news, and waits if there are none. Any thread signals; a signal that comes
/// before the wait ends it at once, so no news are missed. As with <see cref="DataWaiter"/>, a fetch that an append on a network thread
/// wakes goes on there once the append is answered.
/// </remarks>
internal sealed class FollowerWait : IValueTaskSource, IThreadPoolWorkItem, IDisposable
{
    private readonly ITimer _timer;
    private ManualResetValueTaskSourceCore<bool> _woken;
    private bool _isSignaled;
    private bool _isWaiting;

    /// <summary>A wait that nobody waits for yet.</summary>
    public FollowerWait(TimeProvider time) =>
        _timer = time.CreateTimer(
            static wait => ((FollowerWait)wait!).Signal(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>Ends the wait that is on, or the next one.</summary>
    public void Signal()
    {
        // Who has set it sees to the wake-up; and the fetch clears it before it looks for news.
        if (Volatile.Read(ref _isSignaled) || Interlocked.Exchange(ref _isSignaled, true))
            return;
        if (Interlocked.Exchange(ref _isWaiting, false))
            Resume();
    }

    /// <summary>Forgets earlier signals. The caller looks for news afterwards.</summary>
    public void Clear() => Interlocked.Exchange(ref _isSignaled, false);

    /// <summary>Waits for a signal since the last <see cref="Clear"/>, but no longer than <paramref name="timeout"/>.</summary>
    public ValueTask WaitAsync(TimeSpan timeout)
    {
        _woken.Reset();
        _timer.Change(timeout, Timeout.InfiniteTimeSpan);
        Interlocked.Exchange(ref _isWaiting, true);
        return Volatile.Read(ref _isSignaled) && Interlocked.Exchange(ref _isWaiting, false)
            ? ValueTask.CompletedTask
            : new ValueTask(this, _woken.Version);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    void IThreadPoolWorkItem.Execute() => _woken.SetResult(true);

    void IValueTaskSource.GetResult(short token) => _woken.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _woken.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _woken.OnCompleted(continuation, state, token, flags);

    private void Resume()
    {
        if (HandlerThread.Current is { } thread)
        {
            _woken.RunContinuationsAsynchronously = false;
            thread.Defer(this);
            return;
        }

        _woken.RunContinuationsAsynchronously = true;
        _woken.SetResult(true);
    }
}
