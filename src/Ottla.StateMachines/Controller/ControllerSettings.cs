using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Settings of a controller that are fixed at its start.</summary>
public sealed record ControllerSettings
{
    /// <summary>The id of this node.</summary>
    public required int NodeId { get; init; }

    /// <summary>The id of the cluster. Brokers with another one are rejected.</summary>
    public required string ClusterId { get; init; }

    /// <summary>The static configuration of the node: defaults and bounds. Dynamic values are in the image.</summary>
    public required BrokerConfig Config { get; init; }

    /// <summary>The features this node supports.</summary>
    public required SupportedFeatures SupportedFeatures { get; init; }

    /// <summary>The finalized level of kraft.version, which Raft manages.</summary>
    public short KRaftVersion { get; init; }

    /// <summary>The ids of the voters.</summary>
    public IReadOnlyCollection<int> VoterIds { get; init; } = [];

    /// <summary>The seed of random choices (topic ids, placement of replicas).</summary>
    public required ulong Seed { get; init; }
}
