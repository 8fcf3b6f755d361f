using Ottla.Broker.Metadata;

namespace Ottla.Broker.Monitoring;

/// <summary>How far a broker is in its life: Kafka's BrokerState.</summary>
/// <param name="lifecycle">Its life.</param>
internal sealed class BrokerStateMetrics(BrokerLifecycle lifecycle) : MetricSource
{
    private static readonly MetricFamily State = MetricFamily.Gauge(
        "kafka_server_kafkaserver_brokerstate", "1 starts, 2 recovers, 3 runs, 6 leaves the cluster, 7 stops: Kafka's numbers.");

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } = [State];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed) => Give(output, State, (int)lifecycle.State);
}
