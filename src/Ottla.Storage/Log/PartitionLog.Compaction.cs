using Ottla.Kernel;
using Ottla.Storage.Compaction;

namespace Ottla.Storage.Log;

/// <content>The log's part in compaction: finds dirty segments, holds their files, and replaces them by compacted ones.</content>
public sealed partial class PartitionLog
{
    /// <summary>
    /// Held for a step of a compaction, so that the directory keeps its name. Taken before the flush lock and the log's lock.
    /// </summary>
    private readonly ScheduledLock _compactionLock = new();

    /// <summary>Grows when anything but compaction cuts or removes segments.</summary>
    private int _cleaningGeneration;

    /// <summary>Grows when a compaction in progress must stop.</summary>
    internal int CleaningGeneration => Volatile.Read(ref _cleaningGeneration);

    /// <summary>
    /// The part of the log that compaction may work on: whole inactive segments below the last stable offset, older than
    /// <c>min.compaction.lag.ms</c>.
    /// </summary>
    /// <param name="cleanedTo">The end of the last compaction; an offset outside the log is ignored.</param>
    /// <param name="now">For the ages of segments.</param>
    internal DirtySection MeasureDirt(long? cleanedTo, Instant now)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                var firstDirty = cleanedTo is { } offset && offset >= _logStartOffset && offset <= _logEndOffset ? offset : _logStartOffset;
                var from = Math.Max(FloorSegment(firstDirty), 0);
                var active = _segments.Count - 1;
                var bound = Math.Min(LastStableOffset, Active.BaseOffset);
                if (_config.MinCompactionLagMs > 0)
                {
                    var young = _segments.FindIndex(from, active - from, segment =>
                        segment.RetentionTimestampMs > now.UnixMilliseconds - _config.MinCompactionLagMs);
                    if (young >= 0)
                        bound = Math.Min(bound, _segments[young].BaseOffset);
                }

                var end = Math.Max(FloorSegment(Math.Max(bound, firstDirty)), 0);
                long dirtyBytes = 0;
                for (var i = from; i < end; i++)
                    dirtyBytes += _segments[i].Size;
                long cleanBytes = 0;
                for (var i = 0; i <= active && _segments[i].BaseOffset < firstDirty; i++)
                    cleanBytes += _segments[i].Size;
                return new DirtySection(firstDirty, _segments[end].BaseOffset, cleanBytes, dirtyBytes, IsOverdue(from, active, now));
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
        }
    }

    /// <summary>Takes the state of the log at the start of a compaction.</summary>
    /// <param name="endOffset">Only segments that end here or before.</param>
    internal CleaningSource BeginCleaning(long endOffset)
    {
        using (_lock.EnterScope())
        {
            ThrowIfOffline();
            try
            {
                var segments = new List<SourceSegment>();
                for (var i = 0; i + 1 < _segments.Count && _segments[i].BaseOffset < endOffset; i++)
                    segments.Add(new SourceSegment(
                        _segments[i], _segments[i].BaseOffset, _segments[i + 1].BaseOffset, _segments[i].Size, _segments[i].IndexBytes,
                        _segments[i].LastWriteMs));
                return new CleaningSource(_cleaningGeneration, _config, segments, _producers.LastRecords(), _highWatermark);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }
        }
    }

    /// <summary>Stops a compaction in progress at its next step.</summary>
    internal void AbortCleaning()
    {
        using (_lock.EnterScope())
            _cleaningGeneration++;
    }

    /// <summary>Runs a step of a compaction that uses file names; the directory keeps its name meanwhile.</summary>
    /// <exception cref="CleaningVoidException">Nothing was done: the compaction has become pointless.</exception>
    internal void InCleaning(int generation, Action step)
    {
        using (_compactionLock.EnterScope())
        {
            ThrowIfVoid(generation);
            step();
        }
    }

    /// <summary>Runs a step of a compaction under the log's lock.</summary>
    /// <exception cref="CleaningVoidException">Nothing was done: the compaction has become pointless.</exception>
    internal void NoteCleaning(int generation, Action note)
    {
        using (_lock.EnterScope())
        {
            ThrowIfVoid(generation);
            note();
        }
    }

    /// <summary>Removes the files of a compaction that stopped. If the directory is deleted or moved, they go with it.</summary>
    internal void DiscardCleaned(CleanedSegments cleaned)
    {
        using (_compactionLock.EnterScope())
        {
            if (IsRetired || Directory != cleaned.Directory)
                cleaned.Abandon();
            else
                cleaned.Discard();
        }
    }

    /// <summary>Holds the file of a segment for compaction, which releases it.</summary>
    /// <exception cref="CleaningVoidException">The log changed, and may have dropped the segment.</exception>
    internal SharedFile AcquireForCleaning(SourceSegment segment, int generation)
    {
        using (_lock.EnterScope())
        {
            ThrowIfVoid(generation);
            return segment.Segment.Acquire();
        }
    }

    /// <summary>Stops a compaction whose log has changed.</summary>
    /// <exception cref="CleaningVoidException">Segments were cut or removed since it began, or the log is closed, offline or
    /// about to move.</exception>
    internal void ThrowIfVoid(int generation)
    {
        if (IsClosed || IsOffline || Volatile.Read(ref _cleaningGeneration) != generation)
            throw new CleaningVoidException($"The log {Directory} changed while the cleaner compacted it.");
    }

    /// <summary>Replaces segments by compacted ones. Readers keep the old files until they are done.</summary>
    /// <remarks>
    /// A crash at any point leaves either the old segments or the new. The compacted files, named .cleaned and flushed, are
    /// renamed to .swap from the last to the first: while one is not, the loader drops them all. Then the old files go, and at
    /// last the suffix: from the first .swap on, the loader does what is left.
    /// </remarks>
    /// <param name="generation">The state the compaction started from.</param>
    /// <param name="replaced">The segments to replace, neighbours in the log.</param>
    /// <param name="cleaned">In the order of their offsets; the first begins where the replaced begin.</param>
    /// <param name="now">Old files are deleted <c>file.delete.delay.ms</c> later.</param>
    /// <exception cref="CleaningVoidException">Nothing was done: the log has changed.</exception>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR: the log is offline.</exception>
    internal void ReplaceSegments(int generation, IReadOnlyList<SourceSegment> replaced, IReadOnlyList<LogSegment> cleaned, Instant now)
    {
        using (_lock.EnterScope())
        {
            ThrowIfVoid(generation);
            var index = _segments.IndexOf(replaced[0].Segment);
            Invariant.Check(index >= 0 && _segments[index + replaced.Count - 1] == replaced[^1].Segment,
                "compacted segments are neighbours in their log");
            Invariant.Check(index + replaced.Count < _segments.Count, "the active segment is not compacted");
            try
            {
                for (var i = cleaned.Count - 1; i >= 0; i--)
                    cleaned[i].ChangeNameSuffix(LogFileNames.CleanedSuffix, LogFileNames.SwapSuffix);
                _fileSystem.FlushDirectory(Directory);
                TakeOut(index, replaced.Count, now);
                foreach (var segment in cleaned)
                    segment.ChangeNameSuffix(LogFileNames.SwapSuffix, "");
                _fileSystem.FlushDirectory(Directory);
                foreach (var old in replaced.Where(old => cleaned.All(segment => segment.BaseOffset != old.BaseOffset)))
                    _producers.DeleteSnapshot(old.BaseOffset);
            }
            catch (Exception failure) when (IsIoFailure(failure))
            {
                throw Fail(failure);
            }

            _segments.InsertRange(index, cleaned);
            Volatile.Write(ref _sizeInBytes, _sizeInBytes + cleaned.Sum(segment => segment.Size));
        }
    }

    private bool IsOverdue(int from, int to, Instant now)
    {
        if (_config.MaxCompactionLagMs == long.MaxValue)
            return false;
        var limitMs = now.UnixMilliseconds - Math.Max(_config.MaxCompactionLagMs, 0);
        for (var i = from; i < to; i++)
        {
            if (_segments[i].FirstBatchTimestampMs is var timestamp and > 0 && timestamp < limitMs)
                return true;
        }

        return false;
    }
}
