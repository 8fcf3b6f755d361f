using Ottla.Broker.Replicas;

namespace Ottla.Broker.Monitoring;

/// <summary>The requests that wait for what others do: Kafka's DelayedOperationPurgatory.</summary>
/// <remarks>A request that need not wait any more leaves at once, so both of Kafka's numbers are the same here.</remarks>
/// <param name="waits">Counts those that wait for a change of replicas.</param>
/// <param name="commits">Counts those that wait for followers.</param>
internal sealed class PurgatoryMetrics(ReplicaWaits waits, CommitDeadlines commits) : MetricSource
{
    private const string NamePrefix = "kafka_server_delayedoperationpurgatory_";

    private static readonly MetricFamily[] Sizes =
    [
        MetricFamily.Gauge(
            $"{NamePrefix}purgatorysize",
            "Requests that wait: Produce for followers, Fetch for records, DeleteRecords until the other replicas have followed.",
            "delayedOperation"),
        MetricFamily.Gauge(
            $"{NamePrefix}numdelayedoperations", "The same, under the other name that Kafka has for it.", "delayedOperation"),
    ];

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families => Sizes;

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        var (produces, fetches, deletions) = (commits.Count, waits.Fetches, waits.Deletions);
        foreach (var family in Sizes)
        {
            output.Begin(family);
            output.Add(produces, "Produce");
            output.Add(fetches, "Fetch");
            output.Add(deletions, "DeleteRecords");
        }
    }
}
