using Ottla.Broker.Telemetry;

namespace Ottla.Broker.Monitoring;

/// <summary>What clients push to this broker: Kafka's client-metrics, without a series for each client.</summary>
/// <param name="telemetry">Takes it.</param>
internal sealed class ClientTelemetryMetrics(ClientTelemetry telemetry) : MetricSource
{
    private static readonly MetricFamily Instances =
        MetricFamily.Gauge(NameOf("instance_count"), "Clients that have asked this broker which metrics to push.");
    private static readonly MetricFamily Throttled =
        MetricFamily.Counter(NameOf("throttle_total"), "Requests about client metrics that came too early.");
    private static readonly MetricFamily Unknown = MetricFamily.Counter(
        NameOf("unknown_subscription_request_total"), "Pushes of clients that are asked for something else by now.");
    private static readonly MetricFamily Taken =
        MetricFamily.Counter(NameOf("plugin_export_total"), "Pushes that were taken, to be handed on.");
    private static readonly MetricFamily Refused =
        MetricFamily.Counter(NameOf("plugin_error_total"), "Pushes that could not be read.");

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } = [Instances, Throttled, Unknown, Taken, Refused];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        var usage = telemetry.Usage;
        Give(output, Instances, usage.Instances);
        Give(output, Throttled, usage.Throttled);
        Give(output, Unknown, usage.UnknownSubscriptions);
        Give(output, Taken, usage.Taken);
        Give(output, Refused, usage.Refused);
    }

    private static string NameOf(string what) => $"kafka_server_client_metrics_{what}";
}
