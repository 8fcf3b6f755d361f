namespace Ottla.Simulator.Worlds;

/// <summary>The world's time as a process sees it.</summary>
internal sealed class SimClock(SimScheduler scheduler, SimProcess process) : TimeProvider
{
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => new(scheduler.NowTicks, TimeSpan.Zero);

    public override long GetTimestamp() => scheduler.NowTicks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimTimer(scheduler, process, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }
}

/// <summary>A timer of a process. When it is due its callback becomes work of the process, among all other.</summary>
internal sealed class SimTimer(SimScheduler scheduler, SimProcess process, TimerCallback callback, object? state) : ITimer
{
    private TimeSpan _period;
    private long _dueTicks;
    private long _version;

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        _version++;
        _period = period;
        if (dueTime != Timeout.InfiniteTimeSpan && process.IsAlive)
            scheduler.Schedule(this, _version, _dueTicks = scheduler.NowTicks + dueTime.Ticks);
        return true;
    }

    /// <summary>Whether it was not changed since it was scheduled, and its process lives.</summary>
    public bool IsDue(long version) => version == _version && process.IsAlive;

    public void Fire()
    {
        if (_period > TimeSpan.Zero)
            scheduler.Schedule(this, _version, _dueTicks += _period.Ticks);
        process.Post(static timer => ((SimTimer)timer!).CallBack(), this);
    }

    public void Dispose() => _version++;

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private void CallBack() => callback(state);
}
