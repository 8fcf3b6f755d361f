using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <summary>The result of loading a log's directory.</summary>
internal sealed record LoadedLog(
    List<LogSegment> Segments, LeaderEpochCache Epochs, ProducerStateManager Producers, long LogStartOffset, long LogEndOffset,
    long RecoveryPoint, bool IsUnflushed = false, long? UnflushedGap = null, bool WasCut = false);

/// <summary>
/// Loads the files of a log and repairs them: finishes interrupted swaps of segments, and after a crash cuts off half-written batches.
/// </summary>
/// <remarks>Lives for one <see cref="PartitionLog.Open"/>, which alone uses the directory meanwhile.</remarks>
internal sealed partial class LogLoader(
    IFileSystem fileSystem, string directory, LogConfig config, LogOpenOptions options, Instant now, ILogger logger)
{
    private readonly List<LogSegment> _segments = [];
    private readonly LeaderEpochCache _epochs = new(fileSystem, directory);
    private bool _isDirectoryChanged;
    private long? _unflushedGap;
    private bool _wasCut;
    private bool _isEpochContradicted;
    private IReadOnlyList<string>? _names;

    /// <summary>The random number of a segment: the same after every start.</summary>
    public static ulong JitterOf(ulong seed, long baseOffset) => new Prng(seed ^ (ulong)baseOffset).NextUInt64();

    /// <summary>Brings producer state to <paramref name="lastOffset"/>: from the latest snapshot, replaying the log after it.</summary>
    public static void RebuildProducers(
        ProducerStateManager producers,
        List<LogSegment> segments,
        LogConfig config,
        long logStartOffset,
        long lastOffset,
        Instant now,
        bool hadCleanShutdown,
        bool sync = true)
    {
        // The last two segments get a snapshot, so that the next rebuild is short.
        HashSet<long> SnapshotsAt() => [.. segments.TakeLast(2).Select(segment => segment.BaseOffset)];
        if (producers.LatestSnapshotOffset is null && hadCleanShutdown && lastOffset > logStartOffset)
        {
            foreach (var offset in SnapshotsAt().Append(lastOffset).Where(offset => offset > logStartOffset))
            {
                producers.AdvanceTo(offset);
                producers.TakeSnapshot(sync);
            }

            return;
        }

        var wasEmptyAtEnd = producers.IsEmpty && producers.EndOffset >= lastOffset;
        producers.TruncateAndReload(logStartOffset, lastOffset, now);
        if (lastOffset > producers.EndOffset && !wasEmptyAtEnd)
            Replay(producers, segments, config, logStartOffset, lastOffset, SnapshotsAt(), sync);
        producers.AdvanceTo(lastOffset);
        producers.TakeSnapshot(sync);
    }

    /// <summary>
    /// The names of the files; read again after a file was created or removed. A start with ten thousand logs lists each
    /// directory once, not five times.
    /// </summary>
    private IReadOnlyList<string> Names => _names ??= fileSystem.ListFiles(directory);

    public LoadedLog Load()
    {
        FinishInterruptedWork();
        var hasEpochs = TryLoadEpochs() && !IsEpochFileMissing();
        LoadSegments(readsEpochs: !hasEpochs);
        if (!options.HadCleanShutdown)
        {
            DropUnflushedSnapshots();
            RecoverUnflushed();
        }

        var end = DropIfStartIsPastEnd();
        if (_isEpochContradicted && hasEpochs)
            ReadAllEpochs();
        if (_segments.Count == 0)
            _segments.Add(LogSegment.Create(fileSystem, directory, options.LogStartOffset,
                JitterOf(options.JitterSeed, options.LogStartOffset), now.UnixMilliseconds));

        var logEndOffset = end ?? _segments[^1].ReadNextOffset(config);
        // Everything is flushed: by the last process, or just now.
        var recoveryPoint = end is not null ? logEndOffset : Math.Min(options.RecoveryPoint, logEndOffset);
        if (_isDirectoryChanged && !options.DefersFlush)
            SettleRecovered();
        ReportLoss(logEndOffset);
        _epochs.TruncateFromEnd(logEndOffset);
        var logStartOffset = Math.Max(options.LogStartOffset, _segments[0].BaseOffset);
        _epochs.TruncateFromStart(options.LogStartOffset);
        var producers = new ProducerStateManager(fileSystem, directory, config, logger);
        producers.LoadSnapshotOffsets(Names);
        producers.RemoveStraySnapshots([.. _segments.Select(segment => segment.BaseOffset)]);
        // A log without snapshots that was closed cleanly has no producers. But a recovery deletes snapshots.
        RebuildProducers(
            producers, _segments, config, logStartOffset, logEndOffset, now, options.HadCleanShutdown && !_isDirectoryChanged,
            sync: !options.DefersFlush);
        foreach (var segment in _segments)
            segment.Abandon(); // closes the file: ten thousand idle logs must not cost a descriptor each
        return new LoadedLog(
            _segments, _epochs, producers, logStartOffset, logEndOffset, recoveryPoint,
            IsUnflushed: _isDirectoryChanged && options.DefersFlush, _unflushedGap, _wasCut);
    }

    private static void Replay(
        ProducerStateManager producers, List<LogSegment> segments, LogConfig config, long logStartOffset, long lastOffset,
        HashSet<long> snapshotAt, bool sync)
    {
        for (var i = 0; i < segments.Count; i++)
        {
            var segment = segments[i];
            var nextBaseOffset = i + 1 < segments.Count ? segments[i + 1].BaseOffset : long.MaxValue;
            if (nextBaseOffset <= producers.EndOffset || segment.BaseOffset >= lastOffset)
                continue;
            var startOffset = Math.Max(Math.Max(segment.BaseOffset, producers.EndOffset), logStartOffset);
            producers.AdvanceTo(startOffset);
            if (snapshotAt.Contains(segment.BaseOffset))
                producers.TakeSnapshot(sync);
            segment.ReadBatches(segment.LookupPosition(startOffset, config), bytes =>
            {
                var batch = new RecordBatchView(bytes);
                if (batch.LastOffset < startOffset || batch.LastOffset >= lastOffset)
                    return;
                if (producers.Apply(batch, out var completed))
                    producers.Complete(completed);
                producers.AdvanceTo(batch.NextOffset);
            });
        }
    }

    /// <summary>Deletes temporary files of compaction, deletion and checkpoints; completes the swaps whose new files are whole.</summary>
    private void FinishInterruptedWork()
    {
        var names = Names;
        var firstCleaned = long.MaxValue;
        foreach (var name in names)
        {
            if (name.EndsWith(LogFileNames.CleanedSuffix, StringComparison.Ordinal) && LogFileNames.TryParseOffset(name, out var offset))
                firstCleaned = Math.Min(firstCleaned, offset);
        }

        var swaps = new List<string>();
        foreach (var name in names)
        {
            if (name.EndsWith(FileSystemExtensions.TemporarySuffix, StringComparison.Ordinal))
                Delete(name); // of a checkpoint that was not replaced
            if (!LogFileNames.TryParseOffset(name, out var offset))
                continue;
            var isDeleted = name.EndsWith(LogFileNames.DeletedSuffix, StringComparison.Ordinal)
                && !name.EndsWith(LogFileNames.CheckpointDeletedSuffix, StringComparison.Ordinal);
            var isSwap = name.EndsWith(LogFileNames.SwapSuffix, StringComparison.Ordinal);
            // Swaps at or after an unfinished cleaned file are part of a split that did not complete.
            if (isDeleted || name.EndsWith(LogFileNames.CleanedSuffix, StringComparison.Ordinal) || (isSwap && offset >= firstCleaned))
                Delete(name);
            else if (isSwap)
                swaps.Add(name);
        }

        if (swaps.Count == 0)
            return;
        DropReplacedSegments(swaps);
        // A .log file is renamed before its indexes: if it is gone, the other files of the swap belong to segments in place.
        foreach (var name in swaps.OrderByDescending(IsSwapLog))
            fileSystem.Rename(PathOf(name), PathOf(name[..^LogFileNames.SwapSuffix.Length]));
        fileSystem.FlushDirectory(directory);
        _names = null;
    }

    private static bool IsSwapLog(string name) => name.EndsWith(LogFileNames.LogSuffix + LogFileNames.SwapSuffix, StringComparison.Ordinal);

    /// <summary>Removes the files of the segments that the swapped-in ones replace.</summary>
    private void DropReplacedSegments(List<string> swaps)
    {
        var from = long.MaxValue;
        var to = long.MinValue;
        foreach (var name in swaps.Where(IsSwapLog))
        {
            _ = LogFileNames.TryParseOffset(name, out var offset);
            from = Math.Min(from, offset);
            to = Math.Max(to, Math.Max(NextOffsetOf(PathOf(name), offset), offset + 1)); // one that is empty still replaces its namesake
        }

        foreach (var name in Names)
        {
            if (IsSegmentFile(name) && LogFileNames.TryParseOffset(name, out var offset) && offset >= from && offset < to)
                Delete(name);
        }
    }

    private long NextOffsetOf(string path, long baseOffset)
    {
        using var file = fileSystem.Open(path, FileOpenMode.ReadExisting);
        Span<byte> buffer = stackalloc byte[BatchWalker.BufferBytes];
        var walker = new BatchWalker(file, 0, file.Length, buffer);
        var next = baseOffset;
        while (walker.MoveToWhole())
            next = walker.Batch.NextOffset;
        return next;
    }

    private bool TryLoadEpochs()
    {
        try
        {
            _epochs.Load();
            return true;
        }
        catch (InvalidDataException failure)
        {
            LogEpochsLost(logger, failure, directory);
            return false;
        }
    }

    /// <param name="readsEpochs">Also makes the checkpoint of leader epochs anew from the batches.</param>
    private void LoadSegments(bool readsEpochs)
    {
        var names = Names;
        var logs = new SortedSet<long>();
        foreach (var name in names)
        {
            if (name.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal) && LogFileNames.TryParseOffset(name, out var offset))
                logs.Add(offset);
        }

        foreach (var name in names)
        {
            if (IsSegmentFile(name) && LogFileNames.TryParseOffset(name, out var offset) && !logs.Contains(offset))
                Delete(name); // an index without a log
        }

        foreach (var baseOffset in logs)
        {
            var length = fileSystem.GetLength(PathOf(LogFileNames.ForOffset(baseOffset, LogFileNames.LogSuffix)));
            var segment = new LogSegment(fileSystem, directory, baseOffset, length, JitterOf(options.JitterSeed, baseOffset),
                now.UnixMilliseconds);
            var recoversLater = !options.HadCleanShutdown && IsUnflushed(baseOffset, logs);
            if (!recoversLater && !HasIndexes(segment))
            {
                LogMissingIndex(logger, segment.LogPath);
                RecoverFlushed(segment, takesEpochs: readsEpochs);
            }
            else if (!recoversLater && readsEpochs)
            {
                segment.ReadBatches(0, bytes => TakeEpoch(new RecordBatchView(bytes), segment));
                _isDirectoryChanged = true;
            }

            _segments.Add(segment);
        }
    }

    /// <summary>
    /// Whether the segment has its indexes. The transaction index, small and mostly absent, must also be valid; the others are
    /// checked at first use.
    /// </summary>
    private bool HasIndexes(LogSegment segment) =>
        Has(segment.BaseOffset, LogFileNames.OffsetIndexSuffix) && Has(segment.BaseOffset, LogFileNames.TimeIndexSuffix)
        && (!Has(segment.BaseOffset, LogFileNames.TransactionIndexSuffix) || segment.Transactions.IsPlausible(segment.BaseOffset));

    /// <summary>Whether the segment holds the recovery point or lies after it.</summary>
    private bool IsUnflushed(long baseOffset, SortedSet<long> bases)
    {
        var following = bases.GetViewBetween(baseOffset + 1, long.MaxValue);
        return following.Count == 0 || following.Min > options.RecoveryPoint;
    }

    /// <summary>
    /// Deletes snapshots past the recovery point: they may be torn, or include truncated batches. Recovery reads those batches anyway.
    /// </summary>
    private void DropUnflushedSnapshots()
    {
        var producers = new ProducerStateManager(fileSystem, directory, config, logger);
        producers.LoadSnapshotOffsets(Names);
        if (producers.DeleteSnapshotsAfter(options.RecoveryPoint))
            _names = null;
    }

    private void RecoverUnflushed()
    {
        var bases = new SortedSet<long>(_segments.Select(segment => segment.BaseOffset));
        for (var i = 0; i < _segments.Count; i++)
        {
            options.Cancellation.ThrowIfCancellationRequested();
            var segment = _segments[i];
            if (!IsUnflushed(segment.BaseOffset, bases))
            {
                if (i + 1 < _segments.Count && _segments[i + 1].BaseOffset == options.RecoveryPoint)
                    ReindexFlushed(segment);
                continue;
            }

            if (segment.Size == 0 && i + 1 == _segments.Count)
            {
                segment.RecoverEmpty(); // of ten thousand logs most may be new
                continue;
            }

            var dropped = Recover(segment, takesEpochs: true, isFlushed: false);
            if (dropped > 0)
                ReportCut(segment, dropped);
            if (i + 1 == _segments.Count)
                continue;
            var hasGap = _segments[i + 1].BaseOffset > segment.ReadNextOffset(config);
            if (dropped == 0 && (!hasGap || options.MayHaveGaps))
            {
                if (hasGap)
                    _unflushedGap ??= segment.ReadNextOffset(config);
                continue;
            }

            _wasCut = true;
            LogDropped(logger, _segments.Count - i - 1, directory, _segments[i + 1].BaseOffset);
            foreach (var later in _segments.Skip(i + 1))
                Remove(later);
            _segments.RemoveRange(i + 1, _segments.Count - i - 1);
        }
    }

    /// <summary>
    /// Recovers a segment before the recovery point. Its index is removed first, so that a crash in between makes the next start
    /// recover it again.
    /// </summary>
    private void RecoverFlushed(LogSegment segment, bool takesEpochs)
    {
        Delete(LogFileNames.ForOffset(segment.BaseOffset, LogFileNames.OffsetIndexSuffix));
        fileSystem.FlushDirectory(directory);
        var dropped = Recover(segment, takesEpochs, isFlushed: true);
        if (dropped > 0)
            ReportCut(segment, dropped);
    }

    /// <summary>Logs how much was cut off a segment.</summary>
    private void ReportCut(LogSegment segment, long dropped)
    {
        _wasCut = true;
        LogTruncated(logger, dropped, segment.LogPath, segment.Size, segment.ReadNextOffset(config));
    }

    /// <summary>Logs an error when the log lost records that the checkpoints know of.</summary>
    private void ReportLoss(long logEndOffset)
    {
        var known = Math.Max(options.RecoveryPoint, options.HighWatermark);
        if (known > logEndOffset)
            LogLost(logger, directory, logEndOffset, known, known - logEndOffset);
    }

    /// <summary>Reads the leader epochs of all batches, because the checkpoint may be wrong about flushed ones too.</summary>
    private void ReadAllEpochs()
    {
        _epochs.BeginRecovery();
        foreach (var segment in _segments)
            segment.ReadBatches(0, bytes => TakeEpoch(new RecordBatchView(bytes), segment));
    }

    /// <summary>Takes the leader epochs from the batches, which win over the checkpoint.</summary>
    private void TakeEpoch(in RecordBatchView batch, LogSegment segment)
    {
        if (_epochs.Recover(batch.PartitionLeaderEpoch, batch.BaseOffset) || _isEpochContradicted)
            return;
        _isEpochContradicted = true; // one line a log
        LogEpochContradicted(logger, _epochs.Path, batch.PartitionLeaderEpoch, batch.BaseOffset, segment.LogPath);
    }

    /// <summary>
    /// Rebuilds the indexes of a segment that was flushed to its end while it was active: only its batches are durable.
    /// </summary>
    private void ReindexFlushed(LogSegment segment)
    {
        segment.RebuildIndexes(config);
        segment.Flush();
        _isDirectoryChanged = true;
    }

    /// <summary>
    /// Makes the recovered state durable: kept batches must not get lost, and cut ones must not come back among new ones.
    /// </summary>
    private void SettleRecovered()
    {
        fileSystem.FlushDirectory(directory);
        _epochs.Save();
    }

    /// <param name="segment">Which.</param>
    /// <param name="takesEpochs">Whether to take the leader epochs from the batches from here on. Otherwise the known ones stay.</param>
    /// <param name="isFlushed">Whether the segment lies before the recovery point, so that the next start would not recover it.</param>
    private long Recover(LogSegment segment, bool takesEpochs, bool isFlushed)
    {
        var producers = new ProducerStateManager(fileSystem, directory, config, logger);
        producers.LoadSnapshotOffsets(Names);
        var isDeferred = options.DefersFlush && !isFlushed;
        RebuildProducers(
            producers, _segments, config, options.LogStartOffset, segment.BaseOffset, now, hadCleanShutdown: false, sync: !isDeferred);
        var dropped = segment.Recover(config, bytes =>
        {
            var batch = new RecordBatchView(bytes);
            if (takesEpochs)
                TakeEpoch(batch, segment);
            if (producers.Apply(batch, out var completed))
            {
                if (completed.IsAborted)
                    segment.Transactions.Append(new AbortedTransaction(
                        completed.ProducerId, completed.FirstOffset, completed.LastOffset, producers.LastStableOffsetAt(completed)));
                producers.Complete(completed);
            }

            producers.AdvanceTo(batch.NextOffset);
        });
        producers.TakeSnapshot(sync: !isDeferred);
        if (isFlushed)
            segment.ReplaceIndexes();
        if (isDeferred)
            segment.WriteUnflushed();
        else
            segment.Flush();
        _isDirectoryChanged = true;
        _names = null;
        return dropped;
    }

    /// <summary>The end of the log; null when it lay before the log start offset and all segments were deleted.</summary>
    private long? DropIfStartIsPastEnd()
    {
        if (_segments.Count == 0)
            return null;
        var end = ReadEnd(_segments[^1]);
        if (end >= options.LogStartOffset)
            return end;
        LogStartPastEnd(logger, directory, options.LogStartOffset, end);
        foreach (var segment in _segments)
            Remove(segment);
        _segments.Clear();
        _epochs.Clear();
        foreach (var name in Names)
        {
            if (name.EndsWith(LogFileNames.ProducerSnapshotSuffix, StringComparison.Ordinal))
                Delete(name);
        }

        return null;
    }

    /// <summary>
    /// The end of the last segment. A segment damaged after a clean shutdown is cut to its valid part, so that the log can still be served.
    /// </summary>
    private long ReadEnd(LogSegment last)
    {
        try
        {
            return last.ReadNextOffset(config);
        }
        catch (CorruptRecordException)
        {
            RecoverFlushed(last, takesEpochs: true);
            return last.ReadNextOffset(config);
        }
    }

    private void Remove(LogSegment segment)
    {
        segment.DeleteFiles();
        Delete(LogFileNames.ForOffset(segment.BaseOffset, LogFileNames.ProducerSnapshotSuffix));
    }

    private void Delete(string name)
    {
        fileSystem.Delete(PathOf(name));
        _names = null;
    }

    private bool Has(long baseOffset, string suffix) => Names.Contains(LogFileNames.ForOffset(baseOffset, suffix));

    /// <summary>
    /// Whether the log has batches but no leader epoch checkpoint: the file was lost, or the log is older than such files.
    /// </summary>
    private bool IsEpochFileMissing() =>
        !Names.Contains(LogFileNames.LeaderEpochCheckpoint)
        && Names.Any(name => name.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal) && fileSystem.GetLength(PathOf(name)) > 0);

    private static bool IsSegmentFile(string name) =>
        name.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal)
        || name.EndsWith(LogFileNames.OffsetIndexSuffix, StringComparison.Ordinal)
        || name.EndsWith(LogFileNames.TimeIndexSuffix, StringComparison.Ordinal)
        || name.EndsWith(LogFileNames.TransactionIndexSuffix, StringComparison.Ordinal);

    private string PathOf(string name) => Path.Combine(directory, name);

    [LoggerMessage(Level = LogLevel.Warning, Message = "An index of segment {Path} is missing or damaged. The broker recovers the segment")]
    private static partial void LogMissingIndex(ILogger logger, string path);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The leader epoch checkpoint of {Directory} cannot be read. The broker rebuilds it from the batches")]
    private static partial void LogEpochsLost(ILogger logger, Exception failure, string directory);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Cut {Dropped} bytes without valid batches off the end of {Path}, which has {Length} bytes now. Records from "
            + "offset {NextOffset} on are lost, if there were any")]
    private static partial void LogTruncated(ILogger logger, long dropped, string path, long length, long nextOffset);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Deleted {Count} segments of {Directory} from offset {Offset} on, because records before them are lost")]
    private static partial void LogDropped(ILogger logger, int count, string directory, long offset);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "{Directory} ends at offset {LogEndOffset}, but its checkpoints record offset {Known}: {Lost} offsets are lost, "
            + "because files are missing, empty or cut. New records get these offsets again. To keep the old records, stop the "
            + "broker and restore the files from a backup")]
    private static partial void LogLost(ILogger logger, string directory, long logEndOffset, long known, long lost);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Checkpoint} contradicts the batches, which have leader epoch {Epoch} at offset {Offset} of {Path}. The broker "
            + "keeps the batches and rewrites the checkpoint")]
    private static partial void LogEpochContradicted(ILogger logger, string checkpoint, int epoch, long offset, string path);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Directory} ends at offset {LogEndOffset}, before its start offset {LogStartOffset}. The broker deletes all its "
            + "segments")]
    private static partial void LogStartPastEnd(ILogger logger, string directory, long logStartOffset, long logEndOffset);
}
