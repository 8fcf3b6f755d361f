using Microsoft.Extensions.Logging;
using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>The current configuration of the broker: the static configuration with the dynamic changes on top (KIP-226).</summary>
/// <remarks>Any thread may read it; only the metadata publisher changes it. Registered before all publishers that read it.</remarks>
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
