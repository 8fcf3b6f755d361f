namespace Ottla.UnitTests.Broker;

/// <summary>
/// The clock of a whole node under test. It stands still until a test moves it, and reports when a timer of a certain length is created.
/// </summary>
/// <remarks>
/// It differs from <c>FakeTimeProvider</c>, which the other tests use: here each timer fires at its own time. A loop of the node that waits
/// a second each time therefore runs sixty times when the clock moves by a minute, as it would in a minute. One clock per node;
/// thread-safe.
/// </remarks>
internal sealed class TestClock : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<TestTimer> _timers = [];
    private readonly List<(TimeSpan DueTime, TaskCompletionSource Created)> _awaited = [];
    private DateTimeOffset _now = new(2026, 1, 2, 0, 0, 0, TimeSpan.Zero);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>Milliseconds since the epoch.</summary>
    public long NowMs => GetUtcNow().ToUnixTimeMilliseconds();

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
            return _now;
    }

    public override long GetTimestamp() => GetUtcNow().UtcTicks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new TestTimer(this, callback, state);
        lock (_lock)
        {
            _timers.Add(timer);
            timer.Change(dueTime, period);
            foreach (var (_, created) in _awaited.Where(each => each.DueTime == dueTime))
                created.TrySetResult();
            _awaited.RemoveAll(each => each.DueTime == dueTime);
        }

        return timer;
    }

    /// <summary>
    /// Completes when the next timer of exactly this length is created. Call it before the action that creates the timer.
    /// </summary>
    public Task NextTimerAsync(long dueMs)
    {
        var created = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
            _awaited.Add((TimeSpan.FromMilliseconds(dueMs), created));
        return created.Task.WaitAsync(TestNode.Patience);
    }

    /// <summary>Moves the clock and fires what becomes due, each timer at its own time.</summary>
    public void AdvanceMs(long milliseconds)
    {
        var end = GetUtcNow() + TimeSpan.FromMilliseconds(milliseconds);
        while (true)
        {
            TestTimer? next;
            lock (_lock)
            {
                next = _timers.Where(timer => timer.DueAt <= end).MinBy(timer => timer.DueAt);
                _now = next is null ? end : next.DueAt > _now ? next.DueAt : _now;
            }

            if (next is null)
                return;
            next.Fire();
        }
    }

    /// <summary>
    /// Moves the clock and fires nothing, as if the process had stood still. What became due fires with the next <see cref="AdvanceMs"/>.
    /// </summary>
    public void SkipMs(long milliseconds)
    {
        lock (_lock)
            _now += TimeSpan.FromMilliseconds(milliseconds);
    }

    /// <summary>Moves the clock step by step until something happened.</summary>
    public async Task AdvanceUntilAsync(Task happened, long stepMs)
    {
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        while (!happened.IsCompleted)
        {
            Assert.True(Environment.TickCount64 < deadline, "nothing happened however far the clock went");
            AdvanceMs(stepMs);
            await Task.WhenAny(happened, Task.Delay(1)); // the node's tasks have to keep up with its clock, or their time-outs expire
        }

        await happened;
    }

    private sealed class TestTimer(TestClock owner, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period;

        public DateTimeOffset DueAt { get; private set; } = DateTimeOffset.MaxValue;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (owner._lock)
            {
                _period = period;
                DueAt = dueTime == Timeout.InfiniteTimeSpan ? DateTimeOffset.MaxValue : owner._now + dueTime;
            }

            return true;
        }

        public void Fire()
        {
            lock (owner._lock)
                DueAt = _period > TimeSpan.Zero ? DueAt + _period : DateTimeOffset.MaxValue;
            callback(state);
        }

        public void Dispose()
        {
            lock (owner._lock)
                owner._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
