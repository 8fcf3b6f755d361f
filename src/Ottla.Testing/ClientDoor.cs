using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Ottla.Network.Transport;

namespace Ottla.Testing;

/// <summary>
/// Where clients come in to one node: a port of this machine, behind which requests meet their faults before they go on to the node.
/// It outlives the node, so that a node which starts again has the port that its clients know.
/// </summary>
internal sealed class ClientDoor : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _closing = new();
    private readonly HashSet<Task> _connections = [];
    private readonly DoorSettings _settings;
    private Task _accepting = Task.CompletedTask;

    private ClientDoor(DoorSettings settings)
    {
        _settings = settings;
        _listener.Start();
    }

    /// <summary>The port on 127.0.0.1.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public static ClientDoor Open(DoorSettings settings)
    {
        var door = new ClientDoor(settings);
        door._accepting = door.AcceptAsync();
        return door;
    }

    public async ValueTask DisposeAsync()
    {
        _closing.Cancel();
        _listener.Stop();
        await _accepting;
        Task[] connections;
        lock (_connections)
            connections = [.. _connections];
        await Task.WhenAll(connections);
        _closing.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync(_closing.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException) when (!_closing.IsCancellationRequested)
            {
                continue; // that client has gone already
            }

            var connection = ServeAsync(client);
            lock (_connections)
                _connections.Add(connection);
            _ = ForgetAsync(connection);
        }
    }

    private async Task ForgetAsync(Task connection)
    {
        await connection;
        lock (_connections)
            _connections.Remove(connection);
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            client.NoDelay = true;
            try
            {
                await using var stream = await SecureAsync(new NetworkStream(client));
                await using var node = await _settings.Network.ConnectAsync(_settings.Node, _closing.Token);
                await new DoorConnection(stream, node, _settings, _closing.Token).RunAsync();
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException
                or System.Security.Authentication.AuthenticationException)
            {
                client.Close(0); // the client sees a reset: the node is down, the connection broke on purpose, or its TLS is wrong
            }
        }
    }

    private async Task<Stream> SecureAsync(NetworkStream stream)
    {
        if (_settings.Certificate is null)
            return stream;
        var secure = new SslStream(stream);
        await secure.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificate = _settings.Certificate }, _closing.Token);
        return secure;
    }
}

/// <summary>What a <see cref="ClientDoor"/> leads to.</summary>
/// <param name="NodeId">The node's id.</param>
/// <param name="Node">Where the node listens for clients.</param>
/// <param name="Network">The network of the nodes.</param>
/// <param name="Certificate">What the door proves itself with; null for no TLS.</param>
/// <param name="Faults">What goes wrong.</param>
/// <param name="Wire">Is told of each request.</param>
/// <param name="Clock">Times delays.</param>
/// <param name="NextConnection">Numbers connections.</param>
internal sealed record DoorSettings(
    int NodeId, IPEndPoint Node, ITransport Network, X509Certificate2? Certificate, FaultPlan Faults, WireLog Wire, TestClock Clock,
    Func<int> NextConnection);
