using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;

namespace Ottla.Network.Framing;

/// <summary>
/// Splits the bytes that a connection receives into frames: a big-endian 32-bit length, then that many bytes. One per connection; the
/// connection's task owns it.
/// </summary>
/// <remarks>
/// Small frames are in a slab that is rented only while bytes arrive: an idle connection waits with a zero-byte receive and keeps only the
/// bytes of an incomplete frame. A larger frame is received directly into a buffer of its own. Frames are mutable, so that records can be
/// patched in place. Use: <c>while (await reader.ReceiveAsync(token)) while (reader.TryReadFrame(out var frame)) ...</c>
/// </remarks>
public sealed class FrameReader : IDisposable
{
    /// <summary>Size of the slab, in bytes. Four producer batches of the default 16 KiB fit, and one receive call can fill it.</summary>
    public const int SlabBytes = 64 * 1024;

    /// <summary>
    /// How many bytes a new connection's length prefix makes us allocate at most. Beyond that the buffer doubles as bytes arrive, so a
    /// false length costs the sender as many bytes as it costs us.
    /// </summary>
    public const int UnprovenFrameBytesMax = 128 * 1024;

    /// <summary>
    /// How many bytes a length prefix makes us allocate at most on a connection that has already sent a frame as long. From its second full
    /// batch on (1 MiB by default, plus the request around it), a producer's frames arrive without a copy.
    /// </summary>
    public const int ProvenFrameBytesMax = 1280 * 1024;

    /// <summary>
    /// The most bytes of an incomplete frame that are moved to a smaller buffer while the connection waits. With more, the move would cost
    /// as much as it frees.
    /// </summary>
    private const int ParkedBytesMax = SlabBytes / 4;

    private const int PrefixBytes = sizeof(int);

    private readonly ITransportConnection _connection;
    private readonly BufferPool _pool;
    private MemoryBudget? _takenFrom;
    private int _frameBytesMax;
    private readonly int _provenBytesMax;

    private PooledBuffer _slab;
    private int _slabStart;
    private int _slabEnd;

    private PooledBuffer _large;
    private int _largeBytes;
    private int _largeReceived;
    private bool _isLargeHandedOut;
    private int _takenBytes;
    private int _provenBytes;
    private long _receivedBytes;

    /// <summary>Makes a reader of the bytes that <paramref name="connection"/> receives from now on.</summary>
    /// <param name="connection">The connection. The caller owns it: the reader neither aborts nor disposes it.</param>
    /// <param name="pool">The pool to rent buffers from.</param>
    /// <param name="frameBytesMax">The longest frame allowed (<c>socket.request.max.bytes</c>), in bytes.</param>
    /// <param name="expectedBytes">
    /// The length up to which a prefix is believed from the first frame on, in bytes, because this side has asked for as much.
    /// </param>
    /// <param name="budget">Bounds the memory of large frames together with other connections'; null for no common bound.</param>
    public FrameReader(
        ITransportConnection connection, BufferPool pool, int frameBytesMax, int expectedBytes = 0, MemoryBudget? budget = null)
    {
        ArgumentNullException.ThrowIfNull(connection);
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentOutOfRangeException.ThrowIfNegative(frameBytesMax);
        _connection = connection;
        _pool = pool;
        Budget = budget;
        _provenBytes = Math.Max(expectedBytes, UnprovenFrameBytesMax);
        _provenBytesMax = Math.Max(expectedBytes, ProvenFrameBytesMax);
        FrameBytesMax = frameBytesMax;
    }

    /// <summary>The longest frame allowed, in bytes. A change applies to the frames behind those that were returned.</summary>
    public int FrameBytesMax
    {
        get => _frameBytesMax;
        set => _frameBytesMax = Math.Min(value, Array.MaxLength); // no array can be longer, whatever the configuration says
    }

    /// <summary>
    /// Bounds the memory of large frames together with other connections'; null for no common bound. A change applies to the frames behind
    /// the one that is being received.
    /// </summary>
    public MemoryBudget? Budget { get; set; }

    /// <summary>Whether the stream ended inside a frame. Valid after <see cref="ReceiveAsync"/> returned false.</summary>
    public bool EndedInsideFrame { get; private set; }

    /// <summary>Bytes received since the connection began. Any thread may read it.</summary>
    public long ReceivedBytes => Volatile.Read(ref _receivedBytes);

    /// <summary>
    /// Waits until <see cref="TryReadFrame"/> can return at least one whole frame. Frames returned earlier become invalid.
    /// </summary>
    /// <returns>False at the end of the stream. An incomplete last frame is dropped (<see cref="EndedInsideFrame"/>).</returns>
    /// <exception cref="InvalidFrameException">
    /// The next frame's length is negative or above the limit. All frames before it were returned.
    /// </exception>
    /// <exception cref="IOException">The connection failed; a <see cref="System.Net.Sockets.SocketException"/> means the same.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> ReceiveAsync(CancellationToken cancellationToken)
    {
        ReleaseProcessed();
        while (true)
        {
            if (HasWholeFrame(out var largeBytes))
                return true;
            if (largeBytes > 0)
            {
                // It holds only a slab while it waits for its turn.
                if (Budget is { } budget)
                    await TakeAsync(budget, largeBytes);
                BeginLarge(largeBytes);
            }

            if (!_large.IsEmpty)
            {
                // In this method and not in one of its own: a second state machine would be allocated for most waits.
                var receivedOfLarge = await _connection.ReceiveAsync(RoomInLarge(), cancellationToken);
                if (receivedOfLarge == 0)
                    return EndOfStream(isInsideFrame: true);
                _largeReceived += receivedOfLarge;
                Count(receivedOfLarge);
                continue;
            }

            // Many connections wait, and slabs are large: wait without one.
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

    /// <summary>Returns the next whole frame that was received, without its length prefix. Does not wait.</summary>
    /// <param name="frame">
    /// The frame's bytes. The caller may read and change them until the next <see cref="ReceiveAsync"/> or <see cref="ReleaseProcessed"/>.
    /// </param>
    /// <returns>False when the next frame is incomplete; call <see cref="ReceiveAsync"/> then.</returns>
    public bool TryReadFrame(out Memory<byte> frame)
    {
        if (!_large.IsEmpty)
        {
            var isReady = !_isLargeHandedOut && _largeReceived == _largeBytes;
            frame = isReady ? _large.Memory[.._largeBytes] : default;
            _isLargeHandedOut |= isReady;
            return isReady;
        }

        // ReceiveAsync reports an invalid length, after the frames before it were answered.
        if (!TryReadPrefix(out var length) || length < 0 || length > _slabEnd - _slabStart - PrefixBytes || length > _frameBytesMax)
        {
            frame = default;
            return false;
        }

        frame = _slab.Memory.Slice(_slabStart + PrefixBytes, length);
        _slabStart += PrefixBytes + length;
        return true;
    }

    /// <summary>
    /// Gives the memory of the frame that was returned last to the caller, if the frame has memory of its own because it is large.
    /// </summary>
    /// <param name="owner">The memory, which begins with the frame; the caller disposes it.</param>
    /// <returns>False for a small frame, which shares its memory with others.</returns>
    public bool TryDetachFrame(out PooledBuffer owner)
    {
        owner = default;
        if (!_isLargeHandedOut)
            return false;
        _provenBytes = Math.Clamp(_largeBytes, _provenBytes, _provenBytesMax);
        owner = _large;
        _large = default;
        ReleaseLarge();
        return true;
    }

    /// <summary>
    /// Invalidates the frames returned so far and releases memory that is no longer needed. Call it before waiting for something else.
    /// </summary>
    public void ReleaseProcessed()
    {
        if (_isLargeHandedOut)
        {
            _provenBytes = Math.Clamp(_largeBytes, _provenBytes, _provenBytesMax);
            ReleaseLarge();
        }

        if (_slabStart == _slabEnd)
            ReleaseSlab();
    }

    /// <summary>Releases all memory. No receive may be running.</summary>
    public void Dispose()
    {
        ReleaseLarge();
        ReleaseSlab();
    }

    /// <param name="largeBytes">The length of the next frame, when it is incomplete and does not fit a slab; otherwise 0.</param>
    private bool HasWholeFrame(out int largeBytes)
    {
        largeBytes = 0;
        if (!_large.IsEmpty)
            return _largeReceived == _largeBytes;
        if (!TryReadPrefix(out var length))
            return false;
        if (length < 0 || length > _frameBytesMax)
            throw new InvalidFrameException(length, _frameBytesMax);
        if (length <= _slabEnd - _slabStart - PrefixBytes)
            return true;
        if (length > SlabBytes - PrefixBytes)
            largeBytes = length;
        return false;
    }

    private bool TryReadPrefix(out int length)
    {
        length = 0;
        return _slabEnd - _slabStart >= PrefixBytes
            && BinaryPrimitives.TryReadInt32BigEndian(_slab.Span.Slice(_slabStart, PrefixBytes), out length);
    }

    private async ValueTask TakeAsync(MemoryBudget budget, int bytes)
    {
        await budget.TakeAsync(bytes);
        _takenFrom = budget;
        _takenBytes = bytes;
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

    /// <summary>The free part of the large frame's buffer. It ends with the frame: the next one belongs in a slab.</summary>
    private Memory<byte> RoomInLarge()
    {
        if (_largeReceived == _large.Length)
            GrowLarge();
        return _large.Memory[_largeReceived..Math.Min(_large.Length, _largeBytes)];
    }

    private void GrowLarge()
    {
        var grown = _pool.Rent((int)Math.Min(_largeBytes, 2L * _large.Length));
        _large.Span[.._largeReceived].CopyTo(grown.Span);
        _large.Dispose();
        _large = grown;
    }

    /// <summary>
    /// Releases the slab while the connection waits, and keeps only an incomplete frame. Frames returned earlier are invalid by now.
    /// </summary>
    private void ParkRest()
    {
        var restBytes = _slabEnd - _slabStart;
        if (_slab.Length == SlabBytes && restBytes <= ParkedBytesMax)
            MoveRestTo(_pool.Rent(restBytes));
    }

    /// <summary>Makes room for at least one more byte. Frames returned earlier are invalid by now.</summary>
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

    private void ReleaseLarge()
    {
        _large.Dispose();
        _isLargeHandedOut = false;
        if (_takenBytes > 0)
            _takenFrom!.Return(_takenBytes);
        _takenBytes = 0;
    }

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
