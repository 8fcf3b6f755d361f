using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The broker configs of quotas.</summary>
internal static class QuotaConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Int("quota.window.num", 11, AtLeast(1), ReadOnly, Low, "Samples a client quota is measured over."),
        Int("replication.quota.window.num", 11, AtLeast(1), ReadOnly, Low, "Samples a replication quota is measured over."),
        Int("alter.log.dirs.replication.quota.window.num", 11, AtLeast(1), ReadOnly, Low,
            "Samples the quota of moves between log directories is measured over."),
        Int("controller.quota.window.num", 11, AtLeast(1), ReadOnly, Low, "Samples a controller mutation quota is measured over."),
        Int("quota.window.size.seconds", 1, AtLeast(1), ReadOnly, Low, "Length of a client quota's sample."),
        Int("replication.quota.window.size.seconds", 1, AtLeast(1), ReadOnly, Low, "Length of a replication quota's sample."),
        Int("alter.log.dirs.replication.quota.window.size.seconds", 1, AtLeast(1), ReadOnly, Low,
            "Length of a sample of the quota of moves between log directories."),
        Int("controller.quota.window.size.seconds", 1, AtLeast(1), ReadOnly, Low, "Length of a controller mutation quota's sample."),
        Class("client.quota.callback.class", null, ReadOnly, Low, "A plugin that decides which client quota applies."),
        Long("leader.replication.throttled.rate", long.MaxValue, AtLeast(0), DynamicOnly, Medium,
            "Bytes per second a leader sends for throttled replicas."),
        Long("follower.replication.throttled.rate", long.MaxValue, AtLeast(0), DynamicOnly, Medium,
            "Bytes per second a follower fetches for throttled replicas."),
        Long("replica.alter.log.dirs.io.max.bytes.per.second", long.MaxValue, AtLeast(0), DynamicOnly, Medium,
            "Bytes per second of moves between log directories."),
    ];
}
