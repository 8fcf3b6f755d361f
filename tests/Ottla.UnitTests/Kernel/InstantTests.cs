using Ottla.Kernel;

namespace Ottla.UnitTests.Kernel;

/// <summary>Time that is pushed to its ends.</summary>
public sealed class InstantTests
{
    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(100, 50, 150)]
    [InlineData(100, -150, -50)]
    [InlineData(1, long.MaxValue, long.MaxValue)]
    [InlineData(long.MaxValue, 1, long.MaxValue)]
    [InlineData(long.MaxValue, long.MaxValue, long.MaxValue)]
    [InlineData(long.MaxValue, long.MinValue, -1)]
    [InlineData(long.MinValue, long.MaxValue, -1)]
    [InlineData(-1, long.MinValue, long.MinValue)]
    [InlineData(long.MinValue, -1, long.MinValue)]
    [InlineData(long.MinValue, long.MinValue, long.MinValue)]
    public void Adding_saturates(long start, long added, long end) =>
        Assert.Equal(new Instant(end), new Instant(start).AddMilliseconds(added));

    [Theory]
    [InlineData(150, 100, 50)]
    [InlineData(100, 150, -50)]
    [InlineData(long.MaxValue, 0, long.MaxValue)]
    [InlineData(0, long.MinValue, long.MaxValue)] // since before all time
    [InlineData(long.MaxValue, long.MinValue, long.MaxValue)]
    [InlineData(-2, long.MaxValue, long.MinValue)]
    [InlineData(long.MinValue, long.MaxValue, long.MinValue)]
    public void Differences_saturate(long later, long earlier, long difference) =>
        Assert.Equal(difference, new Instant(later).MillisecondsSince(new Instant(earlier)));

    [Fact]
    public void Order()
    {
        var (early, late) = (new Instant(-1), new Instant(1));
        Assert.True(early < late && late > early && early <= late && late >= early && early <= new Instant(-1) && early >= new Instant(-1));
        Assert.False(early > late || late < early || early >= late || late <= early);
        Assert.Equal([early, late], new[] { late, early }.Order());
    }

    [Fact]
    public void The_present_is_that_of_its_clock() => Assert.Equal(new Instant(1_700_000_000_123), Instant.Now(new FixedClock()));

    private sealed class FixedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123);
    }
}
