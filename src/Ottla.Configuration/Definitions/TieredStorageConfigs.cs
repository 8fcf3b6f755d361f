using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The broker configs of tiered storage (KIP-405).</summary>
internal static class TieredStorageConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Bool("remote.log.storage.system.enable", false, ReadOnly, Medium, "Whether tiered storage is on in this broker."),
        Text("remote.log.storage.manager.impl.prefix", "rsm.config.", ConfigRules.NonEmpty, ReadOnly, Medium,
            "Prefix of the configs handed to the remote storage manager."),
        Text("remote.log.metadata.manager.impl.prefix", "rlmm.config.", ConfigRules.NonEmpty, ReadOnly, Medium,
            "Prefix of the configs handed to the remote log metadata manager."),
        Text("remote.log.storage.manager.class.name", null, ConfigRules.NonEmpty, ReadOnly, Medium, "The remote storage manager."),
        Text("remote.log.storage.manager.class.path", null, null, ReadOnly, Medium, "Where the remote storage manager is loaded from."),
        Text("remote.log.metadata.manager.class.name",
            "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
            ConfigRules.NonEmpty, ReadOnly, Medium,
            "The remote log metadata manager."),
        Text("remote.log.metadata.manager.class.path", null, null, ReadOnly, Medium,
            "Where the remote log metadata manager is loaded from."),
        Text("remote.log.metadata.manager.listener.name", null, ConfigRules.NonEmpty, ReadOnly, Medium,
            "The listener the remote log metadata manager connects to."),
        Int("remote.log.metadata.custom.metadata.max.bytes", 128, AtLeast(0), ReadOnly, Low,
            "Largest custom metadata of a remote segment."),
        Long("remote.log.index.file.cache.total.size.bytes", 1_073_741_824, AtLeast(1), ClusterWide, Low,
            "Disk space for cached indexes of remote segments."),
        Int("remote.log.manager.thread.pool.size", 2, AtLeast(1), ReadOnly, Medium,
            "Threads that watch over tiered partitions; superseded by the pools per task."),
        Int("remote.log.manager.copier.thread.pool.size", 10, AtLeast(1), ClusterWide, Medium,
            "Threads that copy segments to remote storage."),
        Int("remote.log.manager.expiration.thread.pool.size", 10, AtLeast(1), ClusterWide, Medium,
            "Threads that delete expired remote segments."),
        Int("remote.log.manager.follower.thread.pool.size", 2, AtLeast(1), ClusterWide, Medium,
            "Threads that follow the remote metadata for followers."),
        Long("remote.log.manager.task.interval.ms", 30_000, AtLeast(1), ReadOnly, Low, "Time between runs of the tiered storage tasks."),
        Int("remote.log.reader.threads", 10, AtLeast(1), ClusterWide, Medium, "Threads that read from remote storage."),
        Int("remote.log.reader.max.pending.tasks", 100, AtLeast(1), ReadOnly, Medium, "Most remote reads waiting."),
        Long("log.local.retention.ms", -2, AtLeast(-2), ClusterWide, Medium,
            "How long tiered records are kept locally; -2 for as long as they are kept at all."),
        Long("log.local.retention.bytes", -2, AtLeast(-2), ClusterWide, Medium,
            "Local size of a tiered partition; -2 for its whole retention size."),
        Long("log.remote.copy.lag.ms", 0, AtLeast(-1), ClusterWide, Medium,
            "Age of a segment before it is copied to remote storage; -1 for the local retention."),
        Long("log.remote.copy.lag.bytes", -1, AtLeast(-1), ClusterWide, Medium,
            "Bytes that stay uncopied to remote storage; -1 for the local retention."),
        Long("remote.log.manager.copy.max.bytes.per.second", long.MaxValue, AtLeast(1), ClusterWide, Medium,
            "Limit of copying to remote storage."),
        Int("remote.log.manager.copy.quota.window.num", 11, AtLeast(1), ReadOnly, Medium, "Samples the copy limit is measured over."),
        Int("remote.log.manager.copy.quota.window.size.seconds", 1, AtLeast(1), ReadOnly, Medium,
            "Length of a sample of the copy limit."),
        Long("remote.log.manager.fetch.max.bytes.per.second", long.MaxValue, AtLeast(1), ClusterWide, Medium,
            "Limit of reading from remote storage."),
        Int("remote.log.manager.fetch.quota.window.num", 11, AtLeast(1), ReadOnly, Medium, "Samples the read limit is measured over."),
        Int("remote.log.manager.fetch.quota.window.size.seconds", 1, AtLeast(1), ReadOnly, Medium,
            "Length of a sample of the read limit."),
        Int("remote.fetch.max.wait.ms", 500, AtLeast(1), ClusterWide, Medium, "Longest time a fetch waits for remote storage."),
        Long("remote.list.offsets.request.timeout.ms", 30_000, AtLeast(1), ClusterWide, Medium,
            "Longest time a ListOffsets request waits for remote storage."),
    ];
}
