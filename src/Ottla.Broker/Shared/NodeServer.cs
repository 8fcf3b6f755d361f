using System.Net;
using System.Net.Sockets;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Network.Transport;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Shared;

/// <summary>
/// The listeners of one role of a node. The node binds them first, to learn and hold their ports, and serves them when the role is ready.
/// </summary>
/// <remarks>One per role; lives as long as the node.</remarks>
internal sealed class NodeServer
{
    /// <summary>How long running requests may take at a stop, before the node closes their connections.</summary>
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(10);

    private readonly BrokerServer _server;

    private NodeServer(BrokerServer server, IReadOnlyList<IPEndPoint> endPoints)
    {
        _server = server;
        EndPoints = endPoints;
    }

    /// <summary>The addresses with the actual ports, in the order of the listeners.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints { get; }

    /// <summary>Counts the connections of each listener.</summary>
    public IReadOnlyList<ListenerCounters> Counters => _server.Counters;

    /// <summary>Binds listeners. Clients may connect, and wait until <see cref="Serve"/>.</summary>
    /// <param name="role">The role, for the log: <c>broker</c>.</param>
    /// <param name="storage">The node's configuration, network and clock.</param>
    /// <param name="connections">The resources that all connections share.</param>
    /// <param name="listeners">The listeners.</param>
    /// <param name="quotas">What clients may use; null for no quotas.</param>
    /// <exception cref="NodeStartException">An address is in use, or not one of this machine.</exception>
    public static NodeServer Listen(
        string role, NodeStorage storage, ConnectionResources connections, IReadOnlyList<Listener> listeners, ClientQuotas? quotas)
    {
        var server = new BrokerServer(
            storage.Platform.Transport, new ServerSettingsSource(() => storage.Config, quotas).Current, connections.Buffers,
            connections.HeavyRequests,
            storage.Platform.Time, storage.Loggers.CreateLogger(nameof(BrokerServer)), connections.Security);
        storage.Parts.Add($"closing the {role}'s server", () => server.DisposeAsync().AsTask());
        storage.Parts.Add($"answering the {role}'s running requests", () => server.StopAsync(DrainTimeout), () => Task.CompletedTask);
        return new NodeServer(server, [.. listeners.Select(listener => ListenOn(server, storage.Config, listener))]);
    }

    /// <summary>Starts to serve connections.</summary>
    public void Serve(ApiTable apis) => _server.StartAccepting(apis);

    /// <summary>
    /// The addresses for other nodes and clients: the configured ones, with the actual port where the configuration says 0.
    /// </summary>
    /// <param name="advertised">The advertised listeners.</param>
    /// <param name="bound">The listeners that were bound.</param>
    public IEnumerable<Endpoint> Advertise(IEnumerable<Listener> advertised, IReadOnlyList<Listener> bound)
    {
        foreach (var listener in advertised)
        {
            var port = listener.Port;
            for (var i = 0; i < EndPoints.Count && port == 0; i++)
                port = bound[i].Name == listener.Name ? EndPoints[i].Port : 0;
            yield return new Endpoint(listener.Name, listener.Host ?? Dns.GetHostName(), (ushort)port, (short)listener.SecurityProtocol);
        }
    }

    private static IPEndPoint ListenOn(BrokerServer server, BrokerConfig config, Listener listener)
    {
        // By default the kernel lets the receive buffer grow. Kafka's default would fix it at 100 KiB, and cost a third more CPU
        // (docs/adr/0006).
        var receiveBytes = config.IsSet("socket.receive.buffer.bytes") ? config.SocketReceiveBufferBytes
            : SocketBufferSizes.OperatingSystemDefault;
        try
        {
            return server.Listen(
                new ServerListener(listener.Name, ListenerAddress.Resolve(listener)), config.SocketListenBacklogSize,
                new SocketBufferSizes(config.SocketSendBufferBytes, receiveBytes));
        }
        catch (SocketException e)
        {
            throw new NodeStartException($"Cannot listen on {listener}: {e.Message}");
        }
    }
}
