using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>What a broker says of itself when it registers. Immutable.</summary>
public sealed record NodeIdentity
{
    private const short FirstVersionWithLevelZero = 4;

    public required int NodeId { get; init; }

    public required string ClusterId { get; init; }

    /// <summary>Names this run of the process: a fresh one every time.</summary>
    public required Uuid IncarnationId { get; init; }

    /// <summary>Where clients and brokers reach it: the advertised listeners.</summary>
    public required ImmutableArray<Endpoint> BrokerEndpoints { get; init; }

    public required SupportedFeatures SupportedFeatures { get; init; }

    public string? Rack { get; init; }

    /// <summary>The ids of the online log directories.</summary>
    public required ImmutableArray<Uuid> LogDirs { get; init; }

    /// <summary>The ids of those that take no new replicas.</summary>
    public ImmutableArray<Uuid> CordonedLogDirs { get; init; } = [];

    /// <summary>The broker epoch in the files that a clean shutdown leaves in all directories; -1 when there is none.</summary>
    public long PreviousBrokerEpoch { get; init; } = -1;

    /// <summary>
    /// A registration as a version can carry it: below version 4, features that may be at level 0 are left out, for controllers that take
    /// such a range for an error (KAFKA-17492).
    /// </summary>
    public static BrokerRegistrationRequest RegistrationFor(short version, BrokerRegistrationRequest request) =>
        version >= FirstVersionWithLevelZero ? request : new BrokerRegistrationRequest
        {
            BrokerId = request.BrokerId,
            ClusterId = request.ClusterId,
            IncarnationId = request.IncarnationId,
            Listeners = request.Listeners,
            Features = [.. request.Features.Where(feature => feature.MinSupportedVersion > 0)],
            Rack = request.Rack,
            IsMigratingZkBroker = request.IsMigratingZkBroker,
            LogDirs = request.LogDirs,
            PreviousBrokerEpoch = request.PreviousBrokerEpoch,
        };

    /// <summary>The request that registers it.</summary>
    public BrokerRegistrationRequest ToBrokerRegistration() => new()
    {
        BrokerId = NodeId,
        ClusterId = ClusterId,
        IncarnationId = IncarnationId,
        Listeners = [.. BrokerEndpoints.Select(endpoint => new BrokerRegistrationRequest.Listener
        {
            Name = endpoint.Listener,
            Host = endpoint.Host,
            Port = endpoint.Port,
            SecurityProtocol = endpoint.SecurityProtocol,
        })],
        Features = [.. SupportedFeatures.Ranges.Select(feature => new BrokerRegistrationRequest.Feature
        {
            Name = feature.Key,
            MinSupportedVersion = feature.Value.Min,
            MaxSupportedVersion = feature.Value.Max,
        })],
        Rack = Rack,
        LogDirs = [.. LogDirs.Order()],
        PreviousBrokerEpoch = PreviousBrokerEpoch,
    };
}
