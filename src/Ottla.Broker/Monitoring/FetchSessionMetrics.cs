using Ottla.Broker.Replicas;
using Ottla.Broker.Replicas.Followers;

namespace Ottla.Broker.Monitoring;

/// <summary>The incremental fetch sessions of a broker: Kafka's FetchSessionCache.</summary>
/// <param name="consumers">Those of consumers.</param>
/// <param name="followers">Those of followers.</param>
internal sealed class FetchSessionMetrics(FetchSessions consumers, FollowerSessions followers) : MetricSource
{
    private const string NamePrefix = "kafka_server_fetchsessioncache_";

    private static readonly MetricFamily Sessions = MetricFamily.Gauge(
        $"{NamePrefix}numincrementalfetchsessions", "Open fetch sessions of consumers and followers.");
    private static readonly MetricFamily Partitions = MetricFamily.Gauge(
        $"{NamePrefix}numincrementalfetchpartitionscached", "The partitions of these sessions, each counted in every session.");
    private static readonly MetricFamily Evictions = MetricFamily.Counter(
        $"{NamePrefix}incrementalfetchsessionevictions_total", "Sessions of consumers that were ended to make room for others.");

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } = [Sessions, Partitions, Evictions];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        Give(output, Sessions, consumers.Count + followers.Count);
        Give(output, Partitions, consumers.PartitionCount + followers.PartitionCount);
        Give(output, Evictions, consumers.Evictions);
    }
}
