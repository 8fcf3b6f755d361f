using System.Buffers;
using System.Globalization;
using System.Text;

namespace Ottla.Broker.Monitoring;

/// <summary>Writes samples in Prometheus' text format, version 0.0.4.</summary>
/// <remarks>Used by one task, for one answer.</remarks>
/// <param name="output">Takes the text, in UTF-8.</param>
/// <param name="samplesMax">Samples of a family beyond that are left out, and counted: a scrape has a bound.</param>
public sealed class PrometheusText(IBufferWriter<byte> output, int samplesMax = int.MaxValue) : IMetricOutput
{
    private static readonly MetricFamily Dropped = MetricFamily.Gauge(
        "ottla_metrics_dropped_samples", "Samples that this answer leaves out, because their metric has too many.");

    /// <summary>The value of an HTTP response's Content-Type.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private const string QuantileLabel = "quantile";

    private static readonly string[] QuantileTexts =
        [.. TimeHistogram.Quantiles.Select(quantile => quantile.ToString(CultureInfo.InvariantCulture))];

    private readonly HashSet<string> _begun = new(StringComparer.Ordinal);
    private MetricFamily? _family;
    private int _samples;
    private long _dropped;

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The family has come before: Prometheus refuses such a text.</exception>
    public void Begin(MetricFamily family)
    {
        if (!_begun.Add(family.Name))
            throw new InvalidOperationException($"The metric {family.Name} is given twice.");
        _family = family;
        _samples = 0;
        Write($"# HELP {family.Name} ");
        WriteEscaped(family.Help, isLabel: false);
        var kind = family.Kind switch
        {
            MetricKind.Counter => "counter",
            MetricKind.Gauge => "gauge",
            _ => "summary",
        };
        Write($"\n# TYPE {family.Name} {kind}\n");
    }

    /// <summary>Ends the text: says how much was left out.</summary>
    public void End()
    {
        Begin(Dropped);
        Add(_dropped);
    }

    /// <inheritdoc/>
    public void Add(double value, params ReadOnlySpan<string> labels)
    {
        if (HasRoom())
            AddLine("", value, labels, null);
    }

    /// <inheritdoc/>
    public void Add(in TimeSummary summary, params ReadOnlySpan<string> labels)
    {
        if (!HasRoom())
            return;
        for (var i = 0; i < QuantileTexts.Length; i++)
            AddLine("", summary.QuantilesMs[i], labels, QuantileTexts[i]);
        AddLine("_sum", summary.SumMs, labels, null);
        AddLine("_count", summary.Count, labels, null);
    }

    private bool HasRoom()
    {
        if (_samples++ < samplesMax)
            return true;
        _dropped++;
        return false;
    }

    private void AddLine(string suffix, double value, ReadOnlySpan<string> labels, string? quantile)
    {
        var family = _family ?? throw new InvalidOperationException("No family was begun.");
        if (labels.Length > family.Labels.Count)
            throw new ArgumentException($"{family.Name} has {family.Labels.Count} labels, not {labels.Length}.", nameof(labels));
        Write(family.Name);
        Write(suffix);
        var separator = "{";
        for (var i = 0; i < labels.Length; i++)
        {
            if (labels[i].Length > 0)
                WriteLabel(ref separator, family.Labels[i], labels[i]);
        }

        if (quantile is not null)
            WriteLabel(ref separator, QuantileLabel, quantile);
        Write(separator == "{" ? " " : "} ");
        WriteNumber(value);
        Write("\n");
    }

    private void WriteLabel(ref string separator, string name, string value)
    {
        Write(separator);
        separator = ",";
        Write(name);
        Write("=\"");
        WriteEscaped(value, isLabel: true);
        Write("\"");
    }

    private void WriteNumber(double value)
    {
        const int doubleCharsMax = 32;
        var text = output.GetSpan(doubleCharsMax);
        if (double.IsInfinity(value))
        {
            Write(value > 0 ? "+Inf" : "-Inf");
            return;
        }

        value.TryFormat(text, out var length, default, CultureInfo.InvariantCulture);
        output.Advance(length);
    }

    /// <summary>Backslashes and line ends are escaped, in the values of labels quotes too.</summary>
    private void WriteEscaped(string text, bool isLabel)
    {
        var special = isLabel ? "\\\n\"" : "\\\n";
        var rest = text.AsSpan();
        while (rest.IndexOfAny(special) is >= 0 and var at)
        {
            Write(rest[..at]);
            Write(rest[at] switch { '\n' => "\\n", '"' => "\\\"", _ => "\\\\" });
            rest = rest[(at + 1)..];
        }

        Write(rest);
    }

    private void Write(ReadOnlySpan<char> text)
    {
        var bytes = output.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length));
        output.Advance(Encoding.UTF8.GetBytes(text, bytes));
    }
}
