using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;

namespace Ottla.Network.Framing;

/// <summary>Cuts what a connection receives into frames: a big-endian 32-bit length, then that many bytes. One per connection, owned by its task.</summary>
/// <remarks>
/// Small frames lie in a slab, lent by the pool only while there is something to receive: a connection waits with a zero-byte receive, and with no more
/// memory than the part of a frame that has come. A larger frame is received straight into a buffer of its own.
/// Frames are mutable, so that records can be patched where they lie.
/// Use: <c>while (await reader.ReceiveAsync(token)) while (reader.TryReadFrame(out var frame)) ...</c>
/// </remarks>
public sealed class FrameReader : IDisposable
{
    /// <summary>The slab, in bytes: four of the 16 KiB batches producers make by default fit, and one receive call fills it.</summary>
    public const int SlabBytes = 64 * 1024;

    /// <summary>
    /// What an announced length alone is worth on a new connection, in bytes. Beyond, the buffer doubles with what has really arrived, so that a lie costs
    /// the liar as many bytes as it costs us.
    /// </summary>
    public const int UnprovenFrameBytesMax = 128 * 1024;

    /// <summary>
    /// What an announced length is worth at most, in bytes, on a connection that has sent frames as long before: from its second full batch on (1 MiB by
    /// default, with its request around it) a producer's frames arrive without a copy.
    /// </summary>
    public const int ProvenFrameBytesMax = 1280 * 1024;

    /// <summary>The rest of a slab that is moved to a smaller buffer while more is waited for, in bytes at most: a larger one would cost as much as it gives back.</summary>
    private const int ParkedBytesMax = SlabBytes / 4;

    private const int PrefixBytes = sizeof(int);

    private readonly ITransportConnection _connection;
    private readonly BufferPool _pool;
    private readonly int _frameBytesMax;

    private PooledBuffer _slab;
    private int _slabStart;
    private int _slabEnd;

    private PooledBuffer _large;
    private int _largeBytes;
    private int _largeReceived;
    private bool _isLargeHandedOut;
    private int _provenBytes = UnprovenFrameBytesMax;
    private long _receivedBytes;

    /// <summary>A reader of what <paramref name="connection"/> receives from now on.</summary>
    /// <param name="connection">Stays the caller's: the reader neither aborts nor disposes it.</param>
    /// <param name="pool">Lends the buffers.</param>
    /// <param name="frameBytesMax">The longest frame allowed (<c>socket.request.max.bytes</c>), in bytes.</param>
    public FrameReader(ITransportConnection connection, BufferPool pool, int frameBytesMax)
    {
        ArgumentNullException.ThrowIfNull(connection);
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentOutOfRangeException.ThrowIfNegative(frameBytesMax);
        _connection = connection;
        _pool = pool;
        // An array cannot be longer, whatever is configured.
        _frameBytesMax = Math.Min(frameBytesMax, Array.MaxLength);
    }

    /// <summary>After <see cref="ReceiveAsync"/> returned false: whether the stream ended inside a frame instead of between two.</summary>
    public bool EndedInsideFrame { get; private set; }

    /// <summary>Bytes received since the beginning. Any thread.</summary>
    public long ReceivedBytes => Volatile.Read(ref _receivedBytes);

    /// <summary>Waits until at least one whole frame is there for <see cref="TryReadFrame"/>. Ends the life of the frames handed out before.</summary>
    /// <returns>False at the end of the stream; an incomplete last frame is dropped (<see cref="EndedInsideFrame"/>).</returns>
    /// <exception cref="InvalidFrameException">The next frame's length is negative or over the limit. Frames before it were handed out.</exception>
    /// <exception cref="IOException">The connection failed; so too <see cref="System.Net.Sockets.SocketException"/>.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> ReceiveAsync(CancellationToken cancellationToken)
    {
        ReleaseProcessed();
        while (true)
        {
            if (HasWholeFrame())
                return true;
            if (!_large.IsEmpty)
                return await ReceiveLargeAsync(cancellationToken);
            // Connections that wait are many and slabs are large: wait without one.
            var arriving = _connection.ReceiveAsync(Memory<byte>.Empty, cancellationToken);
            if (!arriving.IsCompleted)
                ParkRest();
            await arriving;
            MoveRestToSlab();
            var received = await _connection.ReceiveAsync(_slab.Memory[_slabEnd..], cancellationToken);
            if (received == 0)
                return EndOfStream(isInsideFrame: _slabEnd > _slabStart);
            _slabEnd += received;
            Count(received);
        }
    }

    /// <summary>Hands out the next whole frame of what was received, without its length prefix. Does not wait.</summary>
    /// <param name="frame">The frame's bytes, the caller's to read and to change until the next <see cref="ReceiveAsync"/> or <see cref="ReleaseProcessed"/>.</param>
    /// <returns>False when the next frame has not wholly arrived; then <see cref="ReceiveAsync"/> goes on.</returns>
    public bool TryReadFrame(out Memory<byte> frame)
    {
        if (!_large.IsEmpty)
        {
            var isReady = !_isLargeHandedOut && _largeReceived == _largeBytes;
            frame = isReady ? _large.Memory[.._largeBytes] : default;
            _isLargeHandedOut |= isReady;
            return isReady;
        }

        // A length that cannot be is reported by ReceiveAsync: the frames before it still get their replies.
        if (!TryReadPrefix(out var length) || length < 0 || length > _slabEnd - _slabStart - PrefixBytes || length > _frameBytesMax)
        {
            frame = default;
            return false;
        }

        frame = _slab.Memory.Slice(_slabStart + PrefixBytes, length);
        _slabStart += PrefixBytes + length;
        return true;
    }

    /// <summary>Ends the life of the frames handed out and gives back what memory is no longer needed: for a caller about to wait for something else.</summary>
    public void ReleaseProcessed()
    {
        if (_isLargeHandedOut)
        {
            _provenBytes = Math.Clamp(_largeBytes, _provenBytes, ProvenFrameBytesMax);
            _large.Dispose();
            _isLargeHandedOut = false;
        }

        if (_slabStart == _slabEnd)
            ReleaseSlab();
    }

    /// <summary>Gives all memory back. No receive may be under way.</summary>
    public void Dispose()
    {
        _large.Dispose();
        _isLargeHandedOut = false;
        ReleaseSlab();
    }

    private bool HasWholeFrame()
    {
        if (!_large.IsEmpty)
            return _largeReceived == _largeBytes;
        if (!TryReadPrefix(out var length))
            return false;
        if (length < 0 || length > _frameBytesMax)
            throw new InvalidFrameException(length, _frameBytesMax);
        if (length <= _slabEnd - _slabStart - PrefixBytes)
            return true;
        if (length > SlabBytes - PrefixBytes)
            BeginLarge(length);
        return false;
    }

    private bool TryReadPrefix(out int length)
    {
        length = 0;
        return _slabEnd - _slabStart >= PrefixBytes
            && BinaryPrimitives.TryReadInt32BigEndian(_slab.Span.Slice(_slabStart, PrefixBytes), out length);
    }

    private void BeginLarge(int length)
    {
        var arrived = _slab.Span[(_slabStart + PrefixBytes).._slabEnd];
        _large = _pool.Rent(Math.Min(length, _provenBytes));
        arrived.CopyTo(_large.Span);
        _largeBytes = length;
        _largeReceived = arrived.Length;
        ReleaseSlab();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReceiveLargeAsync(CancellationToken cancellationToken)
    {
        while (_largeReceived < _largeBytes)
        {
            if (_largeReceived == _large.Length)
                GrowLarge();
            // Never past the frame: what follows belongs into a slab.
            var end = Math.Min(_large.Length, _largeBytes);
            var received = await _connection.ReceiveAsync(_large.Memory[_largeReceived..end], cancellationToken);
            if (received == 0)
                return EndOfStream(isInsideFrame: true);
            _largeReceived += received;
            Count(received);
        }

        return true;
    }

    private void GrowLarge()
    {
        var grown = _pool.Rent((int)Math.Min(_largeBytes, 2L * _large.Length));
        _large.Span[.._largeReceived].CopyTo(grown.Span);
        _large.Dispose();
        _large = grown;
    }

    /// <summary>Gives the slab back for as long as nothing comes, but for the part of a frame in it. The frames before that are dead by now.</summary>
    private void ParkRest()
    {
        var restBytes = _slabEnd - _slabStart;
        if (_slab.Length == SlabBytes && restBytes <= ParkedBytesMax)
            MoveRestTo(_pool.Rent(restBytes));
    }

    /// <summary>Makes room for at least one more byte. The frames before the rest are dead by now.</summary>
    private void MoveRestToSlab()
    {
        if (_slab.Length < SlabBytes)
        {
            MoveRestTo(_pool.Rent(SlabBytes));
        }
        else if (_slabStart > 0)
        {
            _slab.Span[_slabStart.._slabEnd].CopyTo(_slab.Span);
            _slabEnd -= _slabStart;
            _slabStart = 0;
        }
    }

    private void MoveRestTo(PooledBuffer buffer)
    {
        _slab.Span[_slabStart.._slabEnd].CopyTo(buffer.Span);
        _slab.Dispose();
        _slab = buffer;
        _slabEnd -= _slabStart;
        _slabStart = 0;
    }

    private void Count(int received) => Volatile.Write(ref _receivedBytes, _receivedBytes + received);

    private bool EndOfStream(bool isInsideFrame)
    {
        EndedInsideFrame |= isInsideFrame;
        Dispose();
        return false;
    }

    private void ReleaseSlab()
    {
        _slab.Dispose();
        _slabStart = 0;
        _slabEnd = 0;
    }
}
