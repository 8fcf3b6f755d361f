using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The broker configs of replication and leadership.</summary>
internal static class ReplicationConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Int("controller.socket.timeout.ms", 30_000, null, ReadOnly, Medium,
            "Socket timeout of the channels between controller and brokers."),
        Int("default.replication.factor", 1, null, ReadOnly, Medium, "Replicas of a topic created without a number."),
        Long("replica.lag.time.max.ms", 30_000, null, ReadOnly, High,
            "How long a follower may go without catching up before it leaves the in-sync set."),
        Int("replica.socket.timeout.ms", 30_000, null, ReadOnly, High, "Socket timeout of a follower's requests."),
        Int("replica.socket.receive.buffer.bytes", 65_536, null, ReadOnly, High, "Receive buffer of a follower's sockets."),
        Int("replica.fetch.max.bytes", 1_048_576, AtLeast(0), ReadOnly, Medium, "Most bytes a follower asks for per partition."),
        Int("replica.fetch.wait.max.ms", 500, null, ReadOnly, High, "Longest time a leader holds a follower's fetch."),
        Int("replica.fetch.backoff.ms", 1000, AtLeast(0), ReadOnly, Medium, "Wait before a follower's failed fetch is tried again."),
        Int("replica.fetch.min.bytes", 1, null, ReadOnly, High, "Bytes a leader gathers before it answers a follower's fetch."),
        Int("replica.fetch.response.max.bytes", 10_485_760, AtLeast(0), ReadOnly, Medium,
            "Most bytes a follower asks for in one answer."),
        Int("num.replica.fetchers", 1, AtLeast(1), ClusterWide, High, "Fetchers per leader that replicate in parallel."),
        Long("replica.high.watermark.checkpoint.interval.ms", 5000, null, ReadOnly, High,
            "Time between writes of the high watermark checkpoint."),
        Int("fetch.purgatory.purge.interval.requests", 1000, null, ReadOnly, Medium,
            "Finished fetches after which the list of waiting ones is cleaned."),
        Int("producer.purgatory.purge.interval.requests", 1000, null, ReadOnly, Medium,
            "Finished produces after which the list of waiting ones is cleaned."),
        Int("delete.records.purgatory.purge.interval.requests", 1, null, ReadOnly, Medium,
            "Finished DeleteRecords after which the list of waiting ones is cleaned."),
        Bool("auto.leader.rebalance.enable", true, ReadOnly, High, "Whether leadership goes back to the preferred replicas by itself."),
        Long("leader.imbalance.check.interval.seconds", 300, AtLeast(1), ReadOnly, High,
            "Time between checks for leaders that are not the preferred replica."),
        Bool("unclean.leader.election.enable", false, ClusterWide, High,
            "Whether a replica out of the in-sync set may become leader, losing records."),
        Text("security.inter.broker.protocol", "PLAINTEXT", OneOf("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), ReadOnly, Medium,
            "The security protocol between brokers; excludes inter.broker.listener.name."),
        Text("inter.broker.listener.name", null, null, ReadOnly, Medium,
            "The listener brokers use among themselves; excludes security.inter.broker.protocol."),
        Text("replica.selector.class", null, null, ReadOnly, Medium,
            "What chooses the replica a consumer fetches from; the leader when not set."),
        Bool("follower.fetch.last.tiered.offset.enable", false, ClusterWide, Medium,
            "Whether a new follower of a tiered topic starts at the last tiered offset."),
    ];
}
