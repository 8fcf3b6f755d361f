using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;

namespace Ottla.Network.Transport;

/// <summary>TCP over .NET's asynchronous sockets, on every system that .NET supports. Thread-safe; one per process.</summary>
/// <remarks>On Linux, <see cref="Epoll.EpollTransport"/> needs less CPU.</remarks>
/// <param name="time">Times the retries of accept while the machine lacks file descriptors or memory.</param>
/// <param name="logger">Logs accept errors; null logs nothing.</param>
public sealed class SocketTransport(TimeProvider time, ILogger? logger = null) : ITransport
{
    private readonly ILogger _logger = logger ?? NullLogger.Instance;

    /// <inheritdoc/>
    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes)
    {
        var socket = SocketListener.Open(endpoint, backlog, sizes);
        return new SocketListener(socket, new SocketAcceptor(socket), sizes,
            DescriptorReserve.OfThisProcess((int)socket.SafeHandle.DangerousGetHandle()), time, _logger);
    }

    /// <inheritdoc/>
    public ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken) =>
        ConnectAsync(endpoint, SocketBufferSizes.OperatingSystemDefaults, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(
        EndPoint endpoint, SocketBufferSizes sizes, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            sizes.ApplyTo(socket);
            await socket.ConnectAsync(endpoint, cancellationToken);
            return new SocketConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>How serious an error of accept is for the listener.</summary>
internal enum AcceptErrorKind
{
    /// <summary>The listening socket failed: stop.</summary>
    Fatal,

    /// <summary>The machine lacks file descriptors or memory, or the cause is unknown: wait, and keep listening.</summary>
    ResourcePressure,

    /// <summary>One client's connection failed before it was accepted: accept the next.</summary>
    ClientNoise,
}

/// <summary>Accepts connections in the way of a transport. A listener owns it; disposing it closes the listener's socket.</summary>
internal interface IAcceptor : IDisposable
{
    /// <summary>Returns the socket of the next connection.</summary>
    ValueTask<Socket> AcceptAsync(CancellationToken cancellationToken);

    /// <summary>Makes a connection from an accepted socket.</summary>
    ITransportConnection Serve(Socket accepted);
}

/// <summary>Accepts with .NET's asynchronous sockets.</summary>
internal sealed class SocketAcceptor(Socket socket) : IAcceptor
{
    public ValueTask<Socket> AcceptAsync(CancellationToken cancellationToken) => socket.AcceptAsync(cancellationToken);

    public ITransportConnection Serve(Socket accepted) => new SocketConnection(accepted);

    public void Dispose() => socket.Dispose();
}

/// <summary>A listening TCP socket. Owned by the accept loop.</summary>
internal sealed partial class SocketListener(
    Socket socket, IAcceptor acceptor, SocketBufferSizes sizes, DescriptorReserve? reserve, TimeProvider time, ILogger logger)
        : ITransportListener
{
    /// <summary>
    /// First wait when the machine lacks resources: long enough to avoid a busy loop, short enough that clients do not notice a brief lack.
    /// </summary>
    private const int BackoffMsMin = 10;

    private const int BackoffMsMax = 1000;

    /// <summary>Pressure that lasts is told again after this time.</summary>
    private static readonly TimeSpan PressureLogInterval = TimeSpan.FromMinutes(1);

    private long? _pressureLoggedAt;
    private volatile bool _isDisposed;

    public IPEndPoint LocalEndPoint { get; } = (IPEndPoint)socket.LocalEndPoint!;

    /// <summary>Begins to listen.</summary>
    /// <exception cref="SocketException">The endpoint is taken, or the address is not one of this machine.</exception>
    public static Socket Open(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        ArgumentOutOfRangeException.ThrowIfLessThan(backlog, 1);
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Like Java, a wildcard socket serves both IPv4 and IPv6.
            if (endpoint.Address.Equals(IPAddress.IPv6Any))
                socket.DualMode = true;
            // TCP negotiates the window scale in the handshake, so accepted sockets must inherit the size from the listener.
            if (sizes.ReceiveBytes != SocketBufferSizes.OperatingSystemDefault)
                socket.ReceiveBufferSize = sizes.ReceiveBytes;
            socket.Bind(endpoint);
            socket.Listen(backlog);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async ValueTask<ITransportConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        var backoffMs = BackoffMsMin;
        while (true)
        {
            if (reserve?.MayAccept() == false)
            {
                if (ShouldLogPressure())
                    LogDescriptorsShort(logger, LocalEndPoint, reserve.HeldBack, reserve.Limit);
                await BackOffAsync();
                continue;
            }

            try
            {
                var accepted = await acceptor.AcceptAsync(cancellationToken);
                reserve?.Note((int)accepted.SafeHandle.DangerousGetHandle());
                return Configure(accepted);
            }
            catch (SocketException exception)
            {
                ObjectDisposedException.ThrowIf(_isDisposed, this);
                switch (Classify(exception.SocketErrorCode))
                {
                    case AcceptErrorKind.Fatal:
                        throw;
                    case AcceptErrorKind.ClientNoise:
                        LogFailedConnection(logger, exception.SocketErrorCode);
                        break;
                    default:
                        if (ShouldLogPressure())
                            LogResourcePressure(logger, LocalEndPoint, exception.SocketErrorCode);
                        await BackOffAsync();
                        break;
                }
            }
        }

        async ValueTask BackOffAsync()
        {
            await Task.Delay(TimeSpan.FromMilliseconds(backoffMs), time, cancellationToken);
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            backoffMs = Math.Min(backoffMs * 2, BackoffMsMax);
        }
    }

    public ValueTask DisposeAsync()
    {
        _isDisposed = true;
        acceptor.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// Classifies errors of accept as accept(2) describes them. An unknown error must neither end the listener nor cause a busy loop.
    /// </summary>
    internal static AcceptErrorKind Classify(SocketError error) => error switch
    {
        SocketError.OperationAborted or SocketError.NotSocket or SocketError.InvalidArgument or SocketError.Fault
            or SocketError.Shutdown => AcceptErrorKind.Fatal,
        SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.TimedOut or SocketError.Interrupted
            or SocketError.NetworkDown or SocketError.NetworkUnreachable or SocketError.NetworkReset
            or SocketError.HostDown or SocketError.HostUnreachable or SocketError.HostNotFound
            or SocketError.ProtocolOption or SocketError.ProtocolNotSupported or SocketError.ProtocolType
            or SocketError.OperationNotSupported or SocketError.AccessDenied
            or SocketError.NotConnected => AcceptErrorKind.ClientNoise,
        _ => AcceptErrorKind.ResourcePressure,
    };

    private bool ShouldLogPressure()
    {
        if (_pressureLoggedAt is { } loggedAt && time.GetElapsedTime(loggedAt) < PressureLogInterval)
            return false;
        _pressureLoggedAt = time.GetTimestamp();
        return true;
    }

    private ITransportConnection Configure(Socket accepted)
    {
        try
        {
            accepted.NoDelay = true;
            accepted.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            if (sizes.SendBytes != SocketBufferSizes.OperatingSystemDefault)
                accepted.SendBufferSize = sizes.SendBytes;
        }
        catch (SocketException exception)
        {
            // The client may be gone already. If so, the first receive fails, and the connection's own task handles that.
            LogFailedConnection(logger, exception.SocketErrorCode);
        }

        return acceptor.Serve(accepted);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "A client connection failed before the broker accepted it: {Error}")]
    private static partial void LogFailedConnection(ILogger logger, SocketError error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cannot accept on {EndPoint}: {Error}. It is tried again every second")]
    private static partial void LogResourcePressure(ILogger logger, IPEndPoint endPoint, SocketError error);

    [LoggerMessage(
        Level = LogLevel.Warning, Message =
            "New connections on {EndPoint} wait: of the {Limit} files and connections that this process may have open, the last "
            + "{HeldBack} are kept for the logs. Raise the limit (ulimit -n), or set max.connections")]
    private static partial void LogDescriptorsShort(ILogger logger, IPEndPoint endPoint, long heldBack, long limit);
}

/// <summary>A connected TCP socket. Owned by the connection's task; <see cref="Abort"/> from any thread.</summary>
internal sealed class SocketConnection : ITransportConnection
{
    private readonly Socket _socket;
    private long _sentBytes;
    private int _isClosed;

    public SocketConnection(Socket socket)
    {
        _socket = socket;
        RemoteEndPoint = EndPointOf(socket, static socket => socket.RemoteEndPoint);
        LocalEndPoint = EndPointOf(socket, static socket => socket.LocalEndPoint);
    }

    public IPEndPoint? RemoteEndPoint { get; }

    public IPEndPoint? LocalEndPoint { get; }

    public bool CanSendFile => false;

    public long SentBytes => Interlocked.Read(ref _sentBytes);

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
        }
        catch (ObjectDisposedException)
        {
            throw new SocketException((int)SocketError.OperationAborted);
        }
    }

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            var sending = _socket.SendAsync(bytes, SocketFlags.None, cancellationToken);
            if (!sending.IsCompletedSuccessfully)
                return FinishSendAsync(sending, bytes.Length);
            Invariant.Check(sending.Result == bytes.Length, "an asynchronous send on a stream socket sends everything");
            Interlocked.Add(ref _sentBytes, bytes.Length);
            return ValueTask.CompletedTask;
        }
        catch (ObjectDisposedException)
        {
            throw new SocketException((int)SocketError.OperationAborted);
        }
    }

    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException(".NET's sockets cannot send a range of a file.");

    public void Abort()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
            Reset(_socket);
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
            End(_socket);
        return ValueTask.CompletedTask;
    }

    /// <summary>Closes a socket with a reset, so that the peer knows that the data it has is incomplete.</summary>
    internal static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(enable: true, seconds: 0); // a linger time of zero means a reset
        }
        catch (SocketException)
        {
            // Already disconnected: only closing is left.
        }

        socket.Dispose();
    }

    /// <summary>Shuts both directions down in order, and closes the socket.</summary>
    internal static void End(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // The peer closed first.
        }

        socket.Dispose();
    }

    /// <summary>
    /// Reads an address of a socket; null when the peer already reset the connection. The first receive reports the reset.
    /// </summary>
    /// <remarks>
    /// IPv4 clients of a dual-mode listener have IPv4-mapped IPv6 addresses; access lists and logs use the plain IPv4 address.
    /// </remarks>
    internal static IPEndPoint? EndPointOf(Socket socket, Func<Socket, EndPoint?> get)
    {
        try
        {
            return get(socket) is IPEndPoint { Address.IsIPv4MappedToIPv6: true } mapped
                ? new IPEndPoint(mapped.Address.MapToIPv4(), mapped.Port)
                : get(socket) as IPEndPoint;
        }
        catch (SocketException)
        {
            return null;
        }
    }

    [System.Runtime.CompilerServices.AsyncMethodBuilder(typeof(System.Runtime.CompilerServices.PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FinishSendAsync(ValueTask<int> sending, int length)
    {
        var sent = await sending;
        Invariant.Check(sent == length, "an asynchronous send on a stream socket sends everything");
        Interlocked.Add(ref _sentBytes, length);
    }
}
