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
    private bool _hasPublished;

    /// <summary>The configuration in force.</summary>
    public BrokerConfig Current => _current;

    /// <summary>Begins with the dynamic values that were known when the node ran last. Before anybody reads it.</summary>
    public void BeginWith(ConfigsImage configs) => Apply(configs);

    /// <inheritdoc/>
    public string Name => "broker configuration";

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        var own = ConfigResource.Broker(_nodeId);
        // The first time in any case: what it began with may have been removed since.
        if (_hasPublished && !delta.Configs.Contains(ConfigResource.DefaultBroker) && !delta.Configs.Contains(own))
            return;
        _hasPublished = true;
        Apply(delta.New.Configs);
    }

    private void Apply(ConfigsImage configs)
    {
        var before = _current;
        _current = before.WithDynamic(configs.Of(ConfigResource.DefaultBroker), configs.Of(ConfigResource.Broker(_nodeId)));
        foreach (var warning in _current.Warnings.Except(before.Warnings))
            LogWarning(warning);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private partial void LogWarning(string warning);
}
