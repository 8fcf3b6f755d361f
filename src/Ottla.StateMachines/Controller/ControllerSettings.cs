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

    /// <summary>The seed of random choices (topic ids, placement of replicas).</summary>
    public required ulong Seed { get; init; }
}

/// <summary>What the controller must know of the quorum as it is now. Raft keeps it, so it is not in the image.</summary>
/// <param name="KRaftVersion">The finalized level of kraft.version.</param>
/// <param name="VoterIds">The ids of the voters.</param>
public sealed record ControllerQuorum(short KRaftVersion, IReadOnlyCollection<int> VoterIds)
{
    /// <summary>No voters are known.</summary>
    public static readonly ControllerQuorum Unknown = new(0, []);
}
