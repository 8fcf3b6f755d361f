using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;
using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;

namespace Ottla.Network.Transport.Epoll;

/// <summary>
/// A connected TCP socket that a loop watches. The connection's task owns it; the task continues on the loop's thread after it waited for
/// this connection. Any thread may call <see cref="Abort"/>.
/// </summary>
internal sealed class EpollConnection : ITransportConnection, IEpollHandler
{
    private readonly Socket _socket;
    private readonly SafeSocketHandle _handle;
    private readonly EpollLoop _loop;
    private readonly Receiving _receiving;
    private readonly Sending _sending;
    private Yielding? _yielding;
    private volatile bool _peerEnded;
    private int _isAdmitted;
    private int _isClosed;

    private EpollConnection(Socket socket, EpollLoop loop, bool atEntrance)
    {
        _socket = socket;
        _loop = loop;
        _handle = socket.SafeHandle;
        _receiving = new Receiving(this);
        _sending = new Sending(this);
        LinuxSockets.SetNonBlocking(_handle);
        loop.Add(_handle, this, atEntrance);
    }

    public long Token { get; set; }

    public IPEndPoint? RemoteEndPoint { get; private init; }

    public IPEndPoint? LocalEndPoint { get; private set; }

    public bool CanSendFile => true;

    public long SentBytes => _sending.SentBytes;

    public void Admit()
    {
        if (Interlocked.Exchange(ref _isAdmitted, 1) != 0)
            return;
        try
        {
            _loop.Admit(_handle, this);
        }
        catch (ObjectDisposedException)
        {
            // It was closed meanwhile.
        }
    }

    private bool IsClosed => Volatile.Read(ref _isClosed) != 0;

    /// <summary>Makes a connection from an accepted socket.</summary>
    public static EpollConnection Serve(Socket accepted, EpollLoop loop) => new(accepted, loop, atEntrance: true)
    {
        RemoteEndPoint = SocketConnection.EndPointOf(accepted, static socket => socket.RemoteEndPoint),
        LocalEndPoint = SocketConnection.EndPointOf(accepted, static socket => socket.LocalEndPoint),
    };

    /// <summary>Opens a connection.</summary>
    public static async ValueTask<ITransportConnection> ConnectAsync(
        IPEndPoint endpoint, SocketBufferSizes sizes, EpollLoop loop, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var connection = new EpollConnection(
            new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }, loop, atEntrance: false)
        { RemoteEndPoint = endpoint, _isAdmitted = 1 };
        try
        {
            sizes.ApplyTo(connection._socket);
            await connection._sending.ConnectAsync(endpoint, cancellationToken);
            connection.LocalEndPoint = LinuxSockets.LocalEndPointOf(connection._handle, endpoint);
            return connection;
        }
        catch
        {
            connection.Abort();
            throw;
        }
    }

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _receiving.StartAsync(buffer, cancellationToken);

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        _sending.StartAsync(bytes, null, 0, 0, isMoreToCome: false, cancellationToken);

    public ValueTask SendWithMoreAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        _sending.StartAsync(bytes, null, 0, 0, isMoreToCome: true, cancellationToken);

    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        return _sending.StartAsync(header, source, position, length, isMoreToCome: false, cancellationToken);
    }

    public ValueTask YieldAsync() => HandlerThread.Current is EpollThread thread && thread.Loop == _loop
        ? (_yielding ??= new Yielding(_loop)).StartAsync() : ValueTask.CompletedTask;

    public void OnEvents(uint events)
    {
        const uint ended = LinuxSockets.EventPeerClosed | LinuxSockets.EventHangUp | LinuxSockets.EventError;
        if ((events & ended) != 0)
            _peerEnded = true;
        if ((events & (LinuxSockets.EventOut | ended)) != 0)
            _sending.Raise();
        if ((events & (LinuxSockets.EventIn | ended)) != 0)
            _receiving.Raise();
    }

    public void Abort()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return;
        SocketConnection.Reset(_socket);
        Leave();
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return ValueTask.CompletedTask;
        SocketConnection.End(_socket);
        Leave();
        return ValueTask.CompletedTask;
    }

    private void Leave()
    {
        _loop.Remove(this);
        _receiving.Break();
        _sending.Break();
    }

    private void ThrowIfClosed()
    {
        if (IsClosed)
            throw new SocketException((int)SocketError.OperationAborted);
    }

    /// <summary>Converts a kernel error to an exception. If the socket was closed during the call, this side aborted it.</summary>
    private SocketException ExceptionOf(int error) =>
        IsClosed ? new SocketException((int)SocketError.OperationAborted) : LinuxSockets.ExceptionOf(error);

    /// <summary>A wait until the others of the loop have had their turn.</summary>
    private sealed class Yielding(EpollLoop loop) : IEpollTurn, IValueTaskSource
    {
        private ManualResetValueTaskSourceCore<bool> _completion;

        public ValueTask StartAsync()
        {
            _completion.Reset();
            loop.EndTurn(this);
            return new ValueTask(this, _completion.Version);
        }

        public void Begin() => _completion.SetResult(true);

        public void GetResult(short token) => _completion.GetResult(token);

        public ValueTaskSourceStatus GetStatus(short token) => _completion.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _completion.OnCompleted(continuation, state, token, flags);
    }

    /// <summary>The receiving direction.</summary>
    private sealed class Receiving(EpollConnection connection) : EpollOperation<int>, IEpollTurn
    {
        /// <summary>
        /// How many bytes one connection may receive before the other connections of its loop get their turn, so that a client that never
        /// stops sending blocks nobody.
        /// </summary>
        private const int TurnBytes = 256 * 1024;

        private Memory<byte> _buffer;
        private int _turnBytes;
        private bool _isTold;

        public ValueTask<int> StartAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            connection.ThrowIfClosed();
            _buffer = buffer;
            _isTold = false;
            if (_turnBytes >= TurnBytes && HandlerThread.Current is EpollThread thread && thread.Loop == connection._loop)
            {
                Forget();
                connection._loop.EndTurn(this);
            }
            else if (TryRun(out var received))
            {
                _turnBytes += received;
                _buffer = default;
                return new ValueTask<int>(received);
            }

            _turnBytes = 0;
            _isTold = true;
            return new ValueTask<int>(this, Wait(cancellationToken));
        }

        public void Begin() => Raise();

        protected override unsafe Attempt TryCall(out int received)
        {
            connection.ThrowIfClosed();
            received = 0;
            var buffer = _buffer.Span;
            if (buffer.IsEmpty)
            {
                // The kernel told, or nobody has looked yet: a new socket counts as ready, and who waits for its first byte would get a
                // buffer for it at once.
                byte peeked;
                return _isTold || Receive(&peeked, 1, LinuxSockets.MessagePeek) >= 0 ? Attempt.Done : Attempt.WouldBlock;
            }

            nint count;
            fixed (byte* bytes = buffer)
                count = Receive(bytes, buffer.Length, 0);
            if (count < 0)
                return Attempt.WouldBlock;
            received = (int)count;
            // Less than there was room for is all there was. What comes later is told again, an end that came before is not.
            return count < buffer.Length && count > 0 && !connection._peerEnded ? Attempt.DoneAndDrained : Attempt.Done;
        }

        protected override void OnCompleted() => _buffer = default;

        /// <summary>Receives what there is; -1 when the kernel has to wait.</summary>
        private unsafe nint Receive(byte* bytes, int length, int flags)
        {
            while (true)
            {
                nint count;
                try
                {
                    count = LinuxSockets.Receive(connection._handle, bytes, length, flags);
                }
                catch (ObjectDisposedException)
                {
                    throw new SocketException((int)SocketError.OperationAborted);
                }

                if (count >= 0)
                    return count;
                var error = LinuxSockets.LastError;
                if (error == LinuxSockets.WouldBlock)
                    return -1;
                if (error != LinuxSockets.Interrupted)
                    throw connection.ExceptionOf(error);
            }
        }
    }

    /// <summary>The sending direction: bytes, then optionally a range of a file.</summary>
    private sealed class Sending(EpollConnection connection) : EpollOperation<bool>
    {
        private ReadOnlyMemory<byte> _bytes;
        private SafeFileHandle? _file;
        private long _filePosition;
        private int _fileLength;
        private bool _isMoreToCome;
        private bool _isConnecting;
        private long _sentBytes;

        /// <summary>Bytes that the kernel has accepted.</summary>
        public long SentBytes => Volatile.Read(ref _sentBytes);

        public ValueTask StartAsync(
            ReadOnlyMemory<byte> bytes, SafeFileHandle? file, long filePosition, int fileLength, bool isMoreToCome,
            CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            connection.ThrowIfClosed();
            _bytes = bytes;
            _file = file;
            _filePosition = filePosition;
            _fileLength = fileLength;
            _isMoreToCome = isMoreToCome;
            if (!TryRun(out _))
                return new ValueTask(this, Wait(cancellationToken));
            OnCompleted();
            return ValueTask.CompletedTask;
        }

        public unsafe ValueTask ConnectAsync(IPEndPoint endpoint, CancellationToken cancellationToken)
        {
            var address = endpoint.Serialize();
            fixed (byte* bytes = address.Buffer.Span)
            {
                if (LinuxSockets.Connect(connection._handle, bytes, address.Size) == 0)
                    return ValueTask.CompletedTask;
            }

            var error = LinuxSockets.LastError;
            if (error is not (LinuxSockets.ConnectionInProgress or LinuxSockets.Interrupted))
                throw LinuxSockets.ExceptionOf(error);
            _isConnecting = true;
            return new ValueTask(this, Wait(cancellationToken));
        }

        protected override Attempt TryCall(out bool result)
        {
            result = true;
            connection.ThrowIfClosed();
            try
            {
                if (_isConnecting)
                    return FinishConnect();
                return TrySendBytes() && TrySendFile() ? Attempt.Done : Attempt.WouldBlock;
            }
            catch (ObjectDisposedException)
            {
                throw new SocketException((int)SocketError.OperationAborted);
            }
        }

        /// <summary>Aborts the connection, because the peer cannot continue after half a frame.</summary>
        protected override void OnCancelled() => connection.Abort();

        protected override void OnCompleted()
        {
            _bytes = default;
            _file = null;
            _isConnecting = false;
        }

        private Attempt FinishConnect()
        {
            if (!connection._socket.Poll(0, SelectMode.SelectWrite))
                return Attempt.WouldBlock;
            var error = connection._socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error);
            return error is 0 ? Attempt.Done : throw new SocketException((int)error!);
        }

        private unsafe bool TrySendBytes()
        {
            while (!_bytes.IsEmpty)
            {
                nint count;
                // With this flag the header shares a packet with the first bytes of what follows.
                var flags = LinuxSockets.MessageNoSignal | (_file is null && !_isMoreToCome ? 0 : LinuxSockets.MessageMore);
                fixed (byte* bytes = _bytes.Span)
                    count = LinuxSockets.Send(connection._handle, bytes, _bytes.Length, flags);
                if (count >= 0)
                {
                    _bytes = _bytes[(int)count..];
                    Volatile.Write(ref _sentBytes, _sentBytes + count);
                }
                else if (!MayRepeat())
                {
                    return false;
                }
            }

            return true;
        }

        private unsafe bool TrySendFile()
        {
            while (_file is not null && _fileLength > 0)
            {
                var position = _filePosition;
                var count = LinuxSockets.SendFile(connection._handle, _file, &position, _fileLength);
                if (count > 0)
                {
                    _filePosition += count;
                    _fileLength -= (int)count;
                    Volatile.Write(ref _sentBytes, _sentBytes + count);
                }
                else if (count == 0)
                {
                    throw new IOException(
                        $"The file is shorter than its slice: {_fileLength} bytes are missing. The connection is closed.");
                }
                else if (!MayRepeat())
                {
                    return false;
                }
            }

            return true;
        }

        /// <summary>Whether the failed call should be repeated at once.</summary>
        private bool MayRepeat() => LinuxSockets.LastError switch
        {
            LinuxSockets.Interrupted => true,
            LinuxSockets.WouldBlock => false,
            var error => throw connection.ExceptionOf(error),
        };
    }
}
