using Ottla.Broker.Replicas;
using Ottla.Configuration;

namespace Ottla.Broker;

/// <summary>Refuses configurations that this version cannot serve. An error at start is better than a surprise later.</summary>
internal static class NodeRequirements
{
    /// <exception cref="ConfigException">The configuration asks for something that is not there yet.</exception>
    public static void Check(BrokerConfig config)
    {
        if (config.Get("authorizer.class.name").AsString is { Length: > 0 } authorizer)
        {
            throw new ConfigException(
                $"authorizer.class.name: this version enforces no ACLs, so {authorizer} would protect nothing. Remove it to run without "
                    + "an authorizer.");
        }

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
