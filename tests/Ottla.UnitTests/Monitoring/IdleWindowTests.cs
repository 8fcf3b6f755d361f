using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Monitoring;
using Ottla.Kernel;

namespace Ottla.UnitTests.Monitoring;

/// <summary>Which part of the last minutes threads had nothing to do.</summary>
public sealed class IdleWindowTests
{
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public void What_is_busy_is_not_idle()
    {
        var window = new IdleWindow(_clock);
        Assert.Equal(1, window.Read(Busy(seconds: 0)));
        _clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(0.75, window.Read(Busy(seconds: 5)), precision: 9); // of two threads
        _clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(0.5, window.Read(Busy(seconds: 20)), precision: 9);
        Assert.Equal(0, window.Read(Busy(seconds: 50)));
    }

    [Fact]
    public void What_is_older_than_the_last_reading_but_one_a_minute_ago_is_forgotten()
    {
        var window = new IdleWindow(_clock);
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(0, window.Read(Busy(seconds: 120)));
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(1, window.Read(Busy(seconds: 120)));
        _clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(1 - (15.0 / 180), window.Read(Busy(seconds: 135)), precision: 9); // since the first reading
        _clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(1 - (15.0 / 120), window.Read(Busy(seconds: 135)), precision: 9); // since the second
    }

    private static ThreadLoad Busy(int seconds) => new(2, TimeSpan.FromSeconds(seconds));
}
