using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The configs of groups.</summary>
internal static class GroupConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Int("consumer.session.timeout.ms", 45_000, AtLeast(1), ClusterWide, Medium, "How long the group waits for a member's heartbeat."),
        Int("consumer.heartbeat.interval.ms", 5000, AtLeast(1), ClusterWide, Medium, "Time between the members' heartbeats."),
        Int("consumer.assignment.interval.ms", 1000, AtLeast(0), ClusterWide, Medium, "Shortest time between two assignments."),
        Internal(
            Bool("consumer.assignor.offload.enable", true, ClusterWide, Medium, "Whether assignments are computed in the background.")),
        Int("share.session.timeout.ms", 45_000, AtLeast(1), ClusterWide, Medium, "How long the group waits for a member's heartbeat."),
        Int("share.heartbeat.interval.ms", 5000, AtLeast(1), ClusterWide, Medium, "Time between the members' heartbeats."),
        Int("share.record.lock.duration.ms", 30_000, AtLeast(1000), ClusterWide, Medium,
            "How long a record is held for the consumer it was delivered to."),
        Int("share.delivery.count.limit", 5, AtLeast(2), ClusterWide, Medium, "How often a record is delivered before it is given up."),
        Int("share.partition.max.record.locks", 2000, AtLeast(100), ClusterWide, Medium, "Most records in flight per partition."),
        Text("share.auto.offset.reset", "latest", ConfigRules.ShareAutoOffsetReset, ClusterWide, Medium,
            "Where a share group starts in a partition: earliest, latest, or by_duration: and an ISO 8601 duration."),
        Text("share.isolation.level", "read_uncommitted", OneOf("read_committed", "read_uncommitted"), ClusterWide, Medium,
            "Whether records of open and aborted transactions are delivered."),
        Bool("share.renew.acknowledge.enable", true, ClusterWide, Medium, "Whether consumers may renew a record's lock."),
        Int("share.assignment.interval.ms", 1000, AtLeast(0), ClusterWide, Medium, "Shortest time between two assignments."),
        Internal(Bool("share.assignor.offload.enable", true, ClusterWide, Medium, "Whether assignments are computed in the background.")),
        Int("streams.session.timeout.ms", 45_000, AtLeast(1), ClusterWide, Medium, "How long the group waits for a member's heartbeat."),
        Int("streams.heartbeat.interval.ms", 5000, AtLeast(1), ClusterWide, Medium, "Time between the members' heartbeats."),
        Int("streams.num.standby.replicas", 0, AtLeast(0), ClusterWide, Medium, "Standby replicas of each task with state."),
        Int("streams.initial.rebalance.delay.ms", 3000, AtLeast(0), ClusterWide, Medium,
            "How long an empty group waits for more members before its first assignment."),
        Int("streams.assignment.interval.ms", 1000, AtLeast(0), ClusterWide, Medium, "Shortest time between two assignments."),
        Internal(Bool("streams.assignor.offload.enable", true, ClusterWide, Medium, "Whether assignments are computed in the background.")),
        Internal(Int("streams.task.offset.interval.ms", 60_000, AtLeast(1), ClusterWide, Medium,
            "Time between a member's reports of its task offsets.")),
        Internal(Int("streams.num.warmup.replicas", 2, AtLeast(0), ClusterWide, Medium,
            "Warm-up replicas that may exist beyond the assigned ones at a time.")),
        List("streams.rack.aware.assignment.tags", "", AnyList(), ClusterWide, Low, "Client tags by which standby replicas are spread."),
        Internal(Long("streams.acceptable.recovery.lag", 10_000, AtLeast(0), ClusterWide, Medium,
            "Lag up to which a client counts as caught up enough to take an active task.")),
        Text("streams.assignor.name", null, null, ClusterWide, Medium,
            "The task assignor of the group; the broker's first one when not set."),
        Text("errors.deadletterqueue.topic.name", "", null, ClusterWide, Medium,
            "Where records that were given up are written; empty for nowhere."),
        Bool("errors.deadletterqueue.copy.record.enable", false, ClusterWide, Medium,
            "Whether the dead letter carries a copy of the record."),
    ];
}
