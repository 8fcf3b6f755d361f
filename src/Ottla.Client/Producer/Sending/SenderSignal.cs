using System.Threading.Tasks.Sources;
using Ottla.Kernel;

namespace Ottla.Client.Producing;

/// <summary>Wakes the sender's loop, at once or at a time. As <see cref="LoopSignal"/>, but it allocates nothing.</summary>
/// <remarks>Owned by the loop, which alone waits for it; <see cref="Set"/> may be called from anywhere.</remarks>
internal sealed class SenderSignal : IValueTaskSource, IDisposable
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private bool _isWaiting;
    private bool _isSet;

    /// <param name="time">The clock.</param>
    public SenderSignal(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(static signal => ((SenderSignal)signal!).Set(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Wakes the loop, now or when it waits the next time.</summary>
    public void Set()
    {
        lock (_lock)
        {
            if (!_isWaiting)
            {
                _isSet = true;
                return;
            }

            _isWaiting = false;
        }

        _core.SetResult(true);
    }

    /// <summary>Waits until the signal is set, or until a time; null to wait for the signal alone.</summary>
    public ValueTask WaitAsync(Instant? deadline)
    {
        lock (_lock)
        {
            if (_isSet)
            {
                _isSet = false;
                return ValueTask.CompletedTask;
            }

            _core.Reset();
            _isWaiting = true;
        }

        if (deadline is { } at)
        {
            var left = Math.Clamp(at.MillisecondsSince(Instant.Now(_time)), 0, int.MaxValue);
            _timer.Change(TimeSpan.FromMilliseconds(left), Timeout.InfiniteTimeSpan);
        }

        return new ValueTask(this, _core.Version);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    /// <inheritdoc/>
    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    /// <inheritdoc/>
    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    /// <inheritdoc/>
    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
