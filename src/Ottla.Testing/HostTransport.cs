using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Ottla.Network.Transport;

namespace Ottla.Testing;

/// <summary>The network as one process has it, until that process dies: then its connections break and nobody reaches it.</summary>
internal sealed class HostTransport(ITransport network) : ITransport
{
    private readonly ConcurrentBag<ITransportConnection> _connections = [];
    private readonly ConcurrentBag<ITransportListener> _listeners = [];
    private volatile bool _isCut;

    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes)
    {
        var listener = new Listener(this, network.Listen(endpoint, backlog, sizes));
        _listeners.Add(listener);
        return listener;
    }

    public async ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken)
    {
        if (_isCut)
            throw new SocketException((int)SocketError.NetworkUnreachable);
        return Keep(await network.ConnectAsync(endpoint, cancellationToken));
    }

    /// <summary>The process dies.</summary>
    public async Task CutAsync()
    {
        _isCut = true;
        foreach (var listener in _listeners)
            await listener.DisposeAsync();
        foreach (var connection in _connections)
            connection.Abort();
    }

    private ITransportConnection Keep(ITransportConnection connection)
    {
        _connections.Add(connection);
        if (_isCut)
            connection.Abort();
        return connection;
    }

    private sealed class Listener(HostTransport host, ITransportListener inner) : ITransportListener
    {
        public IPEndPoint LocalEndPoint => inner.LocalEndPoint;

        public async ValueTask<ITransportConnection> AcceptAsync(CancellationToken cancellationToken) =>
            host.Keep(await inner.AcceptAsync(cancellationToken));

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
