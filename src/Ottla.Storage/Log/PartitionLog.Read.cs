using System.Buffers;
using Ottla.Protocol.Batches;
using Ottla.Protocol;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

public sealed partial class PartitionLog
{
    /// <summary>
    /// Reads whole batches from the one that contains <paramref name="startOffset"/> (or the next, if compaction left a gap
    /// there).
    /// </summary>
    /// <param name="startOffset">Where to start; the log's end gives nothing.</param>
    /// <param name="maxBytes">How many bytes at most; batches are never cut.</param>
    /// <param name="minOneBatch">Return the first batch even if it alone is more than <paramref name="maxBytes"/>.</param>
    /// <param name="upperBoundOffset">No batch that has this offset or a later one is returned.</param>
    /// <exception cref="LogException">OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.</exception>
    public LogReadResult Read(long startOffset, int maxBytes, bool minOneBatch, long upperBoundOffset) =>
        Read(new LogReadRequest(startOffset, ReadBound.LogEnd, maxBytes, minOneBatch) { UpperBoundOffset = upperBoundOffset });

    /// <summary>
    /// Reads whole batches. Everything in the result is of one moment: the bound, the records, the offsets and the aborted transactions.
    /// </summary>
    /// <exception cref="LogException">OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR, UNKNOWN_SERVER_ERROR (a negative size, a
    /// damaged transaction index).</exception>
    public LogReadResult Read(in LogReadRequest request)
    {
        try
        {
            var segmentFrom = request.StartOffset;
            while (true)
            {
                var result = PlanRead(request, segmentFrom, out var plan);
                if (plan.Segment is null)
                    return result;
                var cut = Cut(plan, request, out var isPastSegment);
                if (!isPastSegment)
                    return result with { Slice = cut.Slice, UpperBoundOffset = cut.UpperBound, AvailableBytes = cut.AvailableBytes };
                segmentFrom = plan.NextBaseOffset;
                if (segmentFrom == long.MaxValue)
                    return result with { AvailableBytes = 0 };
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
        catch (InvalidDataException failure)
        {
            throw new LogException(ErrorCode.UnknownServerError, failure.Message, failure);
        }
    }

    /// <summary>
    /// What <see cref="Read(in LogReadRequest)"/> would find, without looking into the segment: no slice, and at least as many available
    /// bytes as there are.
    /// </summary>
    /// <inheritdoc cref="Read(in LogReadRequest)"/>
    public LogReadResult Measure(in LogReadRequest request)
    {
        try
        {
            using (_lock.EnterScope())
                return PlanLocked(request, request.StartOffset, out _);
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

    /// <summary>The offset that a reader of a kind may not reach just now. Takes no lock.</summary>
    public long OffsetOf(ReadBound bound) => bound switch
    {
        ReadBound.LogEnd => LogEndOffset,
        ReadBound.HighWatermark => HighWatermark,
        ReadBound.LastStableOffset => LastStableOffset,
        _ => throw new ArgumentOutOfRangeException(nameof(bound)),
    };

    /// <summary>The aborted transactions that have records in [<paramref name="startOffset"/>, <paramref name="upperBound"/>).</summary>
    public IReadOnlyList<AbortedTransaction> CollectAbortedTransactions(long startOffset, long upperBound)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                return CollectAborted(startOffset, upperBound) ?? [];
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
        }
    }

    private List<AbortedTransaction>? CollectAborted(long startOffset, long upperBound)
    {
        List<AbortedTransaction>? found = null;
        for (var i = Math.Max(FloorSegment(startOffset), 0); i < _segments.Count; i++)
        {
            if (_segments[i].Transactions.Collect(startOffset, upperBound, ref found))
                break;
        }

        return found;
    }

    /// <summary>The first record whose timestamp is not before <paramref name="timestampMs"/> (ListOffsets by time).</summary>
    /// <returns><see cref="TimestampOffset.None"/> when there is none.</returns>
    /// <exception cref="LogException">CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.</exception>
    public TimestampOffset OffsetForTimestamp(long timestampMs) => Search(timestampMs, exact: false);

    /// <summary>The first record that has the greatest timestamp of the log (ListOffsets -3, KIP-734).</summary>
    /// <remarks>As in Kafka it may lie before the log start offset, as long as its segment is there.</remarks>
    /// <returns><see cref="TimestampOffset.None"/> when no record has a timestamp.</returns>
    /// <exception cref="LogException">CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR.</exception>
    public TimestampOffset OffsetOfMaxTimestamp()
    {
        long max = -1;
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            foreach (var segment in _segments)
                max = Math.Max(max, segment.MaxTimestamp.TimestampMs);
        }

        return max < 0 ? TimestampOffset.None : Search(max, exact: true);
    }

    /// <summary>Under the lock: plans a read, acquires the segment's file and collects the aborted transactions.</summary>
    private LogReadResult PlanRead(in LogReadRequest request, long segmentFrom, out ReadPlan plan)
    {
        using (_lock.EnterScope())
        {
            var result = PlanLocked(request, segmentFrom, out plan);
            if (plan.Segment is not { } segment)
                return result;
            if (request is { MaxBytes: 0, MinOneBatch: false })
            {
                plan.Segment = null; // the limit is used up: only the offsets are wanted
                return result;
            }

            if (request.Bound == ReadBound.LastStableOffset)
            {
                // Not the last offset of the slice, which is found without the lock, but one that it cannot pass.
                var upperBound = segment.LookupUpperBound(request.StartOffset, request.MaxBytes, _config);
                plan.Aborted = CollectAborted(request.StartOffset, Math.Min(UpperBoundOf(plan), upperBound));
                result = result with { AbortedTransactions = plan.Aborted ?? result.AbortedTransactions };
            }

            plan.File = segment.Acquire();
            return result;
        }
    }

    private LogReadResult PlanLocked(in LogReadRequest request, long segmentFrom, out ReadPlan plan)
    {
        plan = default;
        ThrowIfOffline();
        var startOffset = request.StartOffset;
        var bound = Math.Min(OffsetOf(request.Bound), request.UpperBoundOffset);
        var result = new LogReadResult(null, _logStartOffset, _logEndOffset, _highWatermark, LastStableOffset) { BoundOffset = bound };
        // Before the log's start a reader is out of range, whatever its epochs: no truncation would bring it back.
        if (request.LastFetchedEpoch >= 0 && FindDivergence(request.LastFetchedEpoch, startOffset) is { } divergence
            && startOffset >= _logStartOffset)
            return result with { DivergingEpoch = divergence };
        if (startOffset < _logStartOffset || startOffset > _logEndOffset)
            throw new LogException(
                ErrorCode.OffsetOutOfRange,
                $"Offset {startOffset} of {Partition} is outside the log, which starts at {_logStartOffset} and ends at {_logEndOffset}.");
        if (request.Bound == ReadBound.LastStableOffset)
            result = result with { AbortedTransactions = [] };
        bound = Math.Min(bound, _logEndOffset);
        var index = FloorSegment(segmentFrom);
        if (startOffset >= bound || index < 0 || _segments[index].BaseOffset >= bound)
            return result;
        if (request.MaxBytes < 0)
            throw new LogException(ErrorCode.UnknownServerError,
                $"The fetch asks for {request.MaxBytes} bytes of {Partition}; the size must not be negative.");
        var segment = _segments[index];
        var nextBaseOffset = index + 1 < _segments.Count ? _segments[index + 1].BaseOffset : long.MaxValue;
        var first = segment.FindRecent(startOffset);
        var searchFrom = first?.Position ?? segment.LookupPosition(startOffset, _config);
        var isBounded = bound < Math.Min(nextBaseOffset, _logEndOffset);
        var end = isBounded ? segment.FindRecent(bound)?.Position ?? -1 : segment.Size;
        plan = new ReadPlan
        {
            Segment = segment,
            First = first,
            End = end,
            SearchFrom = searchFrom,
            EndSearchFrom = end < 0 ? segment.LookupPosition(bound, _config) : -1,
            SizeSearchFrom = segment.LookupBoundary(searchFrom + request.MaxBytes, _config),
            Bound = bound,
            NextBaseOffset = nextBaseOffset,
            Length = segment.Size,
        };
        var endAtMost = end < 0 ? segment.LookupPositionFrom(bound, _config) : end;
        return result with { AvailableBytes = endAtMost - searchFrom, HasMoreInLaterSegments = bound > nextBaseOffset };
    }

    /// <summary>Finds a reader that has truncated records: returns the end of its epoch if the reader is past it (KIP-595).</summary>
    private EpochEndOffset? FindDivergence(int lastFetchedEpoch, long startOffset)
    {
        var end = _epochs.EndOffsetFor(lastFetchedEpoch, _logEndOffset);
        if (end.EndOffset < 0)
            throw new LogException(ErrorCode.OffsetOutOfRange, $"The log of {Partition} has no leader epoch {lastFetchedEpoch}.");
        return end.Epoch >= lastFetchedEpoch && end.EndOffset >= startOffset ? null : end;
    }

    private static long UpperBoundOf(in ReadPlan plan) => Math.Min(plan.Bound, plan.NextBaseOffset);

    /// <summary>Without the lock: finds exact batch boundaries. Gives the file back unless a slice keeps it.</summary>
    private static (FileSlice? Slice, long UpperBound, long AvailableBytes) Cut(
        in ReadPlan plan, in LogReadRequest request, out bool isPastSegment)
    {
        var keep = false;
        var upperBound = UpperBoundOf(plan);
        try
        {
            Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
            var file = plan.File!.File;
            isPastSegment = false;
            long start, firstEnd, firstLastOffset;
            if (plan.First is { } first)
                (start, firstEnd, firstLastOffset) = (first.Position, first.EndPosition, first.LastOffset);
            else
                isPastSegment = !TryFind(
                    file, plan.SearchFrom, plan.Length, request.StartOffset, buffer, out start, out firstEnd, out firstLastOffset);
            if (isPastSegment || firstLastOffset >= plan.Bound)
                return (null, upperBound, 0);
            var end = plan.End;
            if (end < 0)
                end = TryFind(file, Math.Max(plan.EndSearchFrom, start), plan.Length, plan.Bound, buffer, out var boundary, out _, out _)
                    ? boundary : plan.Length;
            var availableBytes = end - start;
            if (availableBytes > request.MaxBytes)
                end = FindLastBoundary(file, Math.Max(plan.SizeSearchFrom, start), end, start + request.MaxBytes, buffer, ref upperBound);
            if (end <= start)
            {
                if (!request.MinOneBatch)
                    return (null, upperBound, availableBytes);
                end = firstEnd;
                upperBound = firstLastOffset + 1;
            }

            RemoveFrom(upperBound, plan.Aborted);
            keep = true;
            var length = (int)(end - start);
            var slice = request.Slice is { } own && own.TryFill(plan.File, start, length) ? own : new FileSlice(plan.File, start, length);
            return (slice, upperBound, availableBytes);
        }
        finally
        {
            if (!keep)
            {
                plan.Aborted?.Clear();
                plan.File!.Release();
            }
        }
    }

    /// <summary>
    /// Leaves out the transactions that begin after the slice. Otherwise a reader far behind would get many of them with every read.
    /// </summary>
    private static void RemoveFrom(long upperBound, List<AbortedTransaction>? aborted)
    {
        for (var i = (aborted?.Count ?? 0) - 1; i >= 0; i--)
        {
            if (aborted![i].FirstOffset >= upperBound)
                aborted.RemoveAt(i);
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
                using (_lock.EnterScope())
                {
                    ThrowIfOffline();
                    startOffset = exact ? 0 : _logStartOffset;
                    var index = _segments.FindIndex(segment => segment.BaseOffset >= segmentFrom
                        && segment.MaxTimestamp.TimestampMs >= timestampMs);
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

                var found = SearchSegment(plan, timestampMs, exact, startOffset, Config.MaxDecompressedMessageBytes);
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

    private static TimestampOffset SearchSegment(in ReadPlan plan, long timestampMs, bool exact, long startOffset, int recordSizeBytesMax)
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
                var found = SearchBatch(file, walker.Position, (int)(walker.NextPosition - walker.Position), timestampMs, exact,
                    startOffset, recordSizeBytesMax);
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

    private static TimestampOffset SearchBatch(
        IFile file, long position, int size, long timestampMs, bool exact, long startOffset, int recordSizeBytesMax)
    {
        var bytes = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            file.ReadExactly(position, bytes.AsSpan(0, size));
            using var reader = new RecordReader(bytes.AsMemory(0, size), outlineSizeBytesMax: recordSizeBytesMax);
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

    /// <summary>The plan of a read, made under the lock.</summary>
    private struct ReadPlan
    {
        /// <summary>Where to read; null when there is nothing to read.</summary>
        public LogSegment? Segment;

        /// <summary>The segment's file, held for the read.</summary>
        public SharedFile? File;

        /// <summary>For READ_COMMITTED: the aborted transactions that the slice may have records of; null when there are none.</summary>
        public List<AbortedTransaction>? Aborted;

        /// <summary>The valid bytes of the segment.</summary>
        public long Length;

        /// <summary>The first batch; null when it is to be looked for.</summary>
        public BatchPlace? First;

        /// <summary>Where the batches below the bound end; -1 when that is to be looked for.</summary>
        public long End;

        /// <summary>Where to look for the first batch.</summary>
        public long SearchFrom;

        /// <summary>Where to look for the bound, if it is to be looked for.</summary>
        public long EndSearchFrom;

        /// <summary>A batch boundary that surely is within the wanted size.</summary>
        public long SizeSearchFrom;

        /// <summary>No batch with this offset or a later one.</summary>
        public long Bound;

        /// <summary>Where the next segment starts, or long.MaxValue.</summary>
        public long NextBaseOffset;
    }
}
