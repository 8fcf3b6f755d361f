using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.Storage.Compaction;

/// <summary>The result of one compaction of a log.</summary>
/// <param name="Generation">The generation of the log that was compacted.</param>
/// <param name="EndOffset">All before it is compacted now.</param>
/// <param name="MappedBytes">Bytes read to learn the keys of the dirty part.</param>
/// <param name="ReadBytes">Bytes read to be copied.</param>
/// <param name="WrittenBytes">Bytes written to the new segments.</param>
/// <param name="RecordsRead">Records read.</param>
/// <param name="RecordsKept">Records kept.</param>
/// <param name="RecordsWithoutKey">Records dropped because they have no key.</param>
/// <param name="BatchesNotExpanded">Batches kept as they are because they cannot be expanded within bounds.</param>
internal readonly record struct CompactionResult(
    int Generation, long EndOffset, long MappedBytes, long ReadBytes, long WrittenBytes, long RecordsRead, long RecordsKept,
    long RecordsWithoutKey, long BatchesNotExpanded);

/// <summary>
/// One compaction of one log: finds the last offset of every key in the dirty part, then copies the log up to there without
/// replaced records.
/// </summary>
/// <remarks>
/// Works beside appends and reads, on a group of segments at a time. Each step that uses file names runs inside the log's
/// compaction lock and fails once the log is deleted, cut or moved. Lives for one <see cref="RunAsync"/>, which gives way after
/// every chunk.
/// </remarks>
internal sealed class LogCompaction(IFileSystem fileSystem, PartitionLog log, CleanerOptions options, IoPace pace, Instant now)
{
    private long _mappedBytes;
    private long _readBytes;
    private long _writtenBytes;
    private int _recordSizeBytesMax;

    /// <summary>Compacts the log up to the end of the section, or as far as the map of keys reaches.</summary>
    /// <exception cref="CleaningVoidException">The log was cut meanwhile. The segments that were not replaced yet stay.</exception>
    /// <exception cref="LogException">The log failed, or was closed.</exception>
    /// <exception cref="IOException">The disk failed, or is full. The log did not change.</exception>
    /// <exception cref="CorruptRecordException">A batch in the log is not valid: it cannot be compacted.</exception>
    public async Task<CompactionResult> RunAsync(DirtySection section, CancellationToken cancellation)
    {
        log.Flush(); // a record that replaces another, and its commit marker, must be as durable as the other was
        var source = log.BeginCleaning(section.EndOffset);
        _recordSizeBytesMax = Math.Min(source.Config.MaxDecompressedMessageBytes, RecordReader.RecordSizeBytesMaxDefault);
        var map = options.MapFor(section.EndOffset - section.FirstDirtyOffset);
        await MapKeysAsync(source, map, section.FirstDirtyOffset, cancellation);

        var endOffset = map.LatestOffset + 1;
        var transactions = new TransactionsInCleaning();
        using var filter = new BatchFilter(
            new RetentionRules(
                map, source.LastRecords, source.HighWatermark, now.UnixMilliseconds, source.Config.DeleteRetentionMs, _recordSizeBytesMax),
            transactions);
        using var output = new PooledBufferWriter(options.ReadBufferBytes);
        foreach (var group in source.Groups(endOffset))
            await CleanAsync(source, group, filter, transactions, output, cancellation);
        return new CompactionResult(source.Generation, endOffset, _mappedBytes, _readBytes, _writtenBytes, filter.RecordsRead,
            filter.RecordsKept, filter.RecordsWithoutKey, filter.BatchesNotExpanded);
    }

    /// <summary>Reads the dirty segments until they end or the map is full.</summary>
    private async Task MapKeysAsync(CleaningSource source, KeyOffsetMap map, long firstDirtyOffset, CancellationToken cancellation)
    {
        var transactions = new TransactionsInCleaning();
        foreach (var segment in source.Segments.Where(segment => segment.NextBaseOffset > firstDirtyOffset))
        {
            transactions.Add(log.CollectAbortedTransactions(Math.Max(segment.BaseOffset, firstDirtyOffset), segment.NextBaseOffset));
            var file = log.AcquireForCleaning(segment, source.Generation);
            try
            {
                using var reader = new BatchChunkReader(file.File, 0, segment.SizeBytes, options.ReadBufferBytes);
                while (reader.TryRead(out var chunk))
                {
                    _mappedBytes += chunk.Length;
                    if (!TryMapKeys(chunk, map, firstDirtyOffset, transactions))
                        return;
                    await pace.SpendAsync(chunk.Length, cancellation);
                    log.ThrowIfVoid(source.Generation);
                }
            }
            finally
            {
                file.Release();
            }

            map.LatestOffset = segment.NextBaseOffset - 1; // offsets without records were compacted away
        }
    }

    /// <returns>False when the map is full. It covers the records before the key that had no room.</returns>
    private bool TryMapKeys(ReadOnlyMemory<byte> chunk, KeyOffsetMap map, long firstDirtyOffset, TransactionsInCleaning transactions)
    {
        for (; !chunk.IsEmpty; chunk = chunk[new RecordBatchView(chunk.Span).SizeInBytes..])
        {
            var batch = new RecordBatchView(chunk.Span);
            if (batch.IsControl)
            {
                transactions.IsMarkerOfNothing(batch, out _);
            }
            else if (!transactions.IsAborted(batch) && batch.LastOffset >= firstDirtyOffset)
            {
                if (!TryMapKeys(chunk, map, firstDirtyOffset))
                    return false;
            }

            if (batch.LastOffset >= firstDirtyOffset)
                map.LatestOffset = batch.LastOffset;
        }

        return true;
    }

    /// <summary>
    /// Maps the keys of the batch that <paramref name="chunk"/> starts with. If it expands past the limit, its keys stay unknown:
    /// compaction keeps the batch and the records that it replaces.
    /// </summary>
    private bool TryMapKeys(ReadOnlyMemory<byte> chunk, KeyOffsetMap map, long firstDirtyOffset)
    {
        try
        {
            using var reader = new RecordReader(chunk, _recordSizeBytesMax);
            while (reader.TryRead(out var record))
            {
                if (!record.HasKey || record.Offset < firstDirtyOffset)
                    continue;
                if (map.IsFull)
                    return false;
                map.Put(record.Key, record.Offset);
            }
        }
        catch (CorruptRecordException failure) when (failure.ExceedsBound)
        {
            // The filter counts it.
        }

        return true;
    }

    private async Task CleanAsync(
        CleaningSource source,
        IReadOnlyList<SourceSegment> group,
        BatchFilter filter,
        TransactionsInCleaning transactions,
        PooledBufferWriter output,
        CancellationToken cancellation)
    {
        CleanedSegments? target = null;
        try
        {
            log.InCleaning(source.Generation, () =>
                target = new CleanedSegments(fileSystem, log.Directory, source.Config, group[0].BaseOffset, now));
            foreach (var segment in group)
            {
                transactions.Add(log.CollectAbortedTransactions(segment.BaseOffset, segment.NextBaseOffset));
                var file = log.AcquireForCleaning(segment, source.Generation);
                try
                {
                    using var reader = new BatchChunkReader(file.File, 0, segment.SizeBytes, options.ReadBufferBytes);
                    while (reader.TryRead(out var chunk))
                    {
                        output.Clear();
                        var aborted = Filter(chunk, filter, output);
                        log.InCleaning(source.Generation, () => target!.Append(output.WrittenSpan, aborted));
                        _readBytes += chunk.Length;
                        _writtenBytes += output.WrittenCount;
                        await pace.SpendAsync(chunk.Length + output.WrittenCount, cancellation);
                        log.ThrowIfVoid(source.Generation);
                    }
                }
                finally
                {
                    file.Release();
                }

                target!.LastWriteMs = segment.LastWriteMs;
            }

            IReadOnlyList<LogSegment> cleaned = [];
            log.InCleaning(source.Generation, () => cleaned = target!.Complete());
            log.ReplaceSegments(source.Generation, group, cleaned, now);
        }
        catch (LogException)
        {
            target?.Abandon();
            throw;
        }
        catch
        {
            if (target is not null)
                log.DiscardCleaned(target);
            throw;
        }
    }

    private static List<AbortedTransaction> Filter(ReadOnlyMemory<byte> chunk, BatchFilter filter, PooledBufferWriter output)
    {
        var aborted = new List<AbortedTransaction>();
        while (!chunk.IsEmpty)
        {
            var size = new RecordBatchView(chunk.Span).SizeInBytes;
            filter.Filter(chunk[..size], output, out var kept);
            if (kept is { } transaction)
                aborted.Add(transaction);
            chunk = chunk[size..];
        }

        return aborted;
    }
}
