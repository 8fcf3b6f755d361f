using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The configs that Kafka reads but does not document. They are accepted and omitted from DescribeConfigs.</summary>
internal static class InternalConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Internal(ConfigType.Int, "group.consumer.regex.refresh.interval.ms", "600000", AtLeast(10_000),
            "Time between refreshes of the topics a regular expression matches."),
        Internal(ConfigType.Int, "group.share.initialize.retry.interval.ms", "30000", AtLeast(1),
            "Time between attempts to initialise share partitions."),
        Internal(
            ConfigType.String, "group.share.persister.class.name", "org.apache.kafka.server.share.persister.DefaultStatePersister", null,
            "What persists share state."),
        Internal(
            ConfigType.String, "group.share.dlq.manager.class.name", "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager", null,
            "What writes dead letters."),
        Internal(ConfigType.Long, "controller.performance.sample.period.ms", "60000", AtLeast(100),
            "Length of a sample of controller performance."),
        Internal(ConfigType.Long, "controller.performance.always.log.threshold.ms", "2000", AtLeast(0),
            "Duration from which a controller event is always logged."),
        Internal(ConfigType.Long, "server.max.startup.time.ms", "9223372036854775807", AtLeast(0),
            "Longest time a start may take."),
        Internal(ConfigType.Int, "internal.metadata.log.segment.bytes", null, null,
            "Segment size of the metadata log, for tests."),
        Internal(ConfigType.Int, "internal.metadata.max.batch.size.in.bytes", "8388608", null,
            "Largest batch of the metadata log."),
        Internal(ConfigType.Long, "internal.metadata.delete.delay.millis", "60000", null,
            "How long deleted metadata files stay on disk."),
        Internal(ConfigType.Boolean, "unstable.api.versions.enable", "false", null,
            "Whether API versions still in development are offered."),
        Internal(ConfigType.Boolean, "unstable.feature.versions.enable", "false", null,
            "Whether feature versions still in development are offered."),
        Internal(ConfigType.Long, "unclean.leader.election.interval.ms", "300000", AtLeast(1),
            "Time between checks for partitions that may elect an unclean leader."),
        Internal(ConfigType.Int, "share.coordinator.state.topic.prune.interval.ms", "300000", AtLeast(1),
            "Time between prunings of the share state topic."),
        Internal(ConfigType.Int, "share.coordinator.cold.partition.snapshot.interval.ms", "300000", AtLeast(1),
            "Time between snapshots of idle share partitions."),
        Internal(ConfigType.Long, "remote.log.index.file.cache.ttl.ms", "900000", AtLeast(-1),
            "How long a cached remote index may be idle."),
        Internal(ConfigType.Long, "remote.log.manager.task.retry.backoff.ms", "500", AtLeast(1),
            "First wait before a tiered storage task is tried again."),
        Internal(ConfigType.Long, "remote.log.manager.task.retry.backoff.max.ms", "30000", AtLeast(1),
            "Longest wait before a tiered storage task is tried again."),
        Internal(ConfigType.Double, "remote.log.manager.task.retry.jitter", "0.2", Between(0, 0.5),
            "Random part of that wait."),
        Internal(ConfigType.Int, "producer.id.expiration.check.interval.ms", "600000", AtLeast(1),
            "Time between checks for expired producers."),
        Internal(ConfigType.Long, "log.initial.task.delay.ms", "30000", AtLeast(0),
            "Wait before the first run of the log tasks."),
    ];
}
