namespace Ottla.StateMachines.Quotas;

/// <summary>A rate per second over a sliding window of samples, as Kafka's quotas measure it. Not thread-safe.</summary>
/// <remarks>
/// All samples except the current one count in full, even those before the first value. So a rate starts low, and a first burst of as many
/// values as the whole window allows passes at once. A sample that began before the window counts as long as its last value is in it.
/// </remarks>
public sealed class SampledRate
{
    private readonly Queue<Sample> _samples = new();
    private Sample? _last;
    private int _count = 1;
    private long _sampleMs = 1;
    private double _sum;

    /// <summary>Counts a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="nowMs">The time in milliseconds, from any origin.</param>
    /// <param name="samples">The number of samples in the window without the current one; at least 1.</param>
    /// <param name="sampleMs">The length of a sample, in milliseconds.</param>
    public void Record(double value, long nowMs, int samples, long sampleMs)
    {
        _count = samples;
        _sampleMs = sampleMs;
        Purge(nowMs);
        if (_last is null || nowMs - _last.StartMs >= sampleMs)
            _samples.Enqueue(_last = new Sample(nowMs));
        _last.Value += value;
        _last.LastMs = nowMs;
        _sum += value;
    }

    /// <summary>
    /// How long to wait until the rate is at <paramref name="limit"/> again, in milliseconds, at most <paramref name="waitMsMax"/>; 0 if it
    /// is below.
    /// </summary>
    public long WaitMs(double limit, long nowMs, long waitMsMax)
    {
        Purge(nowMs);
        var windowMs = WindowMs(nowMs);
        var perSecond = _sum * 1000 / windowMs;
        if (perSecond <= limit)
            return 0;
        var waitMs = limit > 0 ? (perSecond - limit) / limit * windowMs : waitMsMax;
        return (long)Math.Min(Math.Round(waitMs), waitMsMax);
    }

    private long WindowMs(long nowMs)
    {
        var elapsedMs = _samples.TryPeek(out var oldest) ? nowMs - oldest.StartMs : 0;
        var wholeSamples = elapsedMs / _sampleMs;
        return Math.Max(elapsedMs + (Math.Max(_count - 1 - wholeSamples, 0) * _sampleMs), 1);
    }

    private void Purge(long nowMs)
    {
        while (_samples.TryPeek(out var oldest) && nowMs - oldest.LastMs >= _count * _sampleMs)
        {
            _sum -= oldest.Value;
            _samples.Dequeue();
            if (_samples.Count > 0)
                continue;
            _last = null;
            _sum = 0; // without what rounding has left of fractions
        }
    }

    private sealed class Sample(long startMs)
    {
        public long StartMs { get; } = startMs;

        public long LastMs { get; set; } = startMs;

        public double Value { get; set; }
    }
}
