using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Peers;

/// <summary>
/// The ways of a broker to the others for one purpose, one for each, over the listener between brokers. Thread-safe; lives as long as the
/// broker.
/// </summary>
/// <param name="channels">Makes them, and closes them at the end.</param>
/// <param name="options">What all of them have in common.</param>
/// <param name="listener"><c>inter.broker.listener.name</c>.</param>
/// <param name="image">The metadata: where each broker listens.</param>
internal sealed class BrokerChannels(NodeChannels channels, RequestChannelOptions options, string listener, Func<MetadataImage> image)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, RequestChannel> _byBroker = [];

    /// <summary>The channel to a broker; null while it is not known where it listens.</summary>
    public RequestChannel? Find(int brokerId)
    {
        if (image().Cluster.Broker(brokerId)?.EndpointAt(listener) is not { } endpoint)
            return null;
        var address = new NodeAddress(brokerId, endpoint.Host, endpoint.Port);
        lock (_lock)
        {
            if (_byBroker.TryGetValue(brokerId, out var known) && known.Address == address)
                return known;
            var made = channels.ToNode(address, options);
            _byBroker[brokerId] = made; // the one to its former address has nothing under way soon, and is closed with the node
            return made;
        }
    }
}
