namespace Ottla.Broker.Telemetry;

/// <summary>Takes what clients push (KIP-714), to hand it on. A node that has none does not offer clients to push.</summary>
public interface IClientMetricsSink
{
    /// <summary>Takes metrics. Called on any thread; must not wait.</summary>
    /// <param name="resourceMetrics">
    /// OpenTelemetry's <c>MetricsData</c>, decompressed, with the labels of the client in each resource. The message has the same bytes as
    /// an <c>ExportMetricsServiceRequest</c>, and several behind one another are one of them all.
    /// </param>
    void Take(byte[] resourceMetrics);
}
