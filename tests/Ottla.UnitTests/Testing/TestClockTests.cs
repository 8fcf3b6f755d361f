namespace Ottla.UnitTests.Testing;

/// <summary>The clock of a test broker.</summary>
public sealed class TestClockTests
{
    [Fact]
    public async Task Timers_fire_at_their_own_times_on_the_way()
    {
        using var clock = new Ottla.Testing.TestClock();
        var fired = new List<TimeSpan>();
        var began = clock.GetUtcNow();
        using var every = clock.CreateTimer(
            _ => fired.Add(clock.GetUtcNow() - began), null, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1));
        using var never = clock.CreateTimer(_ => fired.Add(default), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        await clock.AdvanceAsync(TimeSpan.FromMinutes(10.5));
        Assert.Equal(Enumerable.Range(1, 10), fired.Select(each => (int)each.TotalMinutes));
        Assert.True(clock.Ahead > TimeSpan.FromMinutes(10));
    }

    [Fact]
    public async Task It_runs_by_itself_too()
    {
        using var clock = new Ottla.Testing.TestClock();
        await Task.Delay(TimeSpan.FromMilliseconds(5), clock).WaitAsync(Waiting.Patience);
        var timer = clock.CreateTimer(_ => Assert.Fail("it was disposed"), null, TimeSpan.FromMinutes(1), Timeout.InfiniteTimeSpan);
        await timer.DisposeAsync();
        await clock.AdvanceAsync(TimeSpan.FromMinutes(2));
    }

    [Fact]
    public async Task Timestamps_and_times_agree()
    {
        using var clock = new Ottla.Testing.TestClock();
        var began = clock.GetTimestamp();
        await clock.AdvanceAsync(TimeSpan.FromHours(5));
        Assert.True(clock.GetElapsedTime(began) >= TimeSpan.FromHours(5));
    }
}
