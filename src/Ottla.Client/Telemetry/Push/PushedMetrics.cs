using Ottla.Kernel;

namespace Ottla.Client.Push;

/// <summary>What one push is made of.</summary>
/// <param name="subscription">What is subscribed to.</param>
/// <param name="writer">Where the metrics go.</param>
/// <param name="beganAt">When the client began.</param>
/// <param name="since">When the metrics were collected that the cluster has.</param>
/// <param name="now">Now.</param>
internal sealed class MetricsCollection(
    TelemetrySubscription subscription, OtlpMetricsWriter writer, Instant beganAt, Instant since, Instant now)
{
    private const ulong NsPerMs = 1_000_000;

    /// <summary>Now.</summary>
    public Instant Now => now;

    /// <summary>The seconds that were measured since the metrics were collected that the cluster has.</summary>
    public double Seconds => Math.Max(now.MillisecondsSince(since), 1) / 1000.0;

    /// <summary>Whether a metric is subscribed to.</summary>
    public bool Wants(string name) => subscription.Wants(name);

    /// <summary>Adds a gauge.</summary>
    public void Gauge(string name, MetricLabel[] labels, double value)
    {
        if (subscription.Wants(name))
            writer.AddGauge(new MetricPoint(name, labels, 0, Ns(now), value));
    }

    /// <summary>Adds a sum that only grows.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="labels">Its labels.</param>
    /// <param name="sinceTold">Its growth since what the cluster has.</param>
    /// <param name="total">Its growth since the client began.</param>
    public void Sum(string name, MetricLabel[] labels, double sinceTold, double total)
    {
        if (subscription.Wants(name))
        {
            var (start, value) = subscription.IsDelta ? (since, sinceTold) : (beganAt, total);
            writer.AddSum(new MetricPoint(name, labels, Ns(start), Ns(now), value), subscription.IsDelta);
        }
    }

    private static ulong Ns(Instant at) => (ulong)at.UnixMilliseconds * NsPerMs;
}

/// <summary>A measurement, of which a push makes one metric or some. What was collected counts as told when the cluster has it.</summary>
/// <remarks>Measured by any thread. Collected by one at a time.</remarks>
internal abstract class PushedMetric
{
    /// <summary>Puts its metrics into a push.</summary>
    public abstract void Collect(MetricsCollection push);

    /// <summary>The cluster has what was collected last: the next push begins where that ended.</summary>
    public virtual void OnTold()
    {
    }
}

/// <summary>Counts: <c>NAME.total</c>, and a second's share as <c>NAME.rate</c>.</summary>
/// <param name="name">The beginning of the names.</param>
/// <param name="labels">The labels.</param>
/// <param name="rateName">The name of the rate; null for none.</param>
/// <param name="rateSeconds">The seconds of which it is the rate.</param>
internal sealed class PushedCount(string name, MetricLabel[] labels, string? rateName = ".rate", double rateSeconds = 1) : PushedMetric
{
    private readonly string _totalName = name + ".total";
    private readonly string? _rateName = rateName is null ? null : name + rateName;
    private long _total;
    private long _collected;
    private long _told;

    /// <summary>Counts some more.</summary>
    public void Add(long count = 1) => Interlocked.Add(ref _total, count);

    /// <inheritdoc/>
    public override void Collect(MetricsCollection push)
    {
        _collected = Interlocked.Read(ref _total);
        push.Sum(_totalName, labels, _collected - _told, _collected);
        if (_rateName is not null)
            push.Gauge(_rateName, labels, (_collected - _told) / push.Seconds * rateSeconds);
    }

    /// <inheritdoc/>
    public override void OnTold() => _told = _collected;
}

/// <summary>Values of which the mean and the largest are told, as <c>NAME.avg</c> and <c>NAME.max</c>, while there are some.</summary>
/// <param name="name">The beginning of the names.</param>
/// <param name="labels">The labels.</param>
/// <param name="meanSuffix">The end of the mean's name; null for no mean.</param>
/// <param name="hasMax">Whether the largest is told.</param>
internal sealed class PushedValues(string name, MetricLabel[] labels, string? meanSuffix = ".avg", bool hasMax = true) : PushedMetric
{
    private readonly Lock _lock = new();
    private readonly string? _meanName = meanSuffix is null ? null : name + meanSuffix;
    private readonly string _maxName = name + ".max";

    // Guarded by _lock.
    private Samples _new;

    // Of whoever collects.
    private Samples _collected;

    /// <summary>Notes a value that is not negative.</summary>
    public void Record(double value)
    {
        lock (_lock)
            _new = _new.With(new Samples(1, value, value));
    }

    /// <summary>Notes a time, in ms.</summary>
    public void Record(TimeSpan time) => Record(time.TotalMilliseconds);

    /// <inheritdoc/>
    public override void Collect(MetricsCollection push)
    {
        lock (_lock)
        {
            _collected = _collected.With(_new);
            _new = default;
        }

        if (_collected.Count == 0)
            return;
        if (_meanName is not null)
            push.Gauge(_meanName, labels, _collected.Sum / _collected.Count);
        if (hasMax)
            push.Gauge(_maxName, labels, _collected.Max);
    }

    /// <inheritdoc/>
    public override void OnTold() => _collected = default;

    private readonly record struct Samples(long Count, double Sum, double Max)
    {
        public Samples With(Samples other) => new(Count + other.Count, Sum + other.Sum, Math.Max(Max, other.Max));
    }
}

/// <summary>What is so now.</summary>
/// <param name="name">The name.</param>
/// <param name="read">Reads it; null when there is nothing to tell.</param>
internal sealed class PushedGauge(string name, Func<double?> read) : PushedMetric
{
    /// <inheritdoc/>
    public override void Collect(MetricsCollection push)
    {
        if (push.Wants(name) && read() is { } value)
            push.Gauge(name, MetricSet.NoLabels, value);
    }
}
