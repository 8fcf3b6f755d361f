using Ottla.Broker.Server;
using Ottla.Kernel;

namespace Ottla.Broker.Monitoring;

/// <summary>How busy the threads are that serve requests: Kafka's network processors and request handlers.</summary>
/// <remarks>Network threads handle most requests themselves; only what takes long goes to the others.</remarks>
/// <param name="network">How busy the network threads are; null where the system's own are used.</param>
/// <param name="heavy">Runs the requests that take long.</param>
/// <param name="time">The clock.</param>
internal sealed class ThreadMetrics(Func<ThreadLoad?> network, HeavyRequests heavy, TimeProvider time) : MetricSource
{
    private static readonly MetricFamily NetworkIdle = MetricFamily.Gauge(
        "kafka_network_socketserver_networkprocessoravgidle_percent",
        "Which part of the last minutes the network threads, which handle most requests too, had nothing to do: 0 to 1.");
    private static readonly MetricFamily HandlersIdle = MetricFamily.Gauge(
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
        "Which part of the last minutes the threads for requests that take long had nothing to do: 0 to 1.");
    private static readonly MetricFamily Queue = MetricFamily.Gauge(
        "kafka_network_requestchannel_requestqueuesize", "Requests that take long, and wait for a thread.");

    private readonly IdleWindow _network = new(time);
    private readonly IdleWindow _heavy = new(time);

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } = [NetworkIdle, HandlersIdle, Queue];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        output.Begin(NetworkIdle);
        if (network() is { } load)
            output.Add(_network.Read(load));
        Give(output, HandlersIdle, _heavy.Read(heavy.Load));
        Give(output, Queue, heavy.QueueLength);
    }
}
