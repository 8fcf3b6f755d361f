using Ottla.Broker.Monitoring;

namespace Ottla.Cli.Monitoring.Otlp;

/// <summary>
/// Writes samples as OpenTelemetry's <c>ExportMetricsServiceRequest</c> (opentelemetry.proto.collector.metrics.v1), by hand: of the message
/// it needs a few fields. Used by one task, for one collection.
/// </summary>
/// <param name="resource">What the node is: keys and values.</param>
/// <param name="startNs">Since when counters count, in nanoseconds since 1970.</param>
/// <param name="timeNs">The time of the samples, in nanoseconds since 1970.</param>
/// <param name="samplesMax">Samples of a metric beyond that are left out, and counted.</param>
internal sealed class OtlpOutput(
    IReadOnlyList<KeyValuePair<string, string>> resource, ulong startNs, ulong timeNs, int samplesMax) : IMetricOutput
{
    /// <summary>A request that has as many bytes gets no further metric: collectors refuse large ones.</summary>
    public const int RequestBytes = 1024 * 1024;

    private const string Scope = "ottla";
    private const byte Cumulative = 2;

    private readonly ProtobufBuffer _metrics = new();
    private readonly List<byte[]> _requests = [];
    private MetricFamily? _family;
    private (int Metric, int Data) _begun;
    private int _samples;

    /// <summary>Samples that were left out.</summary>
    public long Dropped { get; private set; }

    /// <inheritdoc/>
    public void Begin(MetricFamily family)
    {
        EndFamily();
        if (_metrics.Length >= RequestBytes)
            Seal();
        _family = family;
        _samples = 0;
    }

    /// <inheritdoc/>
    public void Add(double value, params ReadOnlySpan<string> labels)
    {
        if (double.IsNaN(value) || !BeginSample())
            return;
        var point = BeginPoint(labels);
        _metrics.WriteDouble(4, value); // as_double
        _metrics.End(point);
    }

    /// <inheritdoc/>
    public void Add(in TimeSummary summary, params ReadOnlySpan<string> labels)
    {
        if (!BeginSample())
            return;
        var point = BeginPoint(labels);
        _metrics.WriteFixed(4, (ulong)summary.Count);
        _metrics.WriteDouble(5, summary.SumMs);
        for (var i = 0; i < summary.QuantilesMs.Count; i++)
        {
            if (double.IsNaN(summary.QuantilesMs[i]))
                continue;
            var quantile = _metrics.Begin(6); // quantile_values
            _metrics.WriteDouble(1, TimeHistogram.Quantiles[i]);
            _metrics.WriteDouble(2, summary.QuantilesMs[i]);
            _metrics.End(quantile);
        }

        _metrics.End(point);
    }

    /// <summary>Ends the collection.</summary>
    /// <returns>The requests that have all its samples.</returns>
    public IReadOnlyList<byte[]> End()
    {
        EndFamily();
        Seal();
        return _requests;
    }

    /// <summary>Makes the metric with its first sample: one without samples is nothing.</summary>
    private bool BeginSample()
    {
        var family = _family ?? throw new InvalidOperationException("No family was begun.");
        if (_samples == samplesMax)
        {
            Dropped++;
            return false;
        }

        if (_samples++ > 0)
            return true;
        var metric = _metrics.Begin(2); // ScopeMetrics.metrics
        _metrics.WriteText(1, family.Name);
        _metrics.WriteText(2, family.Help);
        if (family.Kind == MetricKind.Summary)
            _metrics.WriteText(3, "ms");
        _begun = (metric, _metrics.Begin(family.Kind switch { MetricKind.Gauge => 5, MetricKind.Counter => 7, _ => 11 }));
        return true;
    }

    private int BeginPoint(ReadOnlySpan<string> labels)
    {
        var point = _metrics.Begin(1); // data_points
        if (_family!.Kind != MetricKind.Gauge)
            _metrics.WriteFixed(2, startNs);
        _metrics.WriteFixed(3, timeNs);
        for (var i = 0; i < labels.Length; i++)
        {
            if (labels[i].Length > 0)
                WriteAttribute(_metrics, 7, _family.Labels[i], labels[i]);
        }

        return point;
    }

    private void EndFamily()
    {
        if (_samples > 0)
        {
            if (_family!.Kind == MetricKind.Counter)
            {
                _metrics.WriteSmall(2, Cumulative); // aggregation_temporality
                _metrics.WriteSmall(3, 1); // is_monotonic
            }

            _metrics.End(_begun.Data);
            _metrics.End(_begun.Metric);
        }

        _samples = 0;
        _family = null;
    }

    private void Seal()
    {
        if (_metrics.Length == 0)
            return;
        var request = new ProtobufBuffer();
        var resourceMetrics = request.Begin(1);
        var resourceAt = request.Begin(1);
        foreach (var (key, value) in resource)
            WriteAttribute(request, 1, key, value);
        request.End(resourceAt);
        var scopeMetrics = request.Begin(2);
        var scope = request.Begin(1);
        request.WriteText(1, Scope);
        request.End(scope);
        request.WriteRaw(_metrics.Written);
        request.End(scopeMetrics);
        request.End(resourceMetrics);
        _requests.Add(request.Written.ToArray());
        _metrics.Clear();
    }

    private static void WriteAttribute(ProtobufBuffer output, int field, string key, string value)
    {
        var attribute = output.Begin(field);
        output.WriteText(1, key);
        var any = output.Begin(2);
        output.WriteText(1, value); // string_value
        output.End(any);
        output.End(attribute);
    }
}
