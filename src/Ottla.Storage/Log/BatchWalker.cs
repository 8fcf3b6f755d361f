using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// Walks over the headers of the batches in a segment file, of any format. It reads ahead in small chunks, so that many small batches cost
/// few reads.
/// </summary>
/// <remarks>
/// Lives on the stack of one search. It checks every size: a wrong one ends the walk with a <see cref="CorruptRecordException"/>.
/// </remarks>
internal ref struct BatchWalker
{
    /// <summary>A good size for the buffer that the caller lends.</summary>
    public const int BufferBytes = 2048;

    private readonly IFile _file;
    private readonly long _end;
    private readonly Span<byte> _buffer;
    private long _bufferedFrom;
    private int _bufferedBytes;
    private ReadOnlySpan<byte> _header;

    /// <summary>Starts before the batch at <paramref name="position"/>.</summary>
    /// <param name="file">The segment file.</param>
    /// <param name="position">The start of a batch.</param>
    /// <param name="end">The end of the valid bytes.</param>
    /// <param name="buffer">Scratch of at least a header's size.</param>
    public BatchWalker(IFile file, long position, long end, Span<byte> buffer)
    {
        _file = file;
        _end = end;
        _buffer = buffer;
        NextPosition = position;
        Position = position;
    }

    /// <summary>The position of the current batch.</summary>
    public long Position { get; private set; }

    /// <summary>The position of the next batch.</summary>
    public long NextPosition { get; private set; }

    /// <summary>The header of the current batch, without its records.</summary>
    public readonly RecordBatchView Batch => new(_header);

    /// <summary>Moves to the next batch.</summary>
    /// <returns>False at the end.</returns>
    /// <exception cref="CorruptRecordException">There is no valid batch at the position.</exception>
    /// <exception cref="IOException">The file could not be read, or is shorter than it should be.</exception>
    public bool MoveNext()
    {
        if (NextPosition >= _end)
            return false;
        var headerBytes = (int)Math.Min(RecordBatchLayout.HeaderSizeBytes, _end - NextPosition); // a message of magic 0 or 1 may be smaller
        if (headerBytes < RecordBatchLayout.SizeBytesMinOfAnyFormat)
            throw Corrupt();
        Position = NextPosition;
        var offset = Position - _bufferedFrom;
        if (offset < 0 || offset + headerBytes > _bufferedBytes)
        {
            _bufferedFrom = Position;
            _bufferedBytes = _file.Read(Position, _buffer[..(int)Math.Min(_buffer.Length, _end - Position)]);
            if (_bufferedBytes < headerBytes)
                throw new EndOfStreamException($"A segment file ends at {Position + _bufferedBytes}, but its log has {_end} bytes in it.");
            offset = 0;
        }

        _header = _buffer.Slice((int)offset, headerBytes);
        if (!RecordBatchView.TryReadSize(_header, out var size, out var magic) || size < RecordBatchLayout.SizeBytesMin(magic)
            || size > _end - Position)
            throw Corrupt();
        NextPosition = Position + size;
        return true;
    }

    /// <summary>As <see cref="MoveNext"/>, but ends the walk at the first invalid batch instead of throwing.</summary>
    /// <returns>False at the end, or where there is no valid batch.</returns>
    public bool MoveToWhole()
    {
        try
        {
            return MoveNext();
        }
        catch (CorruptRecordException)
        {
            return false;
        }
    }

    private readonly CorruptRecordException Corrupt() =>
        new(ErrorCode.CorruptMessage, $"There is no valid batch at position {NextPosition} of a segment of {_end} bytes.");
}
