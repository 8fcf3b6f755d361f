using System.Buffers.Binary;
using Ottla.Kernel;
using Ottla.Network.Buffers;

namespace Ottla.Network.Framing;

/// <summary>
/// One outgoing frame: buffered bytes with file slices between them. The writer owns it, then the <see cref="FrameSender"/>.
/// </summary>
/// <remarks>
/// Positions count only buffered bytes, from 0; the sender writes the length prefix. <see cref="Dispose"/> releases memory and slices and
/// leaves an empty frame that can be written again, so objects of this class can be pooled. Not thread-safe.
/// </remarks>
public sealed class FrameBuffer : IFrameOutput, IDisposable
{
    /// <summary>Bytes of the length prefix. They are reserved at the start of the memory, so that a frame is sent without a copy.</summary>
    internal const int PrefixBytes = sizeof(int);

    /// <summary>
    /// The size of the memory that the frame keeps, in bytes: most responses fit, so that they cost the pool nothing, and a connection that
    /// is idle holds little.
    /// </summary>
    private const int OwnBytes = 256;

    private readonly BufferPool _pool;
    private byte[]? _own;
    private PooledBuffer _rented;
    private byte[] _memory = [];
    private int _end = PrefixBytes;
    private SliceAt[] _slices = [];
    private int _sliceCount;
    private long _sliceBytes;

    /// <summary>Makes an empty frame. It rents memory from <paramref name="pool"/> when it grows.</summary>
    public FrameBuffer(BufferPool pool)
    {
        ArgumentNullException.ThrowIfNull(pool);
        _pool = pool;
    }

    /// <summary>Buffered bytes written so far, without slices and without the prefix.</summary>
    public int Length => _end - PrefixBytes;

    /// <summary>The frame's length as the prefix states it, in bytes: buffered bytes and slices.</summary>
    public int TotalLength => (int)(Length + _sliceBytes);

    /// <summary>Slices in the frame.</summary>
    public int SliceCount => _sliceCount;

    /// <summary>The buffered bytes written so far, to read or patch. Valid until the next write.</summary>
    public Span<byte> Written => _memory.Length == 0 ? default : _memory.AsSpan(PrefixBytes, _end - PrefixBytes);

    /// <summary>
    /// Space for at least <paramref name="sizeHint"/> more bytes (at least one). <see cref="Advance"/> then counts the bytes written.
    /// </summary>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _memory.AsSpan(_end);
    }

    /// <inheritdoc cref="GetSpan"/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _memory.AsMemory(_end);
    }

    /// <summary>Counts <paramref name="count"/> bytes of the last <see cref="GetSpan"/> or <see cref="GetMemory"/> as written.</summary>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Math.Max(_memory.Length - _end, 0));
        if (Length + _sliceBytes + count > int.MaxValue)
            throw new InvalidOperationException(
                $"Cannot write {count} more bytes to a frame of {TotalLength} bytes: the frame would be too long.");
        _end += count;
    }

    /// <summary>Appends a copy of <paramref name="bytes"/>.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return;
        bytes.CopyTo(GetSpan(bytes.Length));
        Advance(bytes.Length);
    }

    /// <summary>
    /// Inserts a gap of <paramref name="count"/> bytes at <paramref name="position"/> and moves the bytes behind it. Slices at that
    /// position move behind the gap.
    /// </summary>
    /// <returns>The gap; the caller fills it at once. Valid until the next write.</returns>
    public Span<byte> Insert(int position, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position, Length);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (count == 0)
            return default;
        Reserve(count);
        var start = PrefixBytes + position;
        var memory = _memory.AsSpan();
        memory[start.._end].CopyTo(memory[(start + count)..]);
        _end += count;
        for (var i = _sliceCount - 1; i >= 0 && _slices[i].Position >= position; i--)
            _slices[i].Position += count;
        return memory.Slice(start, count);
    }

    /// <summary>
    /// Appends the bytes of <paramref name="slice"/> without reading them; the sender reads them. The frame owns the slice and disposes it.
    /// </summary>
    /// <exception cref="InvalidOperationException">The frame would be longer than its prefix can state. The slice is disposed.</exception>
    public void AppendSlice(IFileSlice slice)
    {
        ArgumentNullException.ThrowIfNull(slice);
        if (slice.Length < 1 || Length + _sliceBytes + slice.Length > int.MaxValue)
        {
            var message =
                $"Cannot append a slice of {slice.Length} bytes to a frame of {Length + _sliceBytes} bytes: the frame would be too long, "
                + "or the slice is empty.";
            slice.Dispose();
            throw new InvalidOperationException(message);
        }

        if (_sliceCount == _slices.Length)
            Array.Resize(ref _slices, Math.Max(4, _sliceCount * 2));
        _slices[_sliceCount++] = new SliceAt { Slice = slice, Position = Length };
        _sliceBytes += slice.Length;
    }

    /// <summary>Releases the slices and the memory. The frame is empty afterwards.</summary>
    public void Dispose()
    {
        _memory = [];
        _rented.Dispose();
        _end = PrefixBytes;
        _sliceBytes = 0;
        while (_sliceCount > 0)
        {
            // Removed before it is disposed, so that a Dispose that throws cannot run twice.
            var slice = _slices[--_sliceCount].Slice;
            _slices[_sliceCount] = default;
            slice.Dispose();
        }
    }

    /// <summary>Writes the prefix, and returns it together with the buffered bytes.</summary>
    internal ReadOnlyMemory<byte> Seal()
    {
        Reserve(0);
        BinaryPrimitives.WriteInt32BigEndian(_memory, TotalLength);
        return _memory.AsMemory(0, _end);
    }

    /// <summary>The slice at <paramref name="index"/>, and how many buffered bytes precede it, the prefix included.</summary>
    internal (IFileSlice Slice, int BytesBefore) SliceBehind(int index) => (_slices[index].Slice, PrefixBytes + _slices[index].Position);

    private void Reserve(int count)
    {
        var needed = (long)_end + count;
        if (needed <= _memory.Length)
            return;
        if (needed <= OwnBytes)
        {
            _memory = _own ??= new byte[OwnBytes];
            return;
        }

        if (needed + _sliceBytes - PrefixBytes > int.MaxValue || needed > Array.MaxLength)
            throw new InvalidOperationException(
                $"Cannot write {count} more bytes to a frame of {TotalLength} bytes: the frame would be too long.");
        var grown = _pool.Rent((int)Math.Min(Math.Max(needed, 2L * _memory.Length), Array.MaxLength));
        if (_memory.Length > 0)
            _memory.AsSpan(0, _end).CopyTo(grown.Span);
        _rented.Dispose();
        _rented = grown;
        _memory = grown.Array;
    }

    private struct SliceAt
    {
        public IFileSlice Slice;
        public int Position;
    }
}
