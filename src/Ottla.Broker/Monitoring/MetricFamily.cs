namespace Ottla.Broker.Monitoring;

/// <summary>What the samples of a family are.</summary>
public enum MetricKind
{
    /// <summary>A sum that only grows while the node runs. Its name ends with <c>_total</c>.</summary>
    Counter,

    /// <summary>A value of this moment.</summary>
    Gauge,

    /// <summary>Quantiles of the last minutes, with the count and the sum since the start.</summary>
    Summary,
}

/// <summary>
/// A metric: the series that share a name. The names are those that dashboards and alerts for Kafka ask for: what the example
/// configuration of Prometheus' JMX exporter makes of Kafka's MBeans.
/// </summary>
/// <param name="Name">The name in Prometheus' text format.</param>
/// <param name="Kind">What the samples are.</param>
/// <param name="Help">What is measured, in one sentence.</param>
/// <param name="Labels">The names of the labels, in the order in which samples give their values.</param>
public sealed record MetricFamily(string Name, MetricKind Kind, string Help, params IReadOnlyList<string> Labels)
{
    /// <summary>Whether it has a series for each partition: then it is told only to those who ask for everything.</summary>
    public bool IsDetailed { get; init; }

    /// <summary>A counter.</summary>
    public static MetricFamily Counter(string name, string help, params IReadOnlyList<string> labels) =>
        new(name, MetricKind.Counter, help, labels);

    /// <summary>A gauge.</summary>
    public static MetricFamily Gauge(string name, string help, params IReadOnlyList<string> labels) =>
        new(name, MetricKind.Gauge, help, labels);

    /// <summary>A summary of times, in milliseconds as Kafka has them.</summary>
    public static MetricFamily Summary(string name, string help, params IReadOnlyList<string> labels) =>
        new(name, MetricKind.Summary, help, labels);
}
