using System.Collections.Frozen;
using System.Xml;
using Ottla.Protocol.Batches;

namespace Ottla.Client.PropertyNames;

/// <summary>The properties that mean something here, by their names in the Java client and in librdkafka.</summary>
internal static partial class KnownProperties
{
    private static readonly FrozenDictionary<string, Action<PropertyTarget, PropertyValue>> ByName =
        Clients().Concat(Producers()).Concat(Consumers()).Concat(Securities()).SelectMany(
            each => each.Names.Split(' ').Select(name => KeyValuePair.Create(name, each.Read))).ToFrozenDictionary();

    /// <summary>How a property is read; null when it means nothing here.</summary>
    public static Action<PropertyTarget, PropertyValue>? Find(string name) => ByName.GetValueOrDefault(name);

    private static IEnumerable<(string Names, Action<PropertyTarget, PropertyValue> Read)> Clients() =>
    [
        ("bootstrap.servers metadata.broker.list", (t, v) => t.Client = t.Client with { BootstrapServers = v.Text }),
        ("bootstrap.controllers", (t, v) => t.Client = t.Client with { BootstrapControllers = v.Text }),
        ("client.id", (t, v) => t.Client = t.Client with { ClientId = v.Text }),
        ("client.rack", (t, v) => t.Client = t.Client with { ClientRack = v.Text.Length == 0 ? null : v.Text }),
        ("request.timeout.ms socket.timeout.ms", (t, v) => t.Client = t.Client with { RequestTimeout = v.Milliseconds }),
        ("default.api.timeout.ms", (t, v) => t.Client = t.Client with { ApiTimeout = v.Milliseconds }),
        ("socket.connection.setup.timeout.ms", (t, v) => t.Client = t.Client with { ConnectTimeout = v.Milliseconds }),
        ("retry.backoff.ms", (t, v) => t.Client = t.Client with { RetryBackoff = v.Milliseconds }),
        ("retry.backoff.max.ms", (t, v) => t.Client = t.Client with { RetryBackoffMax = v.Milliseconds }),
        ("reconnect.backoff.ms", (t, v) => t.Client = t.Client with { ReconnectBackoff = v.Milliseconds }),
        ("reconnect.backoff.max.ms", (t, v) => t.Client = t.Client with { ReconnectBackoffMax = v.Milliseconds }),
        ("metadata.max.age.ms topic.metadata.refresh.interval.ms",
            (t, v) => t.Client = t.Client with { MetadataMaxAge = v.Milliseconds }),
        ("metadata.recovery.strategy", (t, v) => t.Client = t.Client with
        {
            MetadataRecovery = v.Word switch
            {
                "rebootstrap" => MetadataRecovery.Rebootstrap,
                "none" => MetadataRecovery.None,
                _ => throw v.Unknown("rebootstrap or none"),
            },
        }),
        ("metadata.recovery.rebootstrap.trigger.ms", (t, v) => t.Client = t.Client with { RebootstrapTrigger = v.Milliseconds }),
        ("connections.max.idle.ms", (t, v) => t.Client = t.Client with { ConnectionsMaxIdle = v.Milliseconds }),
        ("allow.auto.create.topics", (t, v) => t.Client = t.Client with { AllowAutoCreateTopics = v.Bool }),
        ("enable.metrics.push", (t, v) => t.Client = t.Client with { EnableMetricsPush = v.Bool }),
        ("buffer.memory", (t, v) => t.Client = t.Client with { MemoryLimitBytes = v.Long }),
        ("queue.buffering.max.kbytes", (t, v) => t.Client = t.Client with { MemoryLimitBytes = v.Long * 1024 }),
        ("queue.buffering.max.messages", (t, v) => t.Ignore(v.Name, "memory is bounded by bytes (MemoryLimitBytes), not by records")),
    ];

    private static IEnumerable<(string Names, Action<PropertyTarget, PropertyValue> Read)> Producers() =>
    [
        ("acks request.required.acks", (t, v) =>
        {
            var acks = v.Word switch
            {
                "all" or "-1" => Acks.All,
                "0" => Acks.None,
                "1" => Acks.Leader,
                _ => throw v.Unknown("all, -1, 0 or 1"),
            };
            t.Producer = t.Producer with { Acks = acks, Idempotence = t.Producer.Idempotence && acks == Acks.All };
        }),
        ("enable.idempotence", (t, v) => t.Producer = t.Producer with { Idempotence = v.Bool }),
        ("transactional.id", (t, v) => t.Producer = t.Producer with { TransactionalId = v.Text }),
        ("transaction.timeout.ms", (t, v) => t.Producer = t.Producer with { TransactionTimeout = v.Milliseconds }),
        ("linger.ms queue.buffering.max.ms", (t, v) => t.Producer = t.Producer with { Linger = v.Milliseconds }),
        ("batch.size", (t, v) => t.Producer = t.Producer with { BatchBytes = v.Int }),
        ("max.request.size message.max.bytes", (t, v) => t.Producer = t.Producer with { RequestBytesMax = v.Int }),
        ("compression.type compression.codec", (t, v) => t.Producer = t.Producer with
        {
            Compression = v.Word switch
            {
                "none" => CompressionType.None,
                "gzip" => CompressionType.Gzip,
                "snappy" => CompressionType.Snappy,
                "lz4" => CompressionType.Lz4,
                "zstd" => CompressionType.Zstd,
                _ => throw v.Unknown("none, gzip, snappy, lz4 or zstd"),
            },
        }),
        ("compression.level compression.gzip.level compression.lz4.level compression.zstd.level",
            (t, v) => t.Producer = t.Producer with { CompressionLevel = v.Int == -1 ? null : v.Int }),
        ("delivery.timeout.ms message.timeout.ms", (t, v) => t.Producer = t.Producer with { DeliveryTimeout = v.Milliseconds }),
        ("max.block.ms", (t, v) => t.Producer = t.Producer with { MaxBlock = v.Milliseconds }),
        ("max.in.flight.requests.per.connection max.in.flight", (t, v) =>
        {
            const int most = 5;
            if (v.Int > most)
                t.Ignore(v.Name, $"more than {most} requests under way are not supported: it is {most}");
            t.Producer = t.Producer with { InFlightMax = Math.Min(v.Int, most) };
        }),
        ("partitioner", (t, v) => t.Producer = t.Producer with
        {
            KeyPartitioner = v.Word switch
            {
                "consistent_random" => KeyPartitioner.Crc32,
                "murmur2_random" => KeyPartitioner.Murmur2,
                _ => throw v.Unknown("consistent_random or murmur2_random (with another one keys would go elsewhere)"),
            },
        }),
        ("partitioner.adaptive.partitioning.enable", (t, v) => t.Producer = t.Producer with { AdaptivePartitioning = v.Bool }),
        ("partitioner.rack.aware", (t, v) => t.Producer = t.Producer with { RackAwarePartitioning = v.Bool }),
        ("partitioner.class", (t, v) => throw v.Unknown("no class of one's own: name the partition in ProducerRecord.Partition, which")),
        ("retries message.send.max.retries", (t, v) => t.Ignore(v.Name, "attempts go on until DeliveryTimeout is over")),
        ("batch.num.messages", (t, v) => t.Ignore(v.Name, "a batch is bounded by bytes (BatchBytes), not by records")),
        ("enable.delivery.reports dotnet.producer.enable.delivery.reports",
            (t, v) => t.Ignore(v.Name, "EnqueueAsync without a handler reports nothing")),
    ];

    private static IEnumerable<(string Names, Action<PropertyTarget, PropertyValue> Read)> Consumers() =>
    [
        ("group.id", (t, v) => t.Consumer = t.Consumer with { GroupId = v.Text }),
        ("group.instance.id", (t, v) => t.Consumer = t.Consumer with { GroupInstanceId = v.Text }),
        ("group.protocol", (t, v) => t.Consumer = t.Consumer with
        {
            GroupProtocol = v.Word switch
            {
                "classic" => GroupProtocol.Classic,
                "consumer" => GroupProtocol.Consumer,
                _ => throw v.Unknown("classic or consumer"),
            },
        }),
        ("group.remote.assignor", (t, v) => t.Consumer = t.Consumer with { RemoteAssignor = v.Text }),
        ("partition.assignment.strategy",
            (t, v) => t.Consumer = t.Consumer with { Assignors = [.. v.List.Select(name => AssignorOf(name, v))] }),
        ("session.timeout.ms", (t, v) => t.Consumer = t.Consumer with { SessionTimeout = v.Milliseconds }),
        ("heartbeat.interval.ms", (t, v) => t.Consumer = t.Consumer with { HeartbeatInterval = v.Milliseconds }),
        ("max.poll.interval.ms", (t, v) => t.Consumer = t.Consumer with { MaxPollInterval = v.Milliseconds }),
        ("auto.offset.reset", (t, v) => t.Consumer = t.Consumer with { OffsetReset = ResetOf(v) }),
        ("enable.auto.commit", (t, v) => t.Consumer = t.Consumer with { EnableAutoCommit = v.Bool }),
        ("auto.commit.interval.ms", (t, v) =>
        {
            if (v.Int == 0)
                t.Consumer = t.Consumer with { EnableAutoCommit = false }; // so it is in librdkafka
            else
                t.Consumer = t.Consumer with { AutoCommitInterval = v.Milliseconds };
        }),
        ("isolation.level", (t, v) => t.Consumer = t.Consumer with
        {
            IsolationLevel = v.Word switch
            {
                "read_committed" => IsolationLevel.ReadCommitted,
                "read_uncommitted" => IsolationLevel.ReadUncommitted,
                _ => throw v.Unknown("read_committed or read_uncommitted"),
            },
        }),
        ("fetch.min.bytes", (t, v) => t.Consumer = t.Consumer with { FetchMinBytes = v.Int }),
        ("fetch.max.bytes", (t, v) => t.Consumer = t.Consumer with { FetchMaxBytes = v.Int }),
        ("max.partition.fetch.bytes fetch.message.max.bytes", (t, v) => t.Consumer = t.Consumer with { MaxPartitionFetchBytes = v.Int }),
        ("fetch.max.wait.ms fetch.wait.max.ms", (t, v) => t.Consumer = t.Consumer with { FetchMaxWait = v.Milliseconds }),
        ("check.crcs", (t, v) => t.Consumer = t.Consumer with { CheckCrcs = v.Bool }),
        ("max.poll.records", (t, v) => t.Consumer = t.Consumer with { MaxBatchRecords = v.Int }),
        ("queued.max.messages.kbytes", (t, v) => t.Consumer = t.Consumer with { PrefetchMaxBytes = v.Long * 1024 }),
        ("exclude.internal.topics", (t, v) => t.Consumer = t.Consumer with { ExcludeInternalTopics = v.Bool }),
        ("enable.auto.offset.store", (t, v) => t.Ignore(
            v.Name, "an offset is stored when the next record is asked for; to store others, set EnableAutoCommit to false and commit")),
        ("enable.partition.eof", (t, v) => t.Ignore(v.Name, "Lag tells how far the end is")),
        ("key.deserializer value.deserializer key.serializer value.serializer",
            (t, v) => t.Ignore(v.Name, "serializers are given to CreateProducer and CreateConsumer")),
    ];

    private static string AssignorOf(string name, PropertyValue value) => name switch
    {
        "range" or "org.apache.kafka.clients.consumer.RangeAssignor" => "range",
        "roundrobin" or "org.apache.kafka.clients.consumer.RoundRobinAssignor" => "roundrobin",
        "sticky" or "org.apache.kafka.clients.consumer.StickyAssignor" => "sticky",
        "cooperative-sticky" or "org.apache.kafka.clients.consumer.CooperativeStickyAssignor" => "cooperative-sticky",
        _ => throw value.Unknown("range, roundrobin, sticky or cooperative-sticky"),
    };

    private static OffsetReset ResetOf(PropertyValue value)
    {
        const string byDuration = "by_duration:";
        return value.Word switch
        {
            "latest" or "largest" or "end" => OffsetReset.Latest,
            "earliest" or "smallest" or "beginning" => OffsetReset.Earliest,
            "none" or "error" => OffsetReset.None,
            _ when value.Word.StartsWith(byDuration, StringComparison.Ordinal) =>
                OffsetReset.ByDuration(XmlConvert.ToTimeSpan(value.Text.Trim()[byDuration.Length..].ToUpperInvariant())),
            _ => throw value.Unknown("latest, earliest, none or by_duration:PT1H"),
        };
    }
}
