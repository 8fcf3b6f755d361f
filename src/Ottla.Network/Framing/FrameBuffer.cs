using System.Buffers.Binary;
using Ottla.Kernel;
using Ottla.Network.Buffers;

namespace Ottla.Network.Framing;

/// <summary>One frame on its way out: bytes written here, with ranges of files between them. Owned by who writes it, then by the <see cref="FrameSender"/>.</summary>
/// <remarks>
/// Positions count the buffered bytes only, from 0; the length prefix in front of them is the sender's matter.
/// <see cref="Dispose"/> releases the memory and the slices and leaves an empty buffer that may be written again: objects of this class can be pooled.
/// Not thread-safe.
/// </remarks>
public sealed class FrameBuffer : IFrameOutput, IDisposable
{
    /// <summary>Bytes of the length prefix; the first bytes of the memory are kept for it, so that a frame leaves as it lies.</summary>
    internal const int PrefixBytes = sizeof(int);

    /// <summary>First size of the memory, in bytes: most responses fit.</summary>
    private const int InitialBytes = 1024;

    private readonly BufferPool _pool;
    private PooledBuffer _memory;
    private int _end = PrefixBytes;
    private SliceAt[] _slices = [];
    private int _sliceCount;
    private long _sliceBytes;

    /// <summary>An empty frame that takes its memory from <paramref name="pool"/> at the first write.</summary>
    public FrameBuffer(BufferPool pool)
    {
        ArgumentNullException.ThrowIfNull(pool);
        _pool = pool;
    }

    /// <summary>Buffered bytes written so far, without slices and without the prefix.</summary>
    public int Length => _end - PrefixBytes;

    /// <summary>The frame's length as its prefix announces it, in bytes: buffered bytes and slices.</summary>
    public int TotalLength => (int)(Length + _sliceBytes);

    /// <summary>Slices in the frame.</summary>
    public int SliceCount => _sliceCount;

    /// <summary>The buffered bytes written so far, to be read or patched. Valid until the next write.</summary>
    public Span<byte> Written => _memory.IsEmpty ? default : _memory.Span[PrefixBytes.._end];

    /// <summary>Room for at least <paramref name="sizeHint"/> more bytes (at least one); <see cref="Advance"/> then says how many were written.</summary>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _memory.Span[_end..];
    }

    /// <inheritdoc cref="GetSpan"/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(Math.Max(sizeHint, 1));
        return _memory.Memory[_end..];
    }

    /// <summary>Counts <paramref name="count"/> bytes of the room last given as written.</summary>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Math.Max(_memory.Length - _end, 0));
        if (Length + _sliceBytes + count > int.MaxValue)
            throw new InvalidOperationException($"{count} more bytes do not fit a frame of {TotalLength} bytes");
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

    /// <summary>Opens a gap of <paramref name="count"/> bytes at <paramref name="position"/> and moves what follows; slices at that very position come after the gap.</summary>
    /// <returns>The gap, to be filled at once. Valid until the next write.</returns>
    public Span<byte> Insert(int position, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position, Length);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (count == 0)
            return default;
        Reserve(count);
        var start = PrefixBytes + position;
        var memory = _memory.Span;
        memory[start.._end].CopyTo(memory[(start + count)..]);
        _end += count;
        for (var i = _sliceCount - 1; i >= 0 && _slices[i].Position >= position; i--)
            _slices[i].Position += count;
        return memory.Slice(start, count);
    }

    /// <summary>Appends the bytes of <paramref name="slice"/>, which are read only when they are sent. Takes the slice over: it is disposed with the frame.</summary>
    /// <exception cref="InvalidOperationException">The frame would be longer than a prefix can say; the slice is disposed.</exception>
    public void AppendSlice(IFileSlice slice)
    {
        ArgumentNullException.ThrowIfNull(slice);
        if (slice.Length < 1 || Length + _sliceBytes + slice.Length > int.MaxValue)
        {
            var message = $"a slice of {slice.Length} bytes cannot follow {Length + _sliceBytes} bytes in one frame";
            slice.Dispose();
            throw new InvalidOperationException(message);
        }

        if (_sliceCount == _slices.Length)
            Array.Resize(ref _slices, Math.Max(4, _sliceCount * 2));
        _slices[_sliceCount++] = new SliceAt { Slice = slice, Position = Length };
        _sliceBytes += slice.Length;
    }

    /// <summary>Releases the slices and the memory. What remains is an empty frame.</summary>
    public void Dispose()
    {
        _memory.Dispose();
        _end = PrefixBytes;
        _sliceBytes = 0;
        while (_sliceCount > 0)
        {
            // Forgotten before it is disposed, so that a failing Dispose cannot lead to a second one.
            var slice = _slices[--_sliceCount].Slice;
            _slices[_sliceCount] = default;
            slice.Dispose();
        }
    }

    /// <summary>Writes the prefix and returns it with the buffered bytes behind it.</summary>
    internal ReadOnlyMemory<byte> Seal()
    {
        Reserve(0);
        BinaryPrimitives.WriteInt32BigEndian(_memory.Span, TotalLength);
        return _memory.Memory[.._end];
    }

    /// <summary>The slice at <paramref name="index"/>, and how many buffered bytes precede it, prefix included.</summary>
    internal (IFileSlice Slice, int BytesBefore) SliceBehind(int index) => (_slices[index].Slice, PrefixBytes + _slices[index].Position);

    private void Reserve(int count)
    {
        var needed = (long)_end + count;
        if (!_memory.IsEmpty && needed <= _memory.Length)
            return;
        if (needed + _sliceBytes - PrefixBytes > int.MaxValue || needed > Array.MaxLength)
            throw new InvalidOperationException($"{count} more bytes do not fit a frame of {TotalLength} bytes");
        var grown = _pool.Rent((int)Math.Min(Math.Max(Math.Max(needed, InitialBytes), 2L * _memory.Length), Array.MaxLength));
        if (!_memory.IsEmpty)
            _memory.Span[.._end].CopyTo(grown.Span);
        _memory.Dispose();
        _memory = grown;
    }

    private struct SliceAt
    {
        public IFileSlice Slice;
        public int Position;
    }
}
