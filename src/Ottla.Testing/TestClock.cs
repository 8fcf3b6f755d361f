namespace Ottla.Testing;

/// <summary>
/// The clock of a test broker. It runs as the real one does, and a test moves it ahead: session time-outs, retention and transaction
/// time-outs happen without waiting for them.
/// </summary>
/// <remarks>
/// Thread-safe. What becomes due on the way fires at its own time: a loop that runs once a second runs sixty times in a minute.
/// </remarks>
public sealed class TestClock : TimeProvider, IDisposable
{
    /// <summary>Between two of so many steps of a long way, what was woken gets real time to work.</summary>
    private const int StepsMax = 200;

    private static readonly TimeSpan StepMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RealPause = TimeSpan.FromMilliseconds(1);

    private readonly Lock _lock = new();
    private readonly SortedSet<TestTimer> _timers = new(TestTimer.ByDueTime);
    private readonly long _startTicks = System.GetUtcNow().UtcTicks;
    private readonly long _startedAt = System.GetTimestamp();
    private readonly ITimer _wake;
    private long _aheadTicks;
    private long _timersMade;

    /// <summary>Makes a clock that shows the real time.</summary>
    public TestClock() =>
        _wake = System.CreateTimer(static clock => ((TestClock)clock!).FireDue(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>How far it is ahead of the real clock.</summary>
    public TimeSpan Ahead
    {
        get
        {
            lock (_lock)
                return TimeSpan.FromTicks(_aheadTicks);
        }
    }

    /// <summary>Moves the clock ahead, and lets the broker keep up with it.</summary>
    /// <param name="by">How far; not below zero.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="by"/> is negative.</exception>
    public async Task AdvanceAsync(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        var step = by / StepsMax < StepMin ? StepMin : by / StepsMax;
        for (var left = by; left > TimeSpan.Zero; left -= step)
        {
            Advance(left < step ? left : step);
            await Task.Delay(RealPause, System);
        }
    }

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
            return new DateTimeOffset(NowTicks, TimeSpan.Zero);
    }

    /// <inheritdoc/>
    public override long GetTimestamp() => GetUtcNow().UtcTicks;

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        TestTimer timer;
        lock (_lock)
            timer = new TestTimer(this, callback, state, ++_timersMade);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <inheritdoc/>
    public void Dispose() => _wake.Dispose();

    private long NowTicks => _startTicks + System.GetElapsedTime(_startedAt).Ticks + _aheadTicks;

    private void Advance(TimeSpan by)
    {
        long end;
        lock (_lock)
            end = NowTicks + by.Ticks;
        while (true)
        {
            TestTimer? next;
            lock (_lock)
            {
                next = _timers.Min is { } first && first.DueTicks <= end ? first : null;
                _aheadTicks += Math.Max(0, (next?.DueTicks ?? end) - NowTicks);
                next?.Rearm();
                WakeForFirst();
            }

            if (next is null)
                return;
            next.Fire();
        }
    }

    private void FireDue()
    {
        while (true)
        {
            TestTimer next;
            lock (_lock)
            {
                if (_timers.Min is not { } first || first.DueTicks > NowTicks)
                {
                    WakeForFirst();
                    return;
                }

                next = first;
                next.Rearm();
            }

            next.Fire();
        }
    }

    /// <summary>Has the real clock wake this one when its first timer is due. Under the lock.</summary>
    private void WakeForFirst()
    {
        var dueTime = _timers.Min is { } first
            ? TimeSpan.FromMilliseconds(Math.Ceiling(TimeSpan.FromTicks(Math.Max(0, first.DueTicks - NowTicks)).TotalMilliseconds))
            : Timeout.InfiniteTimeSpan;
        var longest = TimeSpan.FromDays(1); // what is due later is looked at again
        _wake.Change(dueTime > longest ? longest : dueTime, Timeout.InfiniteTimeSpan);
    }

    private sealed class TestTimer(TestClock clock, TimerCallback callback, object? state, long number) : ITimer
    {
        private TimeSpan _period;

        public static IComparer<TestTimer> ByDueTime { get; } = Comparer<TestTimer>.Create(
            (one, other) => (one.DueTicks, one.Number).CompareTo((other.DueTicks, other.Number)));

        /// <summary>When it is due; of use while it is in the set of timers only.</summary>
        public long DueTicks { get; private set; }

        private long Number => number;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._lock)
            {
                clock._timers.Remove(this);
                _period = period;
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    DueTicks = clock.NowTicks + dueTime.Ticks;
                    clock._timers.Add(this);
                }

                clock.WakeForFirst();
            }

            return true;
        }

        /// <summary>Sets it to its next time, if it has one. Under the lock.</summary>
        public void Rearm()
        {
            clock._timers.Remove(this);
            if (_period <= TimeSpan.Zero)
                return;
            DueTicks += _period.Ticks;
            clock._timers.Add(this);
        }

        public void Fire() => callback(state);

        public void Dispose()
        {
            lock (clock._lock)
                clock._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
