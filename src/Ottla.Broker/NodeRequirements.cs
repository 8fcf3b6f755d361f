using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.StateMachines.Authorization;

namespace Ottla.Broker;

/// <summary>Refuses configurations that this version cannot serve. An error at start is better than a surprise later.</summary>
internal static class NodeRequirements
{
    /// <exception cref="ConfigException">The configuration asks for something that is not there yet.</exception>
    public static void Check(BrokerConfig config)
    {
        _ = AuthorizerSettings.From(config);
        if (config.ReplicaSelectorClass is { Length: > 0 } selector && selector != RackAwareReplicas.KafkaClass)
        {
            throw new ConfigException(
                $"replica.selector.class: this version has no class {selector}. Name {RackAwareReplicas.KafkaClass}, or remove it to have "
                    + "leaders serve all consumers.");
        }

        const string builder = "principal.builder.class";
        if (config.Get(builder).AsString is { } principals && principals != ConfigRegistry.Broker[builder].DefaultText)
        {
            throw new ConfigException(
                $"{builder}: this version has no class {principals}. Remove it; ssl.principal.mapping.rules gives other names to "
                    + "certificates.");
        }
    }
}
