using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The configs of client metrics subscriptions (KIP-714).</summary>
internal static class ClientMetricsConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        List("metrics", "", AnyList(), ClusterWide, Medium, "Prefixes of the metrics clients are asked for; * for all of them."),
        Int("interval.ms", 300_000, Between(100, 3_600_000), ClusterWide, Medium, "Time between two pushes of a client."),
        List("match", "", ConfigRules.ClientMatch, ClusterWide, Medium, "Which clients are asked, as selector=pattern entries."),
    ];
}
