using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;

namespace Ottla.Network.Transport;

/// <summary>TCP over the operating system's sockets. Thread-safe; one per process.</summary>
/// <remarks>This file is the only one that touches <see cref="Socket"/>: another way to drive sockets (epoll, io_uring) replaces it behind <see cref="ITransport"/>.</remarks>
/// <param name="time">Paces accepts while the machine lacks file descriptors or memory.</param>
/// <param name="logger">Told about accept errors; null logs nothing.</param>
public sealed class SocketTransport(TimeProvider time, ILogger? logger = null) : ITransport
{
    private readonly ILogger _logger = logger ?? NullLogger.Instance;

    /// <inheritdoc/>
    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        ArgumentOutOfRangeException.ThrowIfLessThan(backlog, 1);
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Java's wildcard socket serves IPv4 and IPv6; so does ours.
            if (endpoint.Address.Equals(IPAddress.IPv6Any))
                socket.DualMode = true;
            // TCP's window scale is settled in the handshake, so accepted sockets must inherit the size from the listener.
            if (sizes.ReceiveBytes != SocketBufferSizes.OperatingSystemDefault)
                socket.ReceiveBufferSize = sizes.ReceiveBytes;
            socket.Bind(endpoint);
            socket.Listen(backlog);
            return new SocketListener(socket, sizes, time, _logger);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
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

/// <summary>What an error of accept says about the listener.</summary>
internal enum AcceptErrorKind
{
    /// <summary>The listening socket is gone or was never usable: stop.</summary>
    Fatal,

    /// <summary>The machine lacks file descriptors or memory, or the cause is unknown: wait, keep listening.</summary>
    ResourcePressure,

    /// <summary>One client's connection failed before it was accepted: accept the next.</summary>
    ClientNoise,
}

/// <summary>A listening TCP socket. Owned by the accept loop.</summary>
internal sealed partial class SocketListener(Socket socket, SocketBufferSizes sizes, TimeProvider time, ILogger logger) : ITransportListener
{
    /// <summary>First wait under resource pressure: long enough not to spin, short enough that clients do not notice a short lack.</summary>
    private const int BackoffMsMin = 10;

    private const int BackoffMsMax = 1000;

    private volatile bool _isDisposed;

    public IPEndPoint LocalEndPoint { get; } = (IPEndPoint)socket.LocalEndPoint!;

    public async ValueTask<ITransportConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        var backoffMs = BackoffMsMin;
        while (true)
        {
            try
            {
                return Configure(await socket.AcceptAsync(cancellationToken));
            }
            catch (SocketException exception)
            {
                ObjectDisposedException.ThrowIf(_isDisposed, this);
                switch (Classify(exception.SocketErrorCode))
                {
                    case AcceptErrorKind.Fatal:
                        throw;
                    case AcceptErrorKind.ClientNoise:
                        LogClientNoise(logger, exception.SocketErrorCode);
                        break;
                    default:
                        LogResourcePressure(logger, LocalEndPoint, exception.SocketErrorCode, backoffMs);
                        await Task.Delay(TimeSpan.FromMilliseconds(backoffMs), time, cancellationToken);
                        backoffMs = Math.Min(backoffMs * 2, BackoffMsMax);
                        break;
                }
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        _isDisposed = true;
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Sorts accept's errors as accept(2) describes them; an unknown one must not end the listener, nor spin.</summary>
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

    private SocketConnection Configure(Socket accepted)
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
            // The client may be gone already. What is wrong then shows at the first receive, which its own task handles.
            LogClientNoise(logger, exception.SocketErrorCode);
        }

        return new SocketConnection(accepted);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "A connection failed before it was accepted: {Error}")]
    private static partial void LogClientNoise(ILogger logger, SocketError error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cannot accept on {EndPoint}: {Error}; next attempt in {BackoffMs} ms")]
    private static partial void LogResourcePressure(ILogger logger, IPEndPoint endPoint, SocketError error, int backoffMs);
}

/// <summary>A connected TCP socket. Owned by the connection's task; <see cref="Abort"/> from any thread.</summary>
internal sealed class SocketConnection : ITransportConnection
{
    private readonly Socket _socket;
    private SendFileOperation? _sendFile;
    private int _isClosed;

    public SocketConnection(Socket socket)
    {
        _socket = socket;
        try
        {
            RemoteEndPoint = Unmap(socket.RemoteEndPoint);
            LocalEndPoint = Unmap(socket.LocalEndPoint);
        }
        catch (SocketException)
        {
            // The peer reset the connection before it could be asked for; the first receive reports it.
        }
    }

    public IPEndPoint? RemoteEndPoint { get; }

    public IPEndPoint? LocalEndPoint { get; }

    public bool CanSendFile => true;

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
            return ValueTask.CompletedTask;
        }
        catch (ObjectDisposedException)
        {
            throw new SocketException((int)SocketError.OperationAborted);
        }
    }

    public ValueTask SendFileAsync(ReadOnlyMemory<byte> header, FileStream source, long position, int length, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        // The runtime checks the range against the file with an argument exception; to a sender a short file is an I/O error.
        if (position + length > RandomAccess.GetLength(source.SafeFileHandle))
            throw new IOException($"the file ends before byte {position + length}: a promised range of {length} bytes cannot be sent");
        if (!source.IsAsync)
            throw new ArgumentException("the file must be opened for asynchronous use: the runtime sends no other", nameof(source));
        _sendFile ??= new SendFileOperation(this);
        return _sendFile.SendAsync(header, source, position, length, cancellationToken);
    }

    public void Abort()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return;
        try
        {
            // No lingering means a reset: the peer learns that what it has is incomplete.
            _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        catch (SocketException)
        {
            // Already disconnected: closing is all that is left to do.
        }

        _socket.Dispose();
        _sendFile?.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return ValueTask.CompletedTask;
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // The peer closed first: there is nothing left to end in order.
        }

        _socket.Dispose();
        _sendFile?.Dispose();
        return ValueTask.CompletedTask;
    }

    [System.Runtime.CompilerServices.AsyncMethodBuilder(typeof(System.Runtime.CompilerServices.PoolingAsyncValueTaskMethodBuilder))]
    private static async ValueTask FinishSendAsync(ValueTask<int> sending, int length)
    {
        var sent = await sending;
        Invariant.Check(sent == length, "an asynchronous send on a stream socket sends everything");
    }

    /// <summary>Clients of a dual-mode listener come with IPv4 addresses inside IPv6 ones; access lists and logs speak of the former.</summary>
    private static IPEndPoint? Unmap(EndPoint? endPoint) =>
        endPoint is IPEndPoint { Address.IsIPv4MappedToIPv6: true } mapped
            ? new IPEndPoint(mapped.Address.MapToIPv4(), mapped.Port)
            : endPoint as IPEndPoint;

    /// <summary>The reusable state of a connection's sendfile calls: one at a time, lives with the connection.</summary>
    private sealed class SendFileOperation(SocketConnection connection) : SocketAsyncEventArgs(true), IValueTaskSource
    {
        private readonly SendPacketsElement[] _fileOnly = new SendPacketsElement[1];
        private readonly SendPacketsElement[] _headerAndFile = new SendPacketsElement[2];
        private ManualResetValueTaskSourceCore<bool> _completion;
        private CancellationTokenRegistration _cancellation;
        private CancellationToken _cancellationToken;
        private long _expectedBytes;

        public ValueTask SendAsync(ReadOnlyMemory<byte> header, FileStream source, long position, int length, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var elements = header.IsEmpty ? _fileOnly : _headerAndFile;
            if (!header.IsEmpty)
                elements[0] = new SendPacketsElement(header);
            elements[^1] = new SendPacketsElement(source, position, length);
            _expectedBytes = (long)header.Length + length;
            _completion.Reset();
            _cancellationToken = cancellationToken;
            // The runtime cannot cancel this operation; breaking the connection off can, and a half-sent frame leaves no other way.
            _cancellation = cancellationToken.UnsafeRegister(static state => ((SocketConnection)state!).Abort(), connection);
            try
            {
                SendPacketsElements = elements;
                if (!connection._socket.SendPacketsAsync(this))
                    Complete();
            }
            catch (ObjectDisposedException)
            {
                _cancellation.Dispose();
                throw new SocketException((int)SocketError.OperationAborted);
            }

            return new ValueTask(this, _completion.Version);
        }

        public void GetResult(short token) => _completion.GetResult(token);

        public ValueTaskSourceStatus GetStatus(short token) => _completion.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _completion.OnCompleted(continuation, state, token, flags);

        protected override void OnCompleted(SocketAsyncEventArgs e) => Complete();

        private void Complete()
        {
            _cancellation.Dispose();
            // The elements would keep the file and the header alive until the next large slice.
            Array.Clear(_fileOnly);
            Array.Clear(_headerAndFile);
            if (SocketError == SocketError.Success && BytesTransferred == _expectedBytes)
                _completion.SetResult(true);
            else if (_cancellationToken.IsCancellationRequested)
                _completion.SetException(new OperationCanceledException(_cancellationToken));
            else if (SocketError != SocketError.Success)
                _completion.SetException(new SocketException((int)SocketError));
            else
                _completion.SetException(new IOException($"the file ended early: {BytesTransferred} of {_expectedBytes} bytes were sent"));
        }
    }
}
