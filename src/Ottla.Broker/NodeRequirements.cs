using Ottla.Configuration;

namespace Ottla.Broker;

/// <summary>What a configuration may ask of this version: a clear refusal at start beats a surprise later.</summary>
internal static class NodeRequirements
{
    /// <exception cref="ConfigException">The configuration asks for something that is not there yet.</exception>
    public static void Check(BrokerConfig config)
    {
        if (!config.IsCombined)
            throw new ConfigException("process.roles: this version runs as 'broker,controller' only.");
        if (config.QuorumVoters.Any(voter => voter.Id != config.NodeId))
            throw new ConfigException($"controller.quorum.voters: this version runs as the only voter, {config.NodeId}@host:port.");
        if (config.Get("authorizer.class.name").AsString is { Length: > 0 } authorizer)
        {
            throw new ConfigException(
                $"authorizer.class.name: this version enforces no ACLs, so {authorizer} would protect nothing. Remove it to run without an authorizer.");
        }

        foreach (var listener in config.BrokerListeners)
        {
            if (listener.SecurityProtocol != SecurityProtocol.PLAINTEXT)
                throw new ConfigException($"listeners: {listener} is {listener.SecurityProtocol}; this version serves PLAINTEXT only.");
        }
    }
}
