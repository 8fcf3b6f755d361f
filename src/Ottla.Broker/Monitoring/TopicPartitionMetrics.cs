using System.Globalization;
using Ottla.Broker.Replicas;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Monitoring;

/// <summary>
/// Brokers, topics and partitions as the metadata has them, under the names of kafka_exporter, which many run beside Kafka.
/// </summary>
/// <remarks>
/// A partition is told by its leader, and a topic's number of partitions by every broker that has a replica of it: so what the nodes tell
/// together is what one exporter tells of the cluster.
/// </remarks>
/// <param name="topics">The replicas of this broker.</param>
/// <param name="metadata">The metadata.</param>
internal sealed class TopicPartitionMetrics(HostedTopics topics, Func<MetadataImage> metadata) : MetricSource
{
    private static readonly MetricFamily Brokers = MetricFamily.Gauge("kafka_brokers", "Brokers that are not fenced.");
    private static readonly MetricFamily Partitions = MetricFamily.Gauge(
        "kafka_topic_partitions", "Partitions of a topic, on each broker that has a replica of it.", "topic");

    private static readonly (MetricFamily Family, Func<LedPartition, double> Value)[] OfPartition =
    [
        (Detailed("current_offset", "Where consumers find the end of a partition: its high watermark."), each => each.HighWatermark),
        (Detailed("oldest_offset", "The first offset of a partition."), each => each.LogStartOffset),
        (Detailed("leader", "The broker that leads a partition."), each => each.Registration.Leader),
        (Detailed("leader_is_preferred", "Whether that is the preferred one: the first of its replicas."),
            each => each.Registration.Leader == each.Registration.PreferredLeader ? 1 : 0),
        (Detailed("replicas", "Replicas of a partition."), each => each.Registration.Replicas.Length),
        (Detailed("in_sync_replica", "Those of them that are in sync."), each => each.Registration.Isr.Length),
        (Detailed("under_replicated_partition", "Whether one of them is not."),
            each => each.Registration.Isr.Length < each.Registration.Replicas.Length ? 1 : 0),
    ];

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } = [Brokers, Partitions, .. OfPartition.Select(each => each.Family)];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        var image = metadata();
        Give(output, Brokers, image.Cluster.Brokers.Values.Count(broker => !broker.Fenced));
        output.Begin(Partitions);
        foreach (var topic in topics.Topics.Select(hosted => image.Topics.Find(hosted.Id)).OfType<TopicImage>())
            output.Add(topic.Partitions.Length, topic.Name);
        if (!isDetailed)
            return;
        var led = ReadLed(image);
        foreach (var (family, value) in OfPartition)
        {
            output.Begin(family);
            foreach (var each in led)
                output.Add(value(each), each.Topic, each.Partition);
        }
    }

    private List<LedPartition> ReadLed(MetadataImage image)
    {
        var led = new List<LedPartition>();
        foreach (var replica in topics.Replicas)
        {
            var index = replica.Partition.Partition;
            if (replica.Leadership is { IsLeaderHere: true, IsRetired: false }
                && image.Topics.Find(replica.TopicId)?.Partition(index) is { } registration)
            {
                led.Add(new LedPartition(
                    replica.Partition.Topic, index.ToString(CultureInfo.InvariantCulture), registration, replica.Log.HighWatermark,
                    replica.Log.LogStartOffset));
            }
        }

        return led;
    }

    private static MetricFamily Detailed(string what, string help) =>
        MetricFamily.Gauge($"kafka_topic_partition_{what}", help, "topic", "partition") with { IsDetailed = true };

    private readonly record struct LedPartition(
        string Topic, string Partition, PartitionRegistration Registration, long HighWatermark, long LogStartOffset);
}
