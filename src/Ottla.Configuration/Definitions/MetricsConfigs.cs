using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The broker configs of metrics and client telemetry.</summary>
internal static class MetricsConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Int("metrics.num.samples", 2, AtLeast(1), ReadOnly, Low, "Samples a metric is computed over."),
        Long("metrics.sample.window.ms", 30_000, AtLeast(1), ReadOnly, Low, "Length of a metric's sample."),
        List("metric.reporters", "org.apache.kafka.common.metrics.JmxReporter", AnyList(), ClusterWide, Low,
            "Plugins that report metrics."),
        Text("metrics.recording.level", "INFO", null, ReadOnly, Low, "How detailed metrics are."),
        List("kafka.metrics.reporters", "", AnyList(), ReadOnly, Low, "Plugins that report the older kind of metrics."),
        Int("kafka.metrics.polling.interval.secs", 10, AtLeast(1), ReadOnly, Low, "Time between polls of those plugins."),
        Int("telemetry.max.bytes", 1_048_576, AtLeast(1), ReadOnly, Low,
            "Largest telemetry message accepted from a client, uncompressed."),
    ];
}
