using Microsoft.Extensions.Logging;
using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>The broker's configuration as it is now: the static one under what was altered dynamically (KIP-226).</summary>
/// <remarks>Read anywhere; changed by the metadata publisher only. Registered before every publisher that reads it.</remarks>
public sealed partial class EffectiveBrokerConfig(BrokerConfig initial, ILogger logger) : IMetadataPublisher
{
    private readonly int _nodeId = initial.NodeId;
    private volatile BrokerConfig _current = initial;

    /// <summary>The configuration in force.</summary>
    public BrokerConfig Current => _current;

    /// <inheritdoc/>
    public string Name => "broker configuration";

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        var own = ConfigResource.Broker(_nodeId);
        if (!delta.Configs.Contains(ConfigResource.DefaultBroker) && !delta.Configs.Contains(own))
            return;
        var before = _current;
        _current = before.WithDynamic(delta.New.Configs.Of(ConfigResource.DefaultBroker), delta.New.Configs.Of(own));
        foreach (var warning in _current.Warnings.Except(before.Warnings))
            LogWarning(warning);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private partial void LogWarning(string warning);
}
