namespace Ottla.Client.Calls;

/// <summary>The bound of one call of the client: a time and the caller's token. Disposed when the call ends.</summary>
internal sealed class CallDeadline : IDisposable
{
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource _over;
    private readonly CancellationTokenSource _either;
    private readonly TimeProvider _time;
    private readonly TimeSpan _timeout;
    private readonly long _startedAt;

    /// <param name="timeout">How long the call may take.</param>
    /// <param name="time">The clock.</param>
    /// <param name="caller">The caller's token.</param>
    public CallDeadline(TimeSpan timeout, TimeProvider time, CancellationToken caller)
    {
        _caller = caller;
        _time = time;
        _timeout = timeout;
        _startedAt = time.GetTimestamp();
        _over = new CancellationTokenSource(timeout, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(caller, _over.Token);
    }

    /// <summary>Is cancelled when the time is over, or by the caller.</summary>
    public CancellationToken Token => _either.Token;

    /// <summary>The time that is left; not negative.</summary>
    public TimeSpan Left
    {
        get
        {
            var left = _timeout - _time.GetElapsedTime(_startedAt);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>Whether the time is over, as opposed to the caller's token being cancelled.</summary>
    public bool IsOver => _over.IsCancellationRequested && !_caller.IsCancellationRequested;

    /// <summary>What to throw when the time is over.</summary>
    /// <param name="what">What was to be done: "Producing to topic a".</param>
    /// <param name="lastFailure">Why it was not done, if that is known.</param>
    /// <param name="cause">The last failure.</param>
    public KafkaTimeoutException TimedOut(string what, string? lastFailure, Exception? cause) =>
        new($"{what} took longer than {_timeout.TotalMilliseconds} ms{(lastFailure is null ? "" : $": {lastFailure}")}", cause);

    /// <inheritdoc/>
    public void Dispose()
    {
        _either.Dispose();
        _over.Dispose();
    }
}
