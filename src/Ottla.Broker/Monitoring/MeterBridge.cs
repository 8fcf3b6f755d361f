using System.Diagnostics.Metrics;

namespace Ottla.Broker.Monitoring;

/// <summary>
/// Gives the metrics of a node to whoever listens to .NET's meters in this process. Its instruments are observed: nothing is counted twice,
/// and nothing is done while nobody listens.
/// </summary>
/// <remarks>
/// Observing must not wait, and collecting may. So an observation gives what was collected last, and has it collected anew when it is older
/// than <see cref="FreshFor"/>: a listener that observes regularly is behind by one time at most. Any thread observes. Its owner makes it
/// when the registry has all its sources, and disposes it with the node.
/// </remarks>
public sealed class MeterBridge : IDisposable
{
    /// <summary>The name of the meter.</summary>
    public const string MeterName = "Ottla.Broker";

    /// <summary>Samples of a metric beyond that are left out.</summary>
    public const int SamplesMax = 10_000;

    /// <summary>All instruments of one observation read the same collection.</summary>
    public static readonly TimeSpan FreshFor = TimeSpan.FromSeconds(1);

    private readonly MetricRegistry _registry;
    private readonly TimeProvider _time;
    private readonly Meter _meter = new(MeterName);
    private volatile Collection _last = new();
    private long _collectedAt;
    private int _isCollecting;
    private Task _collecting = Task.CompletedTask;

    /// <summary>Makes the instruments.</summary>
    /// <param name="registry">The metrics.</param>
    /// <param name="time">The clock.</param>
    public MeterBridge(MetricRegistry registry, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(registry);
        _registry = registry;
        _time = time;
        foreach (var family in registry.Families.Where(family => !family.IsDetailed))
            Add(family);
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private void Add(MetricFamily family)
    {
        switch (family.Kind)
        {
            case MetricKind.Counter:
                _meter.CreateObservableCounter<double>(family.Name, () => Observe(family.Name), description: family.Help);
                break;
            case MetricKind.Gauge:
                _meter.CreateObservableGauge<double>(family.Name, () => Observe(family.Name), description: family.Help);
                break;
            default:
                var (count, sum) = (CountOf(family.Name), SumOf(family.Name));
                _meter.CreateObservableGauge<double>(family.Name, () => Observe(family.Name), "ms", family.Help);
                _meter.CreateObservableCounter<double>(count, () => Observe(count), description: family.Help);
                _meter.CreateObservableCounter<double>(sum, () => Observe(sum), "ms", family.Help);
                break;
        }
    }

    private static string CountOf(string name) => $"{name}_count";

    private static string SumOf(string name) => $"{name}_sum";

    private List<Measurement<double>> Observe(string name)
    {
        var collectedAt = Volatile.Read(ref _collectedAt);
        if ((collectedAt == 0 || _time.GetElapsedTime(collectedAt) >= FreshFor) && Interlocked.Exchange(ref _isCollecting, 1) == 0)
            _collecting = CollectAsync();
        if (_collecting.IsFaulted)
            _collecting.GetAwaiter().GetResult(); // whoever listens learns of it
        return _last.Of(name);
    }

    private async Task CollectAsync()
    {
        try
        {
            var collection = new Collection();
            await _registry.CollectAsync(collection, isDetailed: false);
            _last = collection;
        }
        finally
        {
            Volatile.Write(ref _collectedAt, Math.Max(_time.GetTimestamp(), 1));
            Volatile.Write(ref _isCollecting, 0);
        }
    }

    /// <summary>The samples of one moment.</summary>
    private sealed class Collection : IMetricOutput
    {
        private readonly Dictionary<string, List<Measurement<double>>> _byName = new(StringComparer.Ordinal);
        private MetricFamily _family = null!;
        private int _samples;

        public List<Measurement<double>> Of(string name) => _byName.TryGetValue(name, out var samples) ? samples : [];

        public void Begin(MetricFamily family)
        {
            _family = family;
            _samples = 0;
        }

        public void Add(double value, params ReadOnlySpan<string> labels)
        {
            if (_samples++ < SamplesMax)
                Add(_family.Name, value, TagsOf(labels));
        }

        public void Add(in TimeSummary summary, params ReadOnlySpan<string> labels)
        {
            if (_samples++ >= SamplesMax)
                return;
            var tags = TagsOf(labels);
            Add(CountOf(_family.Name), summary.Count, tags);
            Add(SumOf(_family.Name), summary.SumMs, tags);
            for (var i = 0; i < summary.QuantilesMs.Count; i++)
            {
                if (!double.IsNaN(summary.QuantilesMs[i]))
                    Add(_family.Name, summary.QuantilesMs[i], [.. tags, new("quantile", TimeHistogram.Quantiles[i])]);
            }
        }

        private void Add(string name, double value, KeyValuePair<string, object?>[] tags)
        {
            if (!_byName.TryGetValue(name, out var samples))
                _byName.Add(name, samples = []);
            samples.Add(new Measurement<double>(value, tags));
        }

        private KeyValuePair<string, object?>[] TagsOf(ReadOnlySpan<string> labels)
        {
            var tags = new List<KeyValuePair<string, object?>>(labels.Length);
            for (var i = 0; i < labels.Length; i++)
            {
                if (labels[i].Length > 0)
                    tags.Add(new(_family.Labels[i], labels[i]));
            }

            return [.. tags];
        }
    }
}
