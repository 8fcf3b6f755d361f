using System.Net;
using Ottla.Broker.Directories;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Metadata;

/// <summary>Puts together what a node registers with, from its configuration, its directories and the ports that it took.</summary>
internal static class NodeIdentities
{
    /// <param name="config">The static configuration.</param>
    /// <param name="storage">Whose directories these are.</param>
    /// <param name="endPoints">Where each broker listener listens, in their order.</param>
    /// <param name="logs">The log directories.</param>
    public static NodeIdentity Of(BrokerConfig config, StorageIdentity storage, IReadOnlyList<IPEndPoint> endPoints, LogManager logs) => new()
    {
        NodeId = storage.NodeId,
        ClusterId = storage.ClusterId,
        IncarnationId = Uuid.NewRandom(),
        BrokerEndpoints = [.. config.AdvertisedListeners.Select(listener => Advertise(listener, config, endPoints))],
        ControllerEndpoints = [.. config.AdvertisedControllerListeners.Select(listener => ToEndpoint(listener, listener.Port))],
        // The directories may hold what an Apache Kafka of the newest version finalized; it is kept, and offered to clients as far as it works here.
        SupportedFeatures = SupportedFeatures.Latest,
        Rack = config.BrokerRack,
        LogDirs = [.. logs.Directories.Where(directory => !directory.IsOffline && logs.IsForPartitions(directory)).Select(directory => directory.Properties?.DirectoryId).OfType<Uuid>()],
        PreviousBrokerEpoch = logs.PreviousBrokerEpoch,
    };

    private static Endpoint Advertise(Listener advertised, BrokerConfig config, IReadOnlyList<IPEndPoint> endPoints)
    {
        var port = advertised.Port;
        for (var i = 0; i < endPoints.Count && port == 0; i++) // port 0: the one that was taken
            port = config.BrokerListeners[i].Name == advertised.Name ? endPoints[i].Port : 0;
        return ToEndpoint(advertised, port);
    }

    private static Endpoint ToEndpoint(Listener listener, int port) =>
        new(listener.Name, listener.Host ?? Dns.GetHostName(), (ushort)port, (short)listener.SecurityProtocol);
}
