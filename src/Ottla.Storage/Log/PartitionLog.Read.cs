using System.Buffers;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

public sealed partial class PartitionLog
{
    /// <summary>Reads whole batches from the one that contains <paramref name="startOffset"/> (or the next, if compaction left a gap there).</summary>
    /// <param name="startOffset">Where to start; the log's end gives nothing.</param>
    /// <param name="maxBytes">How many bytes at most; batches are never cut.</param>
    /// <param name="minOneBatch">Return the first batch even if it alone is more than <paramref name="maxBytes"/>.</param>
    /// <param name="upperBoundOffset">High watermark, last stable offset or log end: no batch that has this offset or a later one is returned.</param>
    /// <exception cref="LogException">OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.</exception>
    public LogReadResult Read(long startOffset, int maxBytes, bool minOneBatch, long upperBoundOffset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxBytes);
        try
        {
            var segmentFrom = startOffset;
            while (true)
            {
                var result = PlanRead(startOffset, segmentFrom, maxBytes, upperBoundOffset, out var plan);
                if (plan.File is null)
                    return result;
                var slice = Cut(plan, startOffset, maxBytes, minOneBatch, out var isPastSegment, out var upperBound);
                if (!isPastSegment)
                    return result with { Slice = slice, UpperBoundOffset = upperBound };
                segmentFrom = plan.NextBaseOffset;
                if (segmentFrom == long.MaxValue)
                    return result;
            }
        }
        catch (Exception failure) when (IsIoFailure(failure))
        {
            throw Fail(failure);
        }
        catch (CorruptRecordException failure)
        {
            throw new LogException(failure.ErrorCode, failure.Message, failure);
        }
    }

    /// <summary>The aborted transactions that have records in [<paramref name="startOffset"/>, <paramref name="upperBound"/>): what READ_COMMITTED readers are told with a fetch.</summary>
    public IReadOnlyList<AbortedTransaction> CollectAbortedTransactions(long startOffset, long upperBound)
    {
        lock (_lock)
        {
            ThrowIfOffline();
            try
            {
                var found = new List<AbortedTransaction>();
                for (var i = Math.Max(FloorSegment(startOffset), 0); i < _segments.Count; i++)
                {
                    if (_segments[i].Transactions.Collect(startOffset, upperBound, found))
                        break;
                }

                return found;
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
        }
    }

    /// <summary>The first record whose timestamp is not before <paramref name="timestampMs"/> (ListOffsets by time).</summary>
    /// <returns><see cref="TimestampOffset.None"/> when there is none.</returns>
    /// <exception cref="LogException">CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.</exception>
    public TimestampOffset OffsetForTimestamp(long timestampMs) => Search(timestampMs, exact: false);

    /// <summary>The first record that has the greatest timestamp of the log (ListOffsets -3, KIP-734).</summary>
    /// <returns><see cref="TimestampOffset.None"/> when no record has a timestamp.</returns>
    /// <exception cref="LogException">CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.</exception>
    public TimestampOffset OffsetOfMaxTimestamp()
    {
        long max = -1;
        lock (_lock)
        {
            ThrowIfOffline();
            foreach (var segment in _segments)
                max = Math.Max(max, segment.MaxTimestamp.TimestampMs);
        }

        return max < 0 ? TimestampOffset.None : Search(max, exact: true);
    }

    /// <summary>Under the lock: finds the segment and takes hold of its file.</summary>
    private LogReadResult PlanRead(long startOffset, long segmentFrom, int maxBytes, long upperBoundOffset, out ReadPlan plan)
    {
        plan = default;
        lock (_lock)
        {
            ThrowIfOffline();
            if (startOffset < _logStartOffset || startOffset > _logEndOffset)
                throw new LogException(
                    ErrorCode.OffsetOutOfRange, $"Offset {startOffset} of {Partition} is not in [{_logStartOffset}, {_logEndOffset}].");
            var result = new LogReadResult(null, _logStartOffset, _logEndOffset, _highWatermark, Math.Min(_highWatermark, _firstUnstableOffset));
            var bound = Math.Min(upperBoundOffset, _logEndOffset);
            var index = FloorSegment(segmentFrom);
            if (startOffset >= bound || index < 0 || _segments[index].BaseOffset >= bound)
                return result;
            var segment = _segments[index];
            var nextBaseOffset = index + 1 < _segments.Count ? _segments[index + 1].BaseOffset : long.MaxValue;
            var searchFrom = segment.LookupPosition(startOffset, _config);
            var isBounded = bound < Math.Min(nextBaseOffset, _logEndOffset);
            plan = new ReadPlan
            {
                SearchFrom = searchFrom,
                EndSearchFrom = isBounded ? segment.LookupPosition(bound, _config) : -1,
                SizeSearchFrom = segment.LookupBoundary(searchFrom + maxBytes, _config),
                Bound = bound,
                NextBaseOffset = nextBaseOffset,
                Length = segment.Size,
                File = segment.Acquire(),
            };
            return result;
        }
    }

    /// <summary>Without the lock: finds exact batch boundaries. Gives the file back unless a slice keeps it.</summary>
    private static FileSlice? Cut(in ReadPlan plan, long startOffset, int maxBytes, bool minOneBatch, out bool isPastSegment, out long upperBound)
    {
        var keep = false;
        upperBound = Math.Min(plan.Bound, plan.NextBaseOffset);
        try
        {
            Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
            var file = plan.File!.File;
            isPastSegment = !TryFind(file, plan.SearchFrom, plan.Length, startOffset, buffer, out var start, out var firstEnd, out var firstLastOffset);
            if (isPastSegment || firstLastOffset >= plan.Bound)
                return null;
            var end = plan.Length;
            if (plan.EndSearchFrom >= 0 && TryFind(file, Math.Max(plan.EndSearchFrom, start), plan.Length, plan.Bound, buffer, out var boundary, out _, out _))
                end = boundary;
            if (end - start > maxBytes)
                end = FindLastBoundary(file, Math.Max(plan.SizeSearchFrom, start), end, start + maxBytes, buffer, ref upperBound);
            if (end <= start)
            {
                if (!minOneBatch)
                    return null;
                end = firstEnd;
                upperBound = firstLastOffset + 1;
            }

            keep = true;
            return new FileSlice(plan.File, start, (int)(end - start));
        }
        finally
        {
            if (!keep)
                plan.File!.Release();
        }
    }

    /// <summary>The first batch that has <paramref name="offset"/> or a later one.</summary>
    private static bool TryFind(
        IFile file, long from, long length, long offset, Span<byte> buffer, out long position, out long nextPosition, out long lastOffset)
    {
        var walker = new BatchWalker(file, from, length, buffer);
        while (walker.MoveNext())
        {
            lastOffset = walker.Batch.LastOffset;
            if (lastOffset < offset)
                continue;
            position = walker.Position;
            nextPosition = walker.NextPosition;
            return true;
        }

        position = nextPosition = length;
        lastOffset = -1;
        return false;
    }

    /// <summary>The last batch boundary that is not after <paramref name="limit"/>, and the offset that is not reached there.</summary>
    private static long FindLastBoundary(IFile file, long from, long end, long limit, Span<byte> buffer, ref long upperBound)
    {
        var walker = new BatchWalker(file, from, end, buffer);
        while (walker.MoveNext())
        {
            if (walker.NextPosition <= limit)
                continue;
            upperBound = walker.Batch.BaseOffset;
            return walker.Position;
        }

        return end;
    }

    private TimestampOffset Search(long timestampMs, bool exact)
    {
        try
        {
            var segmentFrom = long.MinValue;
            while (true)
            {
                long startOffset;
                ReadPlan plan;
                lock (_lock)
                {
                    ThrowIfOffline();
                    startOffset = _logStartOffset;
                    var index = _segments.FindIndex(segment => segment.BaseOffset >= segmentFrom && segment.MaxTimestamp.TimestampMs >= timestampMs);
                    if (index < 0)
                        return TimestampOffset.None;
                    var segment = _segments[index];
                    plan = new ReadPlan
                    {
                        SearchFrom = exact ? 0 : segment.LookupTimestamp(timestampMs, startOffset, _config),
                        Length = segment.Size,
                        NextBaseOffset = segment.BaseOffset + 1,
                        File = segment.Acquire(),
                    };
                }

                var found = SearchSegment(plan, timestampMs, exact, startOffset);
                if (found.IsFound)
                    return found;
                segmentFrom = plan.NextBaseOffset;
            }
        }
        catch (Exception failure) when (IsIoFailure(failure))
        {
            throw Fail(failure);
        }
        catch (CorruptRecordException failure)
        {
            throw new LogException(failure.ErrorCode, failure.Message, failure);
        }
    }

    private static TimestampOffset SearchSegment(in ReadPlan plan, long timestampMs, bool exact, long startOffset)
    {
        try
        {
            Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
            var file = plan.File!.File;
            var walker = new BatchWalker(file, plan.SearchFrom, plan.Length, buffer);
            while (walker.MoveNext())
            {
                var batch = walker.Batch;
                if (batch.MaxTimestamp < timestampMs || batch.LastOffset < startOffset)
                    continue;
                var found = SearchBatch(file, walker.Position, (int)(walker.NextPosition - walker.Position), timestampMs, exact, startOffset);
                if (found.IsFound)
                    return found with { LeaderEpoch = batch.PartitionLeaderEpoch };
            }

            return TimestampOffset.None;
        }
        finally
        {
            plan.File!.Release();
        }
    }

    private static TimestampOffset SearchBatch(IFile file, long position, int size, long timestampMs, bool exact, long startOffset)
    {
        var bytes = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            file.ReadExactly(position, bytes.AsSpan(0, size));
            using var reader = new RecordReader(bytes.AsMemory(0, size));
            while (reader.TryReadOutline(out var record))
            {
                if (record.Offset >= startOffset && (exact ? record.Timestamp == timestampMs : record.Timestamp >= timestampMs))
                    return new TimestampOffset(record.Timestamp, record.Offset, -1);
            }

            return TimestampOffset.None;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>What a read found out under the lock.</summary>
    private struct ReadPlan
    {
        /// <summary>Held for the read; null when there is nothing to read.</summary>
        public SharedFile? File;

        /// <summary>The valid bytes of the segment.</summary>
        public long Length;

        /// <summary>Where to look for the first batch.</summary>
        public long SearchFrom;

        /// <summary>Where to look for the bound; -1 when the whole segment is below it.</summary>
        public long EndSearchFrom;

        /// <summary>A batch boundary that surely is within the wanted size.</summary>
        public long SizeSearchFrom;

        /// <summary>No batch with this offset or a later one.</summary>
        public long Bound;

        /// <summary>Where the next segment starts, or long.MaxValue.</summary>
        public long NextBaseOffset;
    }
}
