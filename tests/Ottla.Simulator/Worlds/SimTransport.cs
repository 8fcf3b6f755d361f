using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Ottla.Network.Transport;

namespace Ottla.Simulator.Worlds;

/// <summary>The network as one process sees it, from its own address. What it opened dies with the process.</summary>
public sealed class SimTransport : ITransport
{
    /// <summary>How soon an attempt to connect over a cut network is repeated.</summary>
    private static readonly TimeSpan ConnectRetryDelay = TimeSpan.FromMilliseconds(200);

    private readonly SimNetwork _network;
    private readonly SimProcess _process;
    private readonly IPAddress _address;
    private readonly List<IDisposable> _open = [];

    internal SimTransport(SimNetwork network, SimProcess process, IPAddress address)
    {
        _network = network;
        _process = process;
        _address = address;
    }

    /// <inheritdoc/>
    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes)
    {
        var listener = _network.Listen(endpoint, this);
        _open.Add(listener);
        return listener;
    }

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken)
    {
        var peer = (IPEndPoint)endpoint;
        await Task.Delay(_network.NextDelay(_address, peer.Address), _process.Clock, cancellationToken);
        while (_network.IsCut(_address, peer.Address, peer.Port) || _network.IsCut(peer.Address, _address, peer.Port))
            // as TCP does: nobody says that the peer is out of reach
            await Task.Delay(ConnectRetryDelay, _process.Clock, cancellationToken);
        var connection = _network.Connect(_address, peer) ?? throw new SocketException((int)SocketError.ConnectionRefused);
        Own(connection);
        return connection;
    }

    /// <summary>A connection that this process opened or accepted.</summary>
    internal void Own(SimConnection connection)
    {
        if (!_process.IsAlive)
        {
            connection.Abort();
            return;
        }

        connection.Owner = this;
        _open.Add(connection);
    }

    internal void Disown(IDisposable closed) => _open.Remove(closed);

    /// <summary>The process died: the operating system closes what it had open.</summary>
    internal void Close()
    {
        foreach (var each in _open.ToArray())
            each.Dispose();
        _open.Clear();
    }
}

/// <summary>An endpoint that a process listens on.</summary>
internal sealed class SimListener(SimNetwork network, SimTransport owner, IPEndPoint endpoint) : ITransportListener, IDisposable
{
    private readonly Queue<SimConnection> _waiting = new();
    private TaskCompletionSource? _acceptor;
    private bool _isClosed;

    public IPEndPoint LocalEndPoint { get; } = endpoint;

    public async ValueTask<ITransportConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ObjectDisposedException.ThrowIf(_isClosed, this);
            if (_waiting.TryDequeue(out var connection))
            {
                owner.Own(connection);
                return connection;
            }

            _acceptor = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            using (cancellationToken.UnsafeRegister(static acceptor => ((TaskCompletionSource)acceptor!).TrySetResult(), _acceptor))
                await _acceptor.Task;
        }
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    public void Dispose()
    {
        if (_isClosed)
            return;
        _isClosed = true;
        network.Forget(this);
        owner.Disown(this);
        while (_waiting.TryDequeue(out var connection))
            connection.Abort();
        _acceptor?.TrySetResult();
    }

    internal void Add(SimConnection connection)
    {
        _waiting.Enqueue(connection);
        _acceptor?.TrySetResult();
    }
}

/// <summary>A connection: its two directions and its two ends.</summary>
internal sealed class SimLink
{
    private readonly SimNetwork _network;
    private readonly SimStream _toServer;
    private readonly SimStream _toClient;
    private int _closedEnds;

    public SimLink(SimNetwork network, IPEndPoint client, IPEndPoint server)
    {
        _network = network;
        _toServer = new SimStream(network, client.Address, server.Address, server.Port);
        _toClient = new SimStream(network, server.Address, client.Address, server.Port);
        Client = new SimConnection(this, _toClient, _toServer, client, server);
        Server = new SimConnection(this, _toServer, _toClient, server, client);
        _toServer.OnRefused = () => _toServer.FailWriter(SocketError.ConnectionReset);
        _toClient.OnRefused = () => _toClient.FailWriter(SocketError.ConnectionReset);
    }

    public SimConnection Client { get; }

    public SimConnection Server { get; }

    /// <summary>The network breaks the connection off; each end learns of it after what was sent to it before.</summary>
    public void Reset()
    {
        _network.Forget(this);
        _toServer.Reset(() => _toClient.FailWriter(SocketError.ConnectionReset));
        _toClient.Reset(() => _toServer.FailWriter(SocketError.ConnectionReset));
    }

    /// <summary>An end was closed, or broken off.</summary>
    public void CloseEnd()
    {
        if (++_closedEnds == 2)
            _network.Forget(this);
    }
}

/// <summary>One end of a simulated connection.</summary>
internal sealed class SimConnection(SimLink link, SimStream incoming, SimStream outgoing, IPEndPoint local, IPEndPoint remote)
    : ITransportConnection, IDisposable
{
    private bool _isClosed;

    public IPEndPoint? RemoteEndPoint { get; } = remote;

    public IPEndPoint? LocalEndPoint { get; } = local;

    public bool CanSendFile => false;

    public long SentBytes { get; private set; }

    /// <summary>Whose it is; null while it waits to be accepted.</summary>
    public SimTransport? Owner { get; set; }

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        incoming.ReadAsync(buffer, cancellationToken);

    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        outgoing.Write(bytes);
        SentBytes += bytes.Length;
        await Task.Yield(); // others may go first: a send is no atomic step
    }

    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException("the simulated network has no sendfile");

    public void Abort()
    {
        if (TryClose())
            outgoing.Reset(() => incoming.FailWriter(SocketError.ConnectionReset));
    }

    public void Dispose() => Abort();

    public ValueTask DisposeAsync()
    {
        if (TryClose())
            outgoing.End();
        return ValueTask.CompletedTask;
    }

    private bool TryClose()
    {
        if (_isClosed)
            return false;
        _isClosed = true;
        incoming.FailReader(SocketError.OperationAborted);
        Owner?.Disown(this);
        link.CloseEnd();
        return true;
    }
}
