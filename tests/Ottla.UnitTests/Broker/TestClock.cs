namespace Ottla.UnitTests.Broker;

/// <summary>A clock that stands still until a test moves it, and tells when somebody begins to wait for a certain time.</summary>
/// <remarks>So a test knows that a long poll is under way before it does what ends it. One per node; used by all its tasks.</remarks>
internal sealed class TestClock : TimeProvider
{
    private readonly ManualTimeProvider _time = new();
    private readonly Lock _lock = new();
    private readonly List<(TimeSpan DueTime, TaskCompletionSource Created)> _awaited = [];

    public override long TimestampFrequency => _time.TimestampFrequency;

    /// <summary>Milliseconds since the epoch.</summary>
    public long NowMs => _time.GetUtcNow().ToUnixTimeMilliseconds();

    public override DateTimeOffset GetUtcNow() => _time.GetUtcNow();

    public override long GetTimestamp() => _time.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = _time.CreateTimer(callback, state, dueTime, period);
        lock (_lock)
        {
            foreach (var (_, created) in _awaited.Where(each => each.DueTime == dueTime))
                created.TrySetResult();
            _awaited.RemoveAll(each => each.DueTime == dueTime);
        }

        return timer;
    }

    /// <summary>Completes when the next timer over exactly this time is made. Ask before what makes it.</summary>
    public Task NextTimerAsync(long dueMs)
    {
        var created = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
            _awaited.Add((TimeSpan.FromMilliseconds(dueMs), created));
        return created.Task.WaitAsync(TestNode.Patience);
    }

    public void AdvanceMs(long milliseconds) => _time.AdvanceMs(milliseconds);

    /// <summary>Moves the clock step by step until something happened.</summary>
    public async Task AdvanceUntilAsync(Task happened, long stepMs)
    {
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        while (!happened.IsCompleted)
        {
            Assert.True(Environment.TickCount64 < deadline, "nothing happened however far the clock went");
            AdvanceMs(stepMs);
            await Task.WhenAny(happened, Task.Delay(1)); // the node's tasks have to keep up with its clock, or what is to happen in between times out
        }

        await happened;
    }
}
