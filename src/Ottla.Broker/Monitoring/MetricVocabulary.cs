namespace Ottla.Broker.Monitoring;

/// <summary>
/// Other names of metrics: those of exporters and systems whose dashboards ask for the same numbers. What has no other name keeps its own.
/// </summary>
public sealed class MetricVocabulary
{
    /// <summary>What Kafka calls the meters that dashboards of JMX show as <c>..._total</c>.</summary>
    private static readonly string[] MeterPrefixes =
    [
        "kafka_server_brokertopicmetrics_", "kafka_server_replicamanager_isr", "kafka_server_replicamanager_failedisrupdates",
        "kafka_controller_controllerstats_", "kafka_network_requestmetrics_", "kafka_server_fetchsessioncache_",
    ];

    private const string TotalSuffix = "_total";

    private readonly Func<MetricFamily, MetricFamily> _rename;

    private MetricVocabulary(string name, Func<MetricFamily, MetricFamily> rename) => (Name, _rename) = (name, rename);

    /// <summary>What it is asked for by.</summary>
    public string Name { get; }

    /// <summary>All that there are.</summary>
    public static IReadOnlyList<MetricVocabulary> All { get; } =
    [
        new("confluent", family => RenameMeter(family, "persec")),
        new("strimzi", family => RenameMeter(family, "persec_total")),
        Of("opentelemetry",
            new("kafka_topic_partition_current_offset", "kafka_partition_current_offset", "topic", "partition"),
            new("kafka_topic_partition_oldest_offset", "kafka_partition_oldest_offset", "topic", "partition"),
            new("kafka_topic_partition_replicas", "kafka_partition_replicas", "topic", "partition"),
            new("kafka_topic_partition_in_sync_replica", "kafka_partition_replicas_in_sync", "topic", "partition"),
            new("kafka_consumergroup_members", "kafka_consumer_group_members", "group"),
            new("kafka_consumergroup_current_offset", "kafka_consumer_group_offset", "group", "topic", "partition"),
            new("kafka_consumergroup_current_offset_sum", "kafka_consumer_group_offset_sum", "group", "topic"),
            new("kafka_consumergroup_lag", "kafka_consumer_group_lag", "group", "topic", "partition"),
            new("kafka_consumergroup_lag_sum", "kafka_consumer_group_lag_sum", "group", "topic")),
        Of("redpanda",
            new("kafka_brokers", "redpanda_cluster_brokers"),
            new("kafka_controller_kafkacontroller_globaltopiccount", "redpanda_cluster_topics"),
            new("kafka_controller_kafkacontroller_globalpartitioncount", "redpanda_cluster_partitions"),
            new("kafka_controller_kafkacontroller_offlinepartitionscount", "redpanda_cluster_unavailable_partitions"),
            new("kafka_server_brokertopicmetrics_messagesin_total", "redpanda_kafka_records_produced_total", "redpanda_topic"),
            new("kafka_topic_partitions", "redpanda_kafka_partitions", "redpanda_topic"),
            new("kafka_topic_partition_current_offset", "redpanda_kafka_max_offset", "redpanda_topic", "redpanda_partition"),
            new("kafka_consumergroup_members", "redpanda_kafka_consumer_group_consumers", "redpanda_group"),
            new("kafka_consumergroup_current_offset", "redpanda_kafka_consumer_group_committed_offset",
                "redpanda_group", "redpanda_topic", "redpanda_partition"),
            new("kafka_server_socket_server_metrics_connection_count", "redpanda_rpc_active_connections", "redpanda_server"),
            new("ottla_log_directory_free_bytes", "redpanda_storage_disk_free_bytes", "logDirectory"),
            new("ottla_log_directory_size_bytes", "redpanda_storage_disk_total_bytes", "logDirectory"),
            new("ottla_tls_certificate_expiry_timestamp_seconds", "redpanda_tls_certificate_expires_at_timestamp_seconds", "area")),
    ];

    /// <summary>The vocabulary of a name; null when there is none.</summary>
    public static MetricVocabulary? Find(string name) => All.FirstOrDefault(each => each.Name == name);

    /// <summary>A family under its other name; the same when it has none.</summary>
    public MetricFamily Rename(MetricFamily family) => _rename(family);

    /// <summary>An output that gives the samples under the other names.</summary>
    public IMetricOutput Over(IMetricOutput output) => new Renaming(output, this);

    private static MetricVocabulary Of(string name, params OtherName[] names)
    {
        var byName = names.ToDictionary(each => each.Name);
        return new MetricVocabulary(name, family => byName.TryGetValue(family.Name, out var other)
            ? family with { Name = other.Other, Labels = other.Labels }
            : family);
    }

    private static MetricFamily RenameMeter(MetricFamily family, string suffix) =>
        family.Name.EndsWith(TotalSuffix, StringComparison.Ordinal)
        && MeterPrefixes.Any(prefix => family.Name.StartsWith(prefix, StringComparison.Ordinal))
            ? family with { Name = family.Name[..^TotalSuffix.Length] + suffix }
            : family;

    private sealed record OtherName(string Name, string Other, params IReadOnlyList<string> Labels);

    private sealed class Renaming(IMetricOutput output, MetricVocabulary vocabulary) : IMetricOutput
    {
        public void Begin(MetricFamily family) => output.Begin(vocabulary.Rename(family));

        public void Add(double value, params ReadOnlySpan<string> labels) => output.Add(value, labels);

        public void Add(in TimeSummary summary, params ReadOnlySpan<string> labels) => output.Add(summary, labels);
    }
}
