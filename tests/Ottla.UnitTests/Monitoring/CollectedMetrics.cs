using Ottla.Broker.Monitoring;

namespace Ottla.UnitTests.Monitoring;

/// <summary>The samples of a node at one moment. Used by one test.</summary>
internal sealed class CollectedMetrics : IMetricOutput
{
    private readonly Dictionary<string, double> _values = [];
    private readonly Dictionary<string, double> _sums = [];
    private MetricFamily _family = null!;

    /// <summary>The families that came.</summary>
    public List<MetricFamily> Families { get; } = [];

    /// <summary>How many series came.</summary>
    public int SeriesCount => _values.Count;

    /// <summary>Collects what a node tells.</summary>
    public static async Task<CollectedMetrics> OfAsync(MetricRegistry registry, bool isDetailed = true)
    {
        var collected = new CollectedMetrics();
        await registry.CollectAsync(collected, isDetailed);
        return collected;
    }

    /// <summary>The value of a series, which must be there; of a summary, its count.</summary>
    public double this[string name, params string[] labels] => _values[KeyOf(name, labels)];

    /// <summary>The sum of a summary, in milliseconds.</summary>
    public double SumOf(string name, params string[] labels) => _sums[KeyOf(name, labels)];

    /// <summary>Whether a series is there.</summary>
    public bool Has(string name, params string[] labels) => _values.ContainsKey(KeyOf(name, labels));

    public void Begin(MetricFamily family)
    {
        Assert.DoesNotContain(Families, known => known.Name == family.Name);
        Families.Add(family);
        _family = family;
    }

    public void Add(double value, params ReadOnlySpan<string> labels)
    {
        Assert.True(labels.Length <= _family.Labels.Count, _family.Name);
        _values.Add(KeyOf(_family.Name, labels.ToArray()), value);
    }

    public void Add(in TimeSummary summary, params ReadOnlySpan<string> labels)
    {
        Add(summary.Count, labels);
        _sums.Add(KeyOf(_family.Name, labels.ToArray()), summary.SumMs);
    }

    private static string KeyOf(string name, string[] labels) => $"{name}({string.Join(',', labels)})";
}
