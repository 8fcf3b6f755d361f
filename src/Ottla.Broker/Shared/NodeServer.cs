using System.Net;
using System.Net.Sockets;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Network.Transport;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Shared;

/// <summary>
/// The listeners of one role of a node. They are bound first, so that their ports are known and taken, and served when the role is ready.
/// </summary>
/// <remarks>One per role; lives as long as the node.</remarks>
internal sealed class NodeServer
{
    /// <summary>How long requests under way may take at a stop before their connections are cut.</summary>
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(10);

    private readonly BrokerServer _server;

    private NodeServer(BrokerServer server, IReadOnlyList<IPEndPoint> endPoints)
    {
        _server = server;
        EndPoints = endPoints;
    }

    /// <summary>Where it listens, with the ports that were taken, in the order of the listeners.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints { get; }

    /// <summary>Binds listeners: clients may connect, and wait.</summary>
    /// <param name="role">Whose they are, for the log: <c>broker</c>.</param>
    /// <param name="storage">The node's configuration, network and clock.</param>
    /// <param name="connections">What the connections of all roles share.</param>
    /// <param name="listeners">The listeners.</param>
    /// <exception cref="NodeStartException">An address cannot be listened on.</exception>
    public static NodeServer Listen(string role, NodeStorage storage, ConnectionResources connections, IReadOnlyList<Listener> listeners)
    {
        var server = new BrokerServer(
            storage.Platform.Transport, new ServerSettingsSource(() => storage.Config).Current, connections.Buffers,
            connections.HeavyRequests,
            storage.Platform.Time, storage.Loggers.CreateLogger(nameof(BrokerServer)));
        storage.Parts.Add($"closing the {role}'s server", () => server.DisposeAsync().AsTask());
        storage.Parts.Add($"answering the {role}'s requests under way", () => server.StopAsync(DrainTimeout), () => Task.CompletedTask);
        return new NodeServer(server, [.. listeners.Select(listener => ListenOn(server, storage.Config, listener))]);
    }

    /// <summary>Serves who connects.</summary>
    public void Serve(ApiTable apis) => _server.StartAccepting(apis);

    /// <summary>The addresses to tell others: as configured, but for ports that were free to choose.</summary>
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
        // Left alone, the receive buffer grows with the sender; Kafka's default would pin it at 100 KiB, and cost a third more CPU
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
