namespace Ottla.Kernel;

/// <summary>Wakes one loop, at once or at a time.</summary>
/// <param name="time">The clock.</param>
/// <remarks>
/// Owned by the loop, which alone waits for it; <see cref="Set"/> may be called from anywhere. A signal that is set while the loop is at
/// work is kept until it waits. The loop continues on the scheduler that it waited on.
/// </remarks>
public sealed class LoopSignal(TimeProvider time)
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _waiter;
    private bool _isSet;

    /// <summary>Wakes the loop, now or when it waits the next time.</summary>
    public void Set()
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            waiter = _waiter;
            _waiter = null;
            _isSet = waiter is null;
        }

        waiter?.TrySetResult();
    }

    /// <summary>Waits until the signal is set, or until a time.</summary>
    /// <param name="deadline">The time; null to wait for the signal alone.</param>
    /// <param name="cancellation">Ends the wait with an exception.</param>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public async Task WaitAsync(Instant? deadline, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_isSet)
            {
                _isSet = false;
                return;
            }

            _waiter = waiter;
        }

        using var registration = cancellation.UnsafeRegister(
            static (waiter, token) => ((TaskCompletionSource)waiter!).TrySetCanceled(token), waiter);
        using var timer = deadline is { } at ? TimerUntil(at) : null;
        try
        {
            await waiter.Task;
        }
        finally
        {
            lock (_lock)
                _waiter = null;
        }
    }

    private ITimer TimerUntil(Instant deadline)
    {
        var left = Math.Clamp(deadline.MillisecondsSince(Instant.Now(time)), 0, int.MaxValue);
        return time.CreateTimer(
            static signal => ((LoopSignal)signal!).Set(), this, TimeSpan.FromMilliseconds(left), Timeout.InfiniteTimeSpan);
    }
}
