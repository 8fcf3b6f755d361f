using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

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
        Internal(ConfigType.Int, "ottla.login.timeout.ms", "30000", AtLeast(1),
            "How long a client may take for the TLS handshake and the login together, before its connection is closed."),
        Internal(ConfigType.Int, "ottla.login.connections.per.ip.max", "1000", AtLeast(1),
            "Most connections of one address that are not logged in yet; one more closes the oldest of them."),
        Internal(ConfigType.String, "ottla.monitoring.listener", "127.0.0.1:9404", null,
            "Where the node answers HTTP requests for its metrics and its health: host:port, or nothing to answer none."),
        Internal(ConfigType.String, "ottla.otlp.endpoint", "", null,
            "The OpenTelemetry collector that metrics are pushed to, by OTLP over HTTP: a URL such as http://collector:4318, or nothing to "
                + "push none. Where it is set, clients may push their metrics to this broker (KIP-714), which hands them on."),
        Internal(ConfigType.Password, "ottla.otlp.headers", null, null,
            "Headers of the requests to the collector: name=value, or several of them with commas between."),
        Internal(ConfigType.Int, "ottla.otlp.interval.ms", "60000", AtLeast(100),
            "The time between two pushes of the node's own metrics. Those of clients are handed on as they come."),
    ];
}
