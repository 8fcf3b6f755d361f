namespace Ottla.Requests;

/// <summary>Time-outs: one timer for the earliest of them.</summary>
public sealed partial class RequestChannel
{
    private long DeadlineOf(PendingRequest request)
    {
        var ticks = request.Timeout.TotalSeconds * _time.TimestampFrequency;
        return ticks < long.MaxValue - request.StartedAt ? request.StartedAt + (long)Math.Ceiling(ticks) : long.MaxValue;
    }

    /// <summary>Has the timer fire at a deadline, unless it fires earlier. Called under the lock.</summary>
    private void SetTimer(long deadline)
    {
        if (deadline >= _timerDueAt)
            return;
        _timerDueAt = deadline;
        var wait = _time.GetElapsedTime(_time.GetTimestamp(), deadline);
        _timer.Change(wait > TimeSpan.Zero ? Rounded(wait) : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Up to a whole millisecond, and no more than a timer can wait.</summary>
    private static TimeSpan Rounded(TimeSpan wait) =>
        TimeSpan.FromMilliseconds(Math.Min(Math.Ceiling(wait.TotalMilliseconds), int.MaxValue));

    private void OnTimer()
    {
        List<PendingRequest> late;
        (ChannelConnection Connection, PendingRequest Request)? silent = null;
        lock (_lock)
        {
            if (_isClosed)
                return;
            _timerDueAt = long.MaxValue;
            late = TakeLateFromWaiting();
            foreach (var request in _connection?.InFlight() ?? [])
            {
                if (!IsLate(request))
                {
                    SetTimer(DeadlineOf(request));
                    continue;
                }

                // A peer that has sent nothing since is taken for dead. One that answers others may still answer this: nobody waits for it.
                if (_connection!.ReceivedBytes == request.ReceivedBefore)
                    silent = (_connection, request);
                late.Add(request);
                request.ReceivedBefore = _connection.ReceivedBytes;
                request.StartedAt = _time.GetTimestamp();
                SetTimer(DeadlineOf(request));
            }
        }

        if (silent is { } dead)
            Break(dead.Connection, $"nothing arrived for {dead.Request.Timeout.TotalMilliseconds} ms");
        foreach (var request in late)
            request.Fail(TimedOut(request));
    }

    private List<PendingRequest> TakeLateFromWaiting()
    {
        var late = new List<PendingRequest>();
        for (var count = _waiting.Count; count > 0; count--)
        {
            var request = _waiting.Dequeue();
            if (request.IsOver)
                continue;
            if (IsLate(request))
            {
                late.Add(request);
                continue;
            }

            _waiting.Enqueue(request);
            SetTimer(DeadlineOf(request));
        }

        return late;
    }

    private bool IsLate(PendingRequest request) => _time.GetTimestamp() >= DeadlineOf(request);

    private RequestFailedException TimedOut(PendingRequest request)
    {
        var waited = $"{request.Timeout.TotalMilliseconds} ms";
        if (request.WasSent)
            return new RequestFailedException(
                RequestFailureKind.TimedOut, mayHaveBeenExecuted: true, $"{Address} did not answer {request.Key} within {waited}.");
        string reason;
        lock (_lock)
            reason = _connection is null ? $"no connection was made within {waited}; the last attempt: {_lastFailure}"
                : $"it waited {waited} behind others";
        return NotSent(RequestFailureKind.TimedOut, reason);
    }
}
