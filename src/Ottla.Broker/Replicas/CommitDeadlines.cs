using Ottla.Kernel;

namespace Ottla.Broker.Replicas;

#pragma warning disable CA1001 // The timer runs only while requests wait; without them it holds nothing.
/// <summary>Ends the waits for commits whose time is over: one timer for all requests of a broker.</summary>
/// <remarks>
/// The timer is set to the earliest deadline that it has not seen yet. Most waits are over long before theirs, so it fires about once in
/// the time-out of a request, however many requests there are. Thread-safe; lives as long as the broker.
/// </remarks>
/// <param name="time">The clock.</param>
public sealed class CommitDeadlines(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly List<CommitWaiter> _waiting = [];
    private ITimer? _timer;
    private Instant? _timerSetFor;

    /// <summary>How many requests wait.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _waiting.Count;
        }
    }

    /// <summary>Watches a wait.</summary>
    internal void Add(CommitWaiter waiter, Instant deadline)
    {
        lock (_lock)
        {
            waiter.Deadline = deadline;
            waiter.Place = _waiting.Count;
            _waiting.Add(waiter);
            if (_timerSetFor is not { } set || deadline < set)
                SetTimer(deadline);
        }
    }

    /// <summary>The wait is over.</summary>
    internal void Remove(CommitWaiter waiter)
    {
        lock (_lock)
        {
            var last = _waiting[^1];
            _waiting[waiter.Place] = last;
            last.Place = waiter.Place;
            _waiting.RemoveAt(_waiting.Count - 1);
        }
    }

    private void OnTimer()
    {
        CommitWaiter? claimed = null;
        lock (_lock)
        {
            var now = Instant.Now(time);
            _timerSetFor = null;
            Instant? earliest = null;
            foreach (var waiter in _waiting)
            {
                if (waiter.Deadline > now)
                {
                    if (earliest is not { } known || waiter.Deadline < known)
                        earliest = waiter.Deadline;
                    continue;
                }

                waiter.Expire();
                if (waiter.TryClaim()) // otherwise the thread that goes on with it sees that it has expired
                    (waiter.NextClaimed, claimed) = (claimed, waiter);
            }

            if (earliest is { } next)
                SetTimer(next);
        }

        while (claimed is { } waiter)
        {
            (claimed, waiter.NextClaimed) = (waiter.NextClaimed, null);
            waiter.Resume(isListed: true);
        }
    }

    private void SetTimer(Instant due)
    {
        _timerSetFor = due;
        var left = TimeSpan.FromMilliseconds(Math.Clamp(due.MillisecondsSince(Instant.Now(time)), 0, int.MaxValue));
        if (_timer is null)
            _timer = time.CreateTimer(
                static deadlines => ((CommitDeadlines)deadlines!).OnTimer(), this, left, Timeout.InfiniteTimeSpan);
        else
            _timer.Change(left, Timeout.InfiniteTimeSpan);
    }
}
