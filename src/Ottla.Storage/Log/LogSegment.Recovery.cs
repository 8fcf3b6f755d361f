using System.Buffers;
using Ottla.Protocol.Batches;

namespace Ottla.Storage.Log;

internal sealed partial class LogSegment
{
    private const int RecoveryBufferBytes = 256 * 1024;

    /// <summary>Called for every valid batch of a recovered segment; the span is the whole batch.</summary>
    public delegate void RecoveredBatch(ReadOnlySpan<byte> batch);

    /// <summary>
    /// Checks every batch, cuts the file at the first bad one, and rebuilds the indexes as the appends made them. <see cref="Flush"/>
    /// writes them.
    /// </summary>
    /// <param name="config">The index interval.</param>
    /// <param name="onBatch">Called with each valid batch in order; the transaction index is empty at the first call.</param>
    /// <returns>The bytes cut off.</returns>
    public long Recover(LogConfig config, RecoveredBatch onBatch)
    {
        var check = new RecoveryCheck(BaseOffset);
        ResetIndexes();
        Transactions.Reset();
        var fileLength = _fileSystem.GetLength(_file.Path);
        var end = ScanBatches(fileLength, check, (batch, position) =>
        {
            IndexBatch(new RecordBatchView(batch), position, config.IndexIntervalBytes);
            onBatch(batch);
            _bytesSinceLastIndexEntry += batch.Length;
        });
        _bytesSinceLastIndexEntry = 0;
        if (end < fileLength || end < Size)
            _file.TruncateTo(end);
        _timeIndex.MaybeAppend(_maxTimestampMs, _offsetOfMaxTimestamp);
        _needsFlush = true;
        _wasWritten = true;
        return fileLength - end;
    }

    /// <summary>Empties the indexes of the last segment, which has no batches.</summary>
    public void RecoverEmpty()
    {
        ResetIndexes();
        Transactions.Reset();
        _needsFlush = true;
        _wasWritten = true;
    }

    /// <summary>Reads whole batches from <paramref name="position"/> up to the valid end.</summary>
    public void ReadBatches(long position, RecoveredBatch onBatch) =>
        ScanBatches(Size, check: null, (batch, _) => onBatch(batch), position);

    private void EnsureIndexes(LogConfig config)
    {
        if (_indexesAreValid)
            return;
        if (_offsetIndex.TryLoad(Size) && _timeIndex.TryLoad())
        {
            _indexesAreValid = true;
            return;
        }

        RebuildIndexes(config);
    }

    /// <summary>
    /// Rebuilds the offset and time index from the batches, up to the first damaged one. The transaction index and the log do not change.
    /// </summary>
    public void RebuildIndexes(LogConfig config)
    {
        ResetIndexes();
        Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
        var walker = new BatchWalker(_file.Open(), 0, Size, buffer);
        while (walker.MoveToWhole())
        {
            IndexBatch(walker.Batch, walker.Position, config.IndexIntervalBytes);
            _bytesSinceLastIndexEntry += walker.NextPosition - walker.Position;
        }

        _bytesSinceLastIndexEntry = 0;
        _timeIndex.MaybeAppend(_maxTimestampMs, _offsetOfMaxTimestamp);
        ReplaceIndexes();
    }

    /// <summary>
    /// Replaces the old indexes by the rebuilt ones in one step each, because no recovery would find a half-written index here. The offset
    /// index comes last.
    /// </summary>
    public void ReplaceIndexes()
    {
        _transactions?.Flush();
        _timeIndex.File.TryReplace();
        _offsetIndex.File.TryReplace();
    }

    private void ResetIndexes()
    {
        _offsetIndex.File.Reset();
        _timeIndex.File.Reset();
        _indexesAreValid = true;
        _isTimestampKnown = true;
        _maxTimestampMs = -1;
        _offsetOfMaxTimestamp = BaseOffset;
        _bytesSinceLastIndexEntry = 0;
    }

    /// <summary>Calls <paramref name="onBatch"/> with whole batches, up to the first damaged one.</summary>
    /// <returns>The end of the valid batches.</returns>
    private long ScanBatches(long end, RecoveryCheck? check, Action<ReadOnlySpan<byte>, long> onBatch, long position = 0)
    {
        var file = _file.Open();
        var buffer = ArrayPool<byte>.Shared.Rent(RecoveryBufferBytes);
        try
        {
            while (end - position >= RecordBatchLayout.SizeBytesMinOfAnyFormat)
            {
                var filled = file.Read(position, buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - position)));
                var used = HandOutBatches(buffer.AsSpan(0, filled), position, end, check, onBatch, out var wanted);
                position += used;
                if (wanted == 0)
                    break;
                if (wanted > buffer.Length)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = ArrayPool<byte>.Shared.Rent(wanted);
                }
                else if (used == 0 && filled < wanted)
                {
                    break;
                }
            }

            return position;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Calls the given method with the whole batches in <paramref name="bytes"/>.</summary>
    /// <returns>Their size in bytes; <paramref name="wanted"/> is the size of the next batch, or 0 when there is no valid one.</returns>
    private static long HandOutBatches(
        ReadOnlySpan<byte> bytes, long position, long end, RecoveryCheck? check, Action<ReadOnlySpan<byte>, long> onBatch, out int wanted)
    {
        var used = 0;
        while (true)
        {
            var rest = bytes[used..];
            wanted = RecordBatchLayout.SizeBytesMinOfAnyFormat;
            if (rest.Length < wanted)
                return used;
            if (!RecordBatchView.TryReadSize(rest, out var size, out var magic) || size < RecordBatchLayout.SizeBytesMin(magic)
                || size > end - position - used)
            {
                wanted = 0;
                return used;
            }

            wanted = size;
            if (rest.Length < size)
                return used;
            var batch = new RecordBatchView(rest);
            if (check is not null && !check.Accepts(batch))
            {
                wanted = 0;
                return used;
            }

            onBatch(rest[..size], position + used);
            used += size;
        }
    }

    /// <summary>
    /// Checks that a batch is whole and can follow those before it. Ignores the leader epoch, which the checksum does not cover. Lives for
    /// one recovery of a segment.
    /// </summary>
    private sealed class RecoveryCheck(long segmentBaseOffset)
    {
        private long? _nextOffset;

        public bool Accepts(in RecordBatchView batch)
        {
            if (!batch.IsCrcValid || batch.BaseOffset < (_nextOffset ?? segmentBaseOffset) || batch.LastOffsetDelta < 0
                || batch.LastOffset - segmentBaseOffset > int.MaxValue)
                return false;
            _nextOffset = batch.NextOffset;
            return true;
        }
    }
}
