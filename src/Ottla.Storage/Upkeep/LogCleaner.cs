using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Compaction;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <summary>Compacts the logs of a node whose <c>cleanup.policy</c> contains <c>compact</c>, the dirtiest log first.</summary>
/// <remarks>
/// Owned by a <see cref="LogManager"/>; the broker runs <see cref="RunAsync"/>. Thread-safe. The cleaner skips a corrupt log
/// until the next start. A full disk ends a compaction, which removes its files; the cleaner tries again later.
/// </remarks>
public sealed partial class LogCleaner
{
    /// <summary>The longest time before a change of <c>log.cleaner.backoff.ms</c> takes effect.</summary>
    private const long NapMs = 15_000;

    private readonly LogManager _logs;
    private readonly Func<CleanerOptions> _options;
    private readonly IFileSystem _fileSystem;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IoPace _pace;

    /// <summary>Held to choose a log, so that two workers never choose the same one.</summary>
    private readonly ScheduledLock _choiceLock = new();
    private readonly ConcurrentDictionary<TopicPartition, bool> _inProgress = [];
    private readonly ConcurrentDictionary<TopicPartition, bool> _uncleanable = [];

    internal LogCleaner(LogManager logs, Func<CleanerOptions> options, IFileSystem fileSystem, TimeProvider time, ILogger logger)
    {
        _logs = logs;
        _options = options;
        _fileSystem = fileSystem;
        _time = time;
        _logger = logger;
        _pace = new IoPace(time, () => _options().IoBytesPerSecondMax);
    }

    /// <summary>The partitions that the cleaner skips because compaction found their logs corrupt.</summary>
    public IReadOnlyCollection<TopicPartition> Uncleanable => [.. _uncleanable.Keys];

    /// <summary>Compacts dirty logs until it is stopped; <c>log.cleaner.threads</c> is the number of logs at a time.</summary>
    /// <returns>When <paramref name="stopping"/> is cancelled.</returns>
    public async Task RunAsync(CancellationToken stopping)
    {
        await Task.Yield(); // the caller does not wait for the first round
        var workers = new List<Task>();
        try
        {
            while (true)
            {
                for (var i = 0; i < _options().Threads; i++)
                {
                    if (i == workers.Count)
                        workers.Add(Task.CompletedTask);
                    if (!workers[i].IsCompleted)
                        continue;
                    await workers[i];
                    workers[i] = WorkAsync(i, stopping);
                }

                await BackOffAsync(stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            foreach (var worker in workers)
                await worker; // ends at its next chunk
        }
    }

    /// <summary>
    /// Sleeps for <c>log.cleaner.backoff.ms</c> in short steps, so that a change of the configuration takes effect soon.
    /// </summary>
    private async Task BackOffAsync(CancellationToken stopping)
    {
        var threads = _options().Threads;
        var began = _time.GetTimestamp();
        long remainingMs;
        while (_options().Threads == threads
            && (remainingMs = _options().BackoffMs - (long)_time.GetElapsedTime(began).TotalMilliseconds) > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(remainingMs, NapMs)), _time, CancellationToken.None)
                .UntilCanceled(stopping);
        await Task.Yield(); // with a backoff of 0, others get a turn
        stopping.ThrowIfCancellationRequested();
    }

    /// <summary>Compacts the dirtiest log that needs it, then applies retention to all compacted logs.</summary>
    /// <returns>False when there is none to compact, or it could not be compacted.</returns>
    public async Task<bool> CleanDirtiestAsync(CancellationToken stopping = default)
    {
        var isCleaned = await CompactDirtiestAsync(stopping);
        DeleteOldSegments();
        return isCleaned;
    }

    private async Task<bool> CompactDirtiestAsync(CancellationToken stopping)
    {
        var now = Instant.Now(_time);
        if (Choose(now) is not { } choice)
            return false;
        try
        {
            return await CleanAsync(choice, now, stopping);
        }
        finally
        {
            _inProgress.TryRemove(choice.Log.Partition, out _);
        }
    }

    /// <summary>Whether a log is being compacted. Retention then waits until the compaction ends.</summary>
    internal bool IsCleaning(TopicPartition partition) => _inProgress.ContainsKey(partition);

    /// <summary>Notes that a log was truncated: new records from there on are dirty.</summary>
    internal void OnTruncated(PartitionLog log)
    {
        if (_logs.FindDirectory(log.Partition) is { } directory && directory.Cleaned.Lower(log.Partition, log.ActiveSegmentOffset))
            _logs.TryRun(directory, () => WriteCheckpoint(directory));
    }

    /// <summary>Forgets logs that were deleted from a directory.</summary>
    internal void OnRemoved(IReadOnlyList<TopicPartition> partitions, LogDirectory directory)
    {
        var isKnown = false;
        foreach (var partition in partitions)
        {
            _uncleanable.TryRemove(partition, out _);
            isKnown |= directory.Cleaned.Remove(partition);
        }

        if (isKnown)
            _logs.TryRun(directory, () => WriteCheckpoint(directory));
    }

    /// <summary>Notes that a log moved to another directory.</summary>
    internal void OnMoved(TopicPartition partition, LogDirectory source, LogDirectory target)
    {
        if (source.Cleaned.Find(partition) is not { } offset)
            return;
        target.Cleaned.Set(partition, offset);
        source.Cleaned.Remove(partition);
        foreach (var directory in (LogDirectory[])[target, source])
            _logs.TryRun(directory, () => WriteCheckpoint(directory));
    }

    private async Task WorkAsync(int index, CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested && index < _options().Threads && await CleanDirtiestAsync(stopping))
        {
        }
    }

    /// <summary>Applies retention to the compacted logs after each search for a log to compact, as Kafka does.</summary>
    private void DeleteOldSegments()
    {
        foreach (var log in _logs.Logs.Where(IsCandidate))
        {
            if (!_inProgress.TryAdd(log.Partition, true))
                continue;
            try
            {
                _logs.DeleteOldSegments(log);
            }
            finally
            {
                _inProgress.TryRemove(log.Partition, out _);
            }
        }
    }

    /// <summary>Whether the cleaner may compact a log now.</summary>
    private bool IsCandidate(PartitionLog log) =>
        log.Config.Compact && !log.IsOffline && !log.IsClosed && !_uncleanable.ContainsKey(log.Partition) && !IsCleaning(log.Partition)
            && !_logs.Mover.IsMoving(log.Partition);

    private Choice? Choose(Instant now)
    {
        using (_choiceLock.EnterScope())
        {
            while (FindDirtiest(now) is { } dirtiest)
            {
                // Another worker's retention may have taken the log since it was chosen. That worker also removes the mark.
                if (_inProgress.TryAdd(dirtiest.Log.Partition, true))
                    return dirtiest;
            }

            return null;
        }
    }

    private Choice? FindDirtiest(Instant now)
    {
        Choice? dirtiest = null;
        foreach (var log in _logs.Logs)
        {
            if (!IsCandidate(log) || _logs.FindDirectory(log.Partition) is not { } directory)
                continue;
            if (Measure(log, directory, now) is { } section && section.IsDue(log.Config)
                && !(dirtiest?.Section.DirtyRatio >= section.DirtyRatio))
                dirtiest = new Choice(log, directory, section);
        }

        return dirtiest;
    }

    private DirtySection? Measure(PartitionLog log, LogDirectory directory, Instant now)
    {
        try
        {
            return log.MeasureDirt(directory.Cleaned.Find(log.Partition), now);
        }
        catch (LogException)
        {
            return null; // offline or closed: the reason is logged already
        }
        catch (Exception failure) when (failure is InvalidDataException or CorruptRecordException)
        {
            LeaveAlone(log, failure);
            return null;
        }
    }

    /// <returns>Whether it was compacted.</returns>
    private async Task<bool> CleanAsync(Choice choice, Instant now, CancellationToken stopping)
    {
        var (log, directory, section) = choice;
        try
        {
            if (!directory.Cleaned.IsWritten(log.Partition))
            {
                // From here on the log may have gaps between segments. The checkpoint tells recovery that they are not lost batches.
                log.NoteCleaning(log.CleaningGeneration, () => directory.Cleaned.Set(log.Partition, section.FirstDirtyOffset));
                WriteCheckpoint(directory);
            }

            var started = _time.GetTimestamp();
            var result = await new LogCompaction(_fileSystem, log, _options(), _pace, now).RunAsync(section, stopping);
            // Not if the log was truncated or deleted meanwhile: its new records, or those of a new log of its name, are dirty.
            log.NoteCleaning(result.Generation, () => directory.Cleaned.Set(log.Partition, result.EndOffset));
            WriteCheckpoint(directory);
            LogCompacted(
                _logger,
                log.Partition,
                section.FirstDirtyOffset,
                result.EndOffset,
                result.ReadBytes,
                result.WrittenBytes,
                result.RecordsRead,
                result.RecordsKept,
                _time.GetElapsedTime(started).TotalMilliseconds);
            if (result.RecordsWithoutKey > 0)
                LogWithoutKey(_logger, result.RecordsWithoutKey, log.Partition);
            if (result.BatchesNotExpanded > 0)
                LogNotExpanded(_logger, result.BatchesNotExpanded, log.Partition, log.Config.MaxDecompressedMessageBytes);
            return true;
        }
        catch (CleaningVoidException reason)
        {
            LogVoid(_logger, log.Partition, reason.Message);
        }
        catch (LogException failure) when (failure.ErrorCode == ErrorCode.KafkaStorageError)
        {
            LogVoid(_logger, log.Partition, failure.Message); // the log has taken its directory offline, or was closed
        }
        catch (Exception failure) when (log.IsClosed)
        {
            LogVoid(_logger, log.Partition, failure.Message); // the log is deleted, so its files may be missing
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            LogVoid(_logger, log.Partition, "the node stops");
        }
        catch (DiskFullException failure)
        {
            _logs.OnDiskFull(directory);
            LogVoid(_logger, log.Partition, failure.Message);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            _logs.FailDirectory(directory, failure);
        }
        catch (Exception failure)
        {
            // Corrupt data, a missing codec or a bug: another try would fail too. The other logs go on.
            LeaveAlone(log, failure);
        }

        return false;
    }

    private void LeaveAlone(PartitionLog log, Exception failure)
    {
        _uncleanable[log.Partition] = true;
        LogUncleanable(_logger, failure, log.Partition);
    }

    /// <summary>Writes <c>cleaner-offset-checkpoint</c> for the logs that are in a directory.</summary>
    private void WriteCheckpoint(LogDirectory directory) =>
        directory.Cleaned.Write(partition => _logs.FindDirectory(partition) == directory);

    private sealed record Choice(PartitionLog Log, LogDirectory Directory, DirtySection Section);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Compacted {Partition} from offset {FirstDirtyOffset} to {EndOffset}: {ReadBytes} bytes to {WrittenBytes}, "
            + "{RecordsRead} records to {RecordsKept}, in {ElapsedMs:F0} ms")]
    private static partial void LogCompacted(
        ILogger logger, TopicPartition partition, long firstDirtyOffset, long endOffset, long readBytes, long writtenBytes,
        long recordsRead, long recordsKept, double elapsedMs);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Compaction dropped {Count} records without a key from {Partition}. Producers must set a key on a compacted topic")]
    private static partial void LogWithoutKey(ILogger logger, long count, TopicPartition partition);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Compaction of {Partition} kept {Count} batches unchanged: their records expand past "
            + "max.decompressed.message.bytes ({MaxBytes}) or past the cleaner's own limit")]
    private static partial void LogNotExpanded(ILogger logger, long count, TopicPartition partition, int maxBytes);

    [LoggerMessage(Level = LogLevel.Information, Message = "Compaction of {Partition} stopped early: {Reason}")]
    private static partial void LogVoid(ILogger logger, TopicPartition partition, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Compaction of {Partition} failed. The cleaner skips this log until the broker restarts. Check it with 'ottla log "
            + "verify'")]
    private static partial void LogUncleanable(ILogger logger, Exception failure, TopicPartition partition);
}
