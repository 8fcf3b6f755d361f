using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Monitoring;

namespace Ottla.UnitTests.Monitoring;

public sealed class TimeHistogramTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(1_000)]
    [InlineData(123_456)]
    [InlineData(59_999_999)]
    [InlineData(3_600_000_000)]
    public void A_quantile_is_off_by_six_percent_at_most(long microseconds)
    {
        var histogram = new TimeHistogram();
        histogram.Record(TimeSpan.FromMicroseconds(microseconds));
        var summary = Read(histogram);
        Assert.Equal(1, summary.Count);
        Assert.Equal(microseconds / 1000.0, summary.SumMs, 3);
        Assert.All(summary.QuantilesMs, quantile => Assert.InRange(quantile * 1000, microseconds * 0.94, microseconds * 1.065));
    }

    [Fact]
    public void Quantiles_are_those_of_the_times()
    {
        var histogram = new TimeHistogram(cellCount: 4);
        for (var i = 1; i <= 1000; i++)
            histogram.Record(TimeSpan.FromMilliseconds(i));
        var summary = Read(histogram);
        Assert.Equal(1000, summary.Count);
        foreach (var (quantile, value) in TimeHistogram.Quantiles.Zip(summary.QuantilesMs))
            Assert.InRange(value, quantile * 1000 * 0.93, quantile * 1000 * 1.07);
    }

    [Fact]
    public void Times_beyond_the_last_bucket_and_below_zero_are_counted()
    {
        var histogram = new TimeHistogram();
        histogram.Record(TimeSpan.MaxValue);
        histogram.Record(TimeSpan.FromTicks(-5));
        Assert.Equal(2, Read(histogram).Count);
    }

    [Fact]
    public void Without_times_a_quantile_is_no_number() =>
        Assert.All(Read(new TimeHistogram()).QuantilesMs, quantile => Assert.True(double.IsNaN(quantile)));

    [Fact]
    public void Quantiles_forget_what_was_read_more_than_a_minute_before()
    {
        var clock = new FakeTimeProvider();
        var histogram = new TimeHistogram();
        var window = new TimeWindow(clock);
        histogram.Record(TimeSpan.FromSeconds(10));
        Assert.InRange(window.Read(Counts(histogram)).QuantilesMs[0], 9_000, 11_000);
        histogram.Record(TimeSpan.FromMilliseconds(1));
        clock.Advance(TimeWindow.WindowMin / 2);
        Assert.InRange(window.Read(Counts(histogram)).QuantilesMs[^1], 9_000, 11_000);
        clock.Advance(TimeWindow.WindowMin);
        var summary = window.Read(Counts(histogram));
        Assert.InRange(summary.QuantilesMs[^1], 0.9, 1.1); // what came since the first reading
        Assert.Equal(2, summary.Count);
    }

    private static TimeSummary Read(TimeHistogram histogram) => new TimeWindow(new FakeTimeProvider()).Read(Counts(histogram));

    private static TimeHistogram.TimeCounts Counts(TimeHistogram histogram)
    {
        var counts = new TimeHistogram.TimeCounts();
        histogram.AddTo(counts);
        return counts;
    }
}
