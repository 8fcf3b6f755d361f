using Ottla.Broker.Directories;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Metadata;

/// <summary>Builds the registration of a node from its configuration, its directories and its actual ports.</summary>
internal static class NodeIdentities
{
    /// <summary>
    /// The directories may hold what an Apache Kafka of the newest version finalized; it is kept, and offered to clients as far as it works
    /// here.
    /// </summary>
    private static SupportedFeatures Features => SupportedFeatures.Latest;

    /// <summary>What a broker registers with.</summary>
    /// <param name="config">The static configuration.</param>
    /// <param name="storage">Whose directories these are.</param>
    /// <param name="endpoints">Where clients and brokers reach it.</param>
    /// <param name="logs">The log directories.</param>
    public static NodeIdentity OfBroker(BrokerConfig config, StorageIdentity storage, IEnumerable<Endpoint> endpoints, LogManager logs) =>
        new()
        {
            NodeId = storage.NodeId,
            ClusterId = storage.ClusterId,
            IncarnationId = Uuid.NewRandom(),
            BrokerEndpoints = [.. endpoints],
            SupportedFeatures = Features,
            Rack = config.BrokerRack,
            LogDirs = [.. IdsOf(logs, directory => !directory.IsOffline)],
            CordonedLogDirs = [.. IdsOf(logs, logs.IsCordoned)],
            PreviousBrokerEpoch = logs.PreviousBrokerEpoch,
        };

    /// <summary>What a controller registers with.</summary>
    /// <param name="storage">Whose directories these are.</param>
    /// <param name="endpoints">Where other nodes and tools reach it.</param>
    public static ControllerRegistrationRequest OfController(StorageIdentity storage, IEnumerable<Endpoint> endpoints) => new()
    {
        ControllerId = storage.NodeId,
        IncarnationId = Uuid.NewRandom(),
        Listeners = [.. endpoints.Select(endpoint => new ControllerRegistrationRequest.Listener
        {
            Name = endpoint.Listener,
            Host = endpoint.Host,
            Port = endpoint.Port,
            SecurityProtocol = endpoint.SecurityProtocol,
        })],
        Features = [.. Features.Ranges.Select(feature => new ControllerRegistrationRequest.Feature
        {
            Name = feature.Key,
            MinSupportedVersion = feature.Value.Min,
            MaxSupportedVersion = feature.Value.Max,
        })],
    };

    /// <summary>The ids of log directories for partitions.</summary>
    public static IEnumerable<Uuid> IdsOf(LogManager logs, Func<LogDirectory, bool> which) =>
        logs.Directories.Where(logs.IsForPartitions).Where(which).Select(directory => directory.Properties?.DirectoryId).OfType<Uuid>();
}
