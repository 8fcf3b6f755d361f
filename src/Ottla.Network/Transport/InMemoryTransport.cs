using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;

namespace Ottla.Network.Transport;

/// <summary>
/// A network in memory, for tests and simulations: listeners by address and port, bounded duplex pipes, no sockets, no threads of its own.
/// </summary>
/// <remarks>
/// Each instance is one host's view; <see cref="ForHost"/> gives other hosts' views of the same network. Thread-safe. Deterministic: ports
/// are handed out in order, and waiters continue on the task scheduler they waited on.
/// </remarks>
public sealed class InMemoryTransport : ITransport
{
    /// <summary>Default bound on bytes in transit in one direction: the size of an operating system's socket buffers.</summary>
    public const int PipeBytesDefault = 256 * 1024;

    private readonly Network _network;
    private readonly IPAddress _host;

    /// <summary>Makes a new network, seen from host 127.0.0.1.</summary>
    /// <param name="pipeBytes">The most bytes in transit in one direction; a writer waits beyond that.</param>
    public InMemoryTransport(int pipeBytes = PipeBytesDefault)
        : this(new Network(pipeBytes), IPAddress.Loopback)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pipeBytes, 1);
    }

    private InMemoryTransport(Network network, IPAddress host)
    {
        _network = network;
        _host = host;
    }

    /// <summary>
    /// The same network seen from another host: its connections come from that address, and its wildcard listeners listen there.
    /// </summary>
    public InMemoryTransport ForHost(IPAddress host)
    {
        ArgumentNullException.ThrowIfNull(host);
        return new InMemoryTransport(_network, host);
    }

    /// <summary>
    /// Gives a host a name for <see cref="DnsEndPoint"/>s. A name of no host fails with <see cref="SocketError.HostNotFound"/>.
    /// </summary>
    public void NameHost(string name, IPAddress host)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(host);
        lock (_network.Lock)
            _network.Names[name] = host;
    }

    /// <inheritdoc/>
    /// <remarks>The socket buffer sizes have no effect.</remarks>
    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        ArgumentOutOfRangeException.ThrowIfLessThan(backlog, 1);
        lock (_network.Lock)
        {
            var port = endpoint.Port == 0 ? _network.NextPort() : endpoint.Port;
            var local = new IPEndPoint(IsWildcard(endpoint.Address) ? _host : endpoint.Address, port);
            var listener = new InMemoryListener(_network, local, backlog);
            return _network.Listeners.TryAdd(local, listener) ? listener : throw new SocketException((int)SocketError.AddressAlreadyInUse);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Fails at once when nobody listens there or the backlog is full.</remarks>
    public ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_network.Lock)
        {
            var remote = Resolve(endpoint);
            if (!_network.Listeners.TryGetValue(remote, out var listener))
                return ValueTask.FromException<ITransportConnection>(new SocketException((int)SocketError.ConnectionRefused));
            var local = new IPEndPoint(_host, _network.NextPort());
            var toServer = new InMemoryPipe(_network.PipeBytes);
            var toClient = new InMemoryPipe(_network.PipeBytes);
            var accepted = new InMemoryConnection(toServer, toClient, remote, local);
            return listener.TryEnqueue(accepted)
                ? ValueTask.FromResult<ITransportConnection>(new InMemoryConnection(toClient, toServer, local, remote))
                : ValueTask.FromException<ITransportConnection>(new SocketException((int)SocketError.ConnectionRefused));
        }
    }

    private static bool IsWildcard(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private IPEndPoint Resolve(EndPoint endpoint) => endpoint switch
    {
        IPEndPoint ip => IsWildcard(ip.Address) ? new IPEndPoint(_host, ip.Port) : ip,
        DnsEndPoint dns when IPAddress.TryParse(dns.Host, out var address) => new IPEndPoint(address, dns.Port),
        DnsEndPoint dns when _network.Names.TryGetValue(dns.Host, out var address) => new IPEndPoint(address, dns.Port),
        DnsEndPoint => throw new SocketException((int)SocketError.HostNotFound),
        _ => throw new ArgumentException(
            $"The in-memory network does not support addresses of the family {endpoint.AddressFamily}", nameof(endpoint)),
    };

    /// <summary>The state that all hosts share. Guarded by <see cref="Lock"/>.</summary>
    internal sealed class Network(int pipeBytes)
    {
        private const int FirstPort = 49152;

        private int _portsGiven;

        public Lock Lock { get; } = new();

        public int PipeBytes { get; } = pipeBytes;

        public Dictionary<IPEndPoint, InMemoryListener> Listeners { get; } = [];

        public Dictionary<string, IPAddress> Names { get; } = new(StringComparer.OrdinalIgnoreCase) { ["localhost"] = IPAddress.Loopback };

        /// <summary>The next free port of the dynamic range, round-robin.</summary>
        public int NextPort()
        {
            while (true)
            {
                var port = FirstPort + (_portsGiven++ % (IPEndPoint.MaxPort + 1 - FirstPort));
                if (!IsListenedOn(port))
                    return port;
            }
        }

        private bool IsListenedOn(int port)
        {
            foreach (var listener in Listeners.Keys)
            {
                if (listener.Port == port)
                    return true;
            }

            return false;
        }
    }
}

/// <summary>An endpoint of an <see cref="InMemoryTransport"/>. Owned by the accept loop.</summary>
internal sealed class InMemoryListener(InMemoryTransport.Network network, IPEndPoint endpoint, int backlog) : ITransportListener
{
    private readonly Channel<InMemoryConnection> _waiting = Channel.CreateBounded<InMemoryConnection>(backlog);

    public IPEndPoint LocalEndPoint { get; } = endpoint;

    public async ValueTask<ITransportConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        while (await _waiting.Reader.WaitToReadAsync(cancellationToken))
        {
            if (_waiting.Reader.TryRead(out var connection))
                return connection;
        }

        throw new ObjectDisposedException(nameof(InMemoryListener));
    }

    public ValueTask DisposeAsync()
    {
        lock (network.Lock)
        {
            network.Listeners.Remove(LocalEndPoint);
            _waiting.Writer.TryComplete();
        }

        while (_waiting.Reader.TryRead(out var connection))
            connection.Abort();
        return ValueTask.CompletedTask;
    }

    internal bool TryEnqueue(InMemoryConnection connection) => _waiting.Writer.TryWrite(connection);
}

/// <summary>One end of an in-memory connection. Owned by the connection's task; <see cref="Abort"/> from any thread.</summary>
internal sealed class InMemoryConnection(InMemoryPipe incoming, InMemoryPipe outgoing, IPEndPoint local, IPEndPoint remote)
    : ITransportConnection
{
    private int _isClosed;

    public IPEndPoint? RemoteEndPoint { get; } = remote;

    public IPEndPoint? LocalEndPoint { get; } = local;

    public bool CanSendFile => false;

    public long SentBytes => outgoing.WrittenBytes;

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        incoming.ReadAsync(buffer, cancellationToken);

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        outgoing.WriteAsync(bytes, cancellationToken);

    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException("In-memory connections do not support sendfile.");

    public void Abort()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return;
        incoming.Break(readerError: SocketError.OperationAborted, writerError: SocketError.ConnectionReset);
        outgoing.Break(readerError: SocketError.ConnectionReset, writerError: SocketError.OperationAborted);
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return ValueTask.CompletedTask;
        outgoing.CompleteWriter();
        incoming.Break(readerError: SocketError.OperationAborted, writerError: SocketError.ConnectionReset);
        return ValueTask.CompletedTask;
    }
}
