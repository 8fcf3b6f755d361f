using Ottla.Broker.Replicas;
using Ottla.Protocol.Batches;

namespace Ottla.Broker.Monitoring;

/// <summary>What goes in and out of topics: of each, and of the broker as a whole (without a label). Kafka's BrokerTopicMetrics.</summary>
/// <param name="topics">The replicas of this broker.</param>
/// <param name="faults">What was wrong with records that were refused.</param>
internal sealed class TopicMetrics(HostedTopics topics, RecordFaultCounters faults) : MetricSource
{
    private static readonly (MetricFamily Family, Func<TrafficTotals, long> Value)[] PerTopic =
    [
        (OfTopic("messagesin", "Records that producers have written."), totals => totals.MessagesIn),
        (OfTopic("bytesin", "Bytes of records that producers have written."), totals => totals.BytesIn),
        (OfTopic("bytesout", "Bytes of records that consumers have read."), totals => totals.BytesOut),
        (OfTopic("bytesrejected", "Bytes of batches that were refused because they were too large."), totals => totals.BytesRejected),
        (OfTopic("totalproducerequests", "Produce requests, counted for each partition in them."), totals => totals.ProduceRequests),
        (OfTopic("totalfetchrequests", "Fetch requests of consumers, counted for each partition that was answered."),
            totals => totals.FetchRequests),
        (OfTopic("failedproducerequests", "Writes that failed here."), totals => totals.FailedProduceRequests),
        (OfTopic("failedfetchrequests", "Reads that failed here."), totals => totals.FailedFetchRequests),
    ];

    private static readonly (MetricFamily Family, Func<TrafficTotals, long> Value)[] OfBroker =
    [
        (MetricFamily.Counter(NameOf("replicationbytesin"), "Bytes that this broker has fetched from leaders."),
            totals => totals.ReplicationBytesIn),
        (MetricFamily.Counter(NameOf("replicationbytesout"), "Bytes that this broker has sent to followers."),
            totals => totals.ReplicationBytesOut),
    ];

    private static readonly (MetricFamily Family, RecordFault Fault)[] Faults =
    [
        (OfFault("invalidmagicnumberrecords", "Batches that were refused because of their format."), RecordFault.MagicNumber),
        (OfFault("invalidmessagecrcrecords", "Batches that were refused because their checksum is wrong."), RecordFault.Checksum),
        (OfFault(
            "invalidoffsetorsequencerecords",
            "Batches that were refused because of their offsets, their count of records or their sequence numbers."),
            RecordFault.OffsetOrSequence),
        (OfFault("nokeycompactedtopicrecords", "Records for compacted topics that were refused because they have no key."),
            RecordFault.MissingKey),
    ];

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } =
        [.. PerTopic.Concat(OfBroker).Select(each => each.Family), .. Faults.Select(each => each.Family)];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        // A topic that was made anew may be there twice for a moment: one name is one series.
        var byName = new SortedDictionary<string, TrafficTotals>(StringComparer.Ordinal);
        foreach (var topic in topics.Topics)
            byName[topic.Name] = topic.Traffic + byName.GetValueOrDefault(topic.Name);
        var all = byName.Values.Aggregate(topics.TrafficOfRemoved, (sum, each) => sum + each);
        foreach (var (family, value) in PerTopic)
        {
            output.Begin(family);
            output.Add(value(all));
            foreach (var (name, totals) in byName)
                output.Add(value(totals), name);
        }

        foreach (var (family, value) in OfBroker)
            Give(output, family, value(all));
        foreach (var (family, fault) in Faults)
            Give(output, family, faults[fault]);
    }

    private static string NameOf(string what) => $"kafka_server_brokertopicmetrics_{what}_total";

    private static MetricFamily OfFault(string what, string help) => MetricFamily.Counter(NameOf(what), help);

    private static MetricFamily OfTopic(string what, string help) => MetricFamily.Counter(NameOf(what), help, "topic");
}
