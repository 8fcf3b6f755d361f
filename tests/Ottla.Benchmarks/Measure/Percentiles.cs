namespace Ottla.Benchmarks.Measure;

/// <summary>Latencies of one run, in milliseconds. All zero when nothing was timed.</summary>
internal sealed record Latency(double P50Ms, double P99Ms, double P999Ms, double MaxMs)
{
    /// <summary>
    /// Sorts <paramref name="ticks"/> (of a clock with that frequency) in place and takes the percentiles; null when there are none.
    /// </summary>
    public static Latency? Of(long[] ticks, long ticksPerSecond)
    {
        if (ticks.Length == 0)
            return null;
        Array.Sort(ticks);
        return new Latency(At(0.5), At(0.99), At(0.999), Milliseconds(ticks[^1]));

        double At(double fraction) => Milliseconds(ticks[Math.Min(ticks.Length - 1, (int)(ticks.Length * fraction))]);

        double Milliseconds(long value) => value * 1000.0 / ticksPerSecond;
    }
}

/// <summary>Middle values.</summary>
internal static class Median
{
    /// <summary>The middle one; the mean of the two middle ones when there is an even number.</summary>
    public static double Of(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        if (sorted.Length == 0)
            throw new ArgumentException("There is no median of nothing.", nameof(values));
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /// <summary>The median of those that are there; null when none is.</summary>
    public static double? OfPresent(IEnumerable<double?> values)
    {
        var present = values.OfType<double>().ToArray();
        return present.Length == 0 ? null : Of(present);
    }
}
