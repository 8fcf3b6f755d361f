using static Ottla.Configuration.ConfigRow;

namespace Ottla.Configuration.Definitions;

/// <summary>
/// The configs that Kafka does not know: switches of what Ottla does beyond it. Kafka warns of them and goes on. DescribeConfigs shows them
/// only where they are set.
/// </summary>
internal static class OwnConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Internal(ConfigType.Boolean, "ottla.quorum.election.on.process.end.enable", "true", null,
            "Whether voters hold an election as soon as the leader's process has ended, or wait for controller.quorum.fetch.timeout.ms."),
        Internal(ConfigType.Boolean, "ottla.broker.fencing.on.process.end.enable", "true", null,
            "Whether the controller fences a broker as soon as its process has ended, or waits for broker.session.timeout.ms."),
    ];
}
