using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

public sealed partial class LogManager
{
    /// <summary>The delay before the next try to remove a directory.</summary>
    private const long RemovalRetryMsMin = 60_000;

    private Instant _nextRetention;
    private Instant _nextTimedFlush;
    private Instant _nextRecoveryPoints;
    private Instant _nextLogStartOffsets;
    private Instant _nextHighWatermarks;
    private Instant _nextIdleRelease;

    /// <summary>
    /// Runs the upkeep that is due: flushes, checkpoints, retention, removal of deleted files. Called about every second; a call
    /// returns at once while another one works.
    /// </summary>
    /// <param name="now">The current time.</param>
    public void Tick(Instant now)
    {
        if (!_upkeepLock.TryEnter())
            return;
        try
        {
            if (Volatile.Read(ref _isClosed))
                return;
            var entries = _logs.Values.ToList();
            WriteTopicIds(entries);

            var isTimed = IsDue(ref _nextTimedFlush, now, _options.TimedFlushCheckIntervalMs);
            ForEachLog(entries.Where(entry => entry.Log.NeedsFlush(now, isTimed)), log => log.Flush(log.FlushTarget(now, isTimed)));
            if (IsDue(ref _nextRetention, now, _options.RetentionCheckIntervalMs))
                // The cleaner applies retention to compacted logs.
                ForEachLog(entries.Where(entry => !entry.Log.Config.Compact), log => log.DeleteOldSegments(now));
            ForEachLog(entries.Where(entry => entry.Log.HasDeletedSegments), log => log.UnlinkDeletedSegments(now));
            if (IsDue(ref _nextIdleRelease, now, _options.IdleReleaseIntervalMs))
                ForEachLog(entries, log => log.ReleaseIdle(now));
            foreach (var directory in _directories.Where(directory => directory.IsFull && !directory.IsOffline))
                MakeRoom(directory, now);
            Checkpoint(now);
            RemoveDeletedDirectories(now);
        }
        finally
        {
            _upkeepLock.Exit();
        }
    }

    /// <summary>Writes all checkpoint files now.</summary>
    public void WriteCheckpoints()
    {
        using (_upkeepLock.EnterScope())
        {
            foreach (var directory in _directories)
            {
                TryRun(directory, () => WriteCheckpoints(directory));
            }
        }
    }

    private void WriteCheckpoints(LogDirectory directory)
    {
        WriteRecoveryPoints(directory);
        WriteLogStartOffsets(directory);
        WriteHighWatermarks(directory);
    }

    private static bool IsDue(ref Instant next, Instant now, long intervalMs)
    {
        if (now < next)
            return false;
        next = now.AddMilliseconds(intervalMs >= 0 ? intervalMs : long.MaxValue); // Kafka's scheduler takes a negative period for "once"
        return true;
    }

    /// <summary>Applies retention to one log now.</summary>
    internal void DeleteOldSegments(PartitionLog log) =>
        ForEachLog(_logs.TryGetValue(log.Partition, out var entry) ? [entry] : [], one => one.DeleteOldSegments(Instant.Now(_time)));

    private void ForEachLog(IEnumerable<Entry> entries, Action<PartitionLog> work)
    {
        foreach (var entry in entries)
        {
            TryRun(entry.Directory, () =>
            {
                // A log may have been deleted since the list was made.
                try
                {
                    if (!entry.Log.IsClosed && !entry.Log.IsOffline)
                        work(entry.Log);
                }
                catch (Exception failure) when (IsDiskFailure(failure) && entry.Log.IsClosed)
                {
                    LogVanished(_logger, entry.Log.Directory);
                }
            });
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "The log {Directory} was closed during its upkeep")]
    private static partial void LogVanished(ILogger logger, string directory);

    /// <summary>
    /// On a full disk: applies retention at once, frees reserved space, and tests with a write whether there is space again.
    /// </summary>
    private void MakeRoom(LogDirectory directory, Instant now)
    {
        var entries = _logs.Values.Where(entry => entry.Directory == directory).ToList();
        ForEachLog(entries, log => log.GiveBackReserve());
        ForEachLog(entries.Where(entry => !Cleaner.IsCleaning(entry.Log.Partition)), log => log.DeleteOldSegments(now));
        if (TryRun(directory, () => WriteRecoveryPoints(directory)) && directory.MarkRoom())
            LogRoom(_logger, directory.Path);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The disk of {Directory} has space again; its logs accept appends")]
    private static partial void LogRoom(ILogger logger, string directory);

    private void Checkpoint(Instant now)
    {
        var recoveryPoints = IsDue(ref _nextRecoveryPoints, now, _options.RecoveryPointCheckpointIntervalMs);
        var logStartOffsets = IsDue(ref _nextLogStartOffsets, now, _options.LogStartOffsetCheckpointIntervalMs);
        var highWatermarks = IsDue(ref _nextHighWatermarks, now, _options.HighWatermarkCheckpointIntervalMs);
        foreach (var directory in _directories)
        {
            TryRun(directory, () =>
            {
                if (recoveryPoints)
                    WriteRecoveryPoints(directory);
                if (logStartOffsets)
                    WriteLogStartOffsets(directory);
                if (highWatermarks)
                    WriteHighWatermarks(directory);
            });
        }
    }

    private void RemoveDeletedDirectories(Instant now)
    {
        List<(LogDirectory Directory, string Path, Instant DeleteAt)> due;
        using (_lock.EnterScope())
        {
            due = [.. _deletedDirectories.Where(deleted => deleted.DeleteAt <= now)];
            _deletedDirectories.RemoveAll(deleted => deleted.DeleteAt <= now);
        }

        foreach (var deleted in due.Where(deleted => !deleted.Directory.IsOffline))
        {
            try
            {
                _fileSystem.DeleteDirectory(deleted.Path);
            }
            catch (Exception failure) when (IsDiskFailure(failure))
            {
                // A failure here must not take the directory offline: the deleted files stay until a later try removes them.
                LogNotRemoved(_logger, failure, deleted.Path);
                using (_lock.EnterScope())
                    _deletedDirectories.Add(
                        deleted with { DeleteAt = now.AddMilliseconds(Math.Max(_options.DeleteDelayMs, RemovalRetryMsMin)) });
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The broker cannot remove {Path}, which belongs to a deleted log. It tries again")]
    private static partial void LogNotRemoved(ILogger logger, Exception failure, string path);

    private void WriteRecoveryPointsOf(PartitionLog log)
    {
        if (FindDirectory(log.Partition) is not { } directory)
            return;
        TryRun(directory, () => WriteRecoveryPoints(directory));
    }

    private void WriteRecoveryPoints(LogDirectory directory) =>
        Write(directory, directory.RecoveryPoints, LogsIn(directory), log => log.RecoveryPoint);

    private void WriteLogStartOffsets(LogDirectory directory) =>
        Write(
            directory, directory.LogStartOffsets, LogsIn(directory).Where(log => log.LogStartOffset > log.FirstSegmentOffset),
            log => log.LogStartOffset);

    private void WriteHighWatermarks(LogDirectory directory) =>
        Write(directory, directory.HighWatermarks, LogsIn(directory), log => log.HighWatermark);

    private static void Write(
        LogDirectory directory, OffsetCheckpointFile file, IEnumerable<PartitionLog> logs, Func<PartitionLog, long> offsetOf)
    {
        using (directory.CheckpointLock.EnterScope())
            file.Write([.. logs.Select(log => KeyValuePair.Create(log.Partition, offsetOf(log)))]);
    }

    /// <summary>Evaluated during enumeration, so that a checkpoint never holds older values than the checkpoint before it.</summary>
    private IEnumerable<PartitionLog> LogsIn(LogDirectory directory) =>
        _logs.Values.Where(entry => entry.Directory == directory).Select(entry => entry.Log);
}
