using System.Buffers;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// The expanded block of a decoder that expands whole blocks, in a pooled buffer. Owned by its decoder, which gives the buffer back with
/// <see cref="Release"/>.
/// </summary>
internal sealed class ExpandedBlock
{
    private byte[] _buffer = [];
    private int _start;
    private int _end;

    /// <summary>Whether all bytes of the block were read.</summary>
    public bool IsEmpty => _start == _end;

    /// <summary>Makes room for the next block. <see cref="SetLength"/> must follow when the block is expanded.</summary>
    public Span<byte> Reserve(int length)
    {
        if (length > _buffer.Length)
        {
            Release();
            _buffer = ArrayPool<byte>.Shared.Rent(length);
        }

        return _buffer.AsSpan(0, length);
    }

    /// <summary>Begins to read a block of <paramref name="length"/> bytes; 0 for none.</summary>
    public void SetLength(int length) => (_start, _end) = (0, length);

    /// <summary>Reads the next bytes of the block.</summary>
    /// <returns>The bytes read; 0 at the end of the block.</returns>
    public int Read(Span<byte> destination)
    {
        var count = Math.Min(destination.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(destination);
        _start += count;
        return count;
    }

    /// <summary>Gives the buffer back to the pool.</summary>
    public void Release()
    {
        if (_buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        SetLength(0);
    }
}
