using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>What a controller is told at start and never changes.</summary>
public sealed record ControllerSettings
{
    /// <summary>This node.</summary>
    public required int NodeId { get; init; }

    /// <summary>The cluster that brokers must say they belong to.</summary>
    public required string ClusterId { get; init; }

    /// <summary>The node's static configuration: defaults and bounds. Dynamic values come from the image.</summary>
    public required BrokerConfig Config { get; init; }

    /// <summary>The features this node supports.</summary>
    public required SupportedFeatures SupportedFeatures { get; init; }

    /// <summary>The finalized level of kraft.version, which Raft keeps.</summary>
    public short KRaftVersion { get; init; }

    /// <summary>The controllers that vote.</summary>
    public IReadOnlyCollection<int> VoterIds { get; init; } = [];

    /// <summary>Where random choices (topic ids, placement) begin.</summary>
    public required ulong Seed { get; init; }
}
