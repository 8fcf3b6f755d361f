using System.Buffers;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Inspection;

/// <summary>
/// Reads a file of batches one batch at a time and skips damage: a bad checksum costs one batch, a bad header all batches up to
/// the next indexed one.
/// </summary>
/// <remarks>Owned by one pass over the file, which disposes it. Holds one batch; its buffer is pooled.</remarks>
/// <param name="file">The file.</param>
/// <param name="indexedPositions">The positions of batches in the offset index, ascending; may be empty.</param>
internal sealed class SegmentScan(IFile file, IReadOnlyList<long> indexedPositions) : IDisposable
{
    /// <summary>The largest batch that is read. A larger size is damage.</summary>
    public const int BatchBytesMax = 256 * 1024 * 1024;

    private readonly long _end = file.Length;
    private readonly byte[] _headers = new byte[BatchWalker.BufferBytes];
    private byte[] _buffer = [];
    private long _nextPosition;

    /// <summary>The position of the current batch or problem.</summary>
    public long Position { get; private set; }

    /// <summary>The current batch; empty when there is a problem with its header.</summary>
    public ReadOnlyMemory<byte> Batch { get; private set; }

    /// <summary>The problem at <see cref="Position"/>; null when the batch is whole and its checksum is right.</summary>
    public string? Problem { get; private set; }

    /// <summary>Moves to the next batch or the next problem.</summary>
    /// <returns>False at the end.</returns>
    /// <exception cref="IOException">The file could not be read.</exception>
    public bool MoveNext()
    {
        if (_nextPosition >= _end)
            return false;
        Position = _nextPosition;
        Batch = default;
        Problem = null;
        var walker = new BatchWalker(file, Position, _end, _headers);
        try
        {
            walker.MoveNext();
        }
        catch (CorruptRecordException)
        {
            return Skip($"there is no valid batch in the last {_end - Position} bytes");
        }

        if (walker.NextPosition - Position > BatchBytesMax)
            return Skip($"a batch claims {walker.NextPosition - Position} bytes");
        _nextPosition = walker.NextPosition;
        Read((int)(_nextPosition - Position));
        var batch = new RecordBatchView(Batch.Span);
        if (!batch.IsCrcValid)
            Problem = $"the batch at offset {batch.BaseOffset} does not match its checksum (stored {batch.Crc}, computed "
                + $"{batch.ComputeCrc()})";
        return true;
    }

    public void Dispose()
    {
        if (_buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        Batch = default;
    }

    private bool Skip(string problem)
    {
        foreach (var position in indexedPositions)
        {
            if (position <= Position || position >= _end)
                continue;
            _nextPosition = position;
            Problem = $"{problem}; the next indexed batch is at position {position}";
            return true;
        }

        _nextPosition = _end;
        Problem = problem;
        return true;
    }

    private void Read(int size)
    {
        if (_buffer.Length < size)
        {
            if (_buffer.Length > 0)
                ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
            _buffer = ArrayPool<byte>.Shared.Rent(size);
        }

        file.ReadExactly(Position, _buffer.AsSpan(0, size));
        Batch = _buffer.AsMemory(0, size);
    }
}
