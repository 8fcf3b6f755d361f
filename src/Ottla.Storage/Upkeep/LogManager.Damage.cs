using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <content>
/// Damaged and missing logs. The broker does not serve them, logs an error before it replaces one, and serves all other logs.
/// </content>
public sealed partial class LogManager
{
    /// <summary>Logs that could not be opened, with their directory.</summary>
    private readonly ConcurrentDictionary<TopicPartition, (LogDirectory Directory, Exception Failure)> _unopened = [];

    /// <summary>Partitions that had lines in a checkpoint but no log at the start; guarded by <see cref="_lock"/>.</summary>
    private readonly Dictionary<TopicPartition, (string Directory, long Offset)> _missing = [];

    private void LeaveUnopened(LogDirectory directory, TopicPartition partition, Exception failure)
    {
        _unopened[partition] = (directory, failure);
        LogUnopened(_logger, failure, Path.Combine(directory.Path, partition.ToString()), partition);
    }

    private void ThrowIfUnopened(TopicPartition partition)
    {
        if (_unopened.TryGetValue(partition, out var unopened))
            throw new LogException(ErrorCode.KafkaStorageError,
                $"The broker cannot open the log of {partition} in {unopened.Directory}: {unopened.Failure.Message}", unopened.Failure);
    }

    /// <summary>Renames the directory of a log that could not be opened.</summary>
    private bool DeleteUnopened(TopicPartition partition)
    {
        if (!_unopened.TryRemove(partition, out var unopened))
            return false;
        TryRun(unopened.Directory, () =>
        {
            var path = Path.Combine(unopened.Directory.Path, LogFileNames.DeletedDirectory(partition, Uuid.NewRandom(_random)));
            _fileSystem.RenameDirectory(Path.Combine(unopened.Directory.Path, partition.ToString()), path);
            _fileSystem.FlushDirectory(unopened.Directory.Path);
            unopened.Directory.StaleCheckpoints.Add(partition);
            _deletedDirectories.Add((unopened.Directory, path, Instant.Now(_time).AddMilliseconds(_options.DeleteDelayMs)));
        });
        return true;
    }

    /// <summary>Finds the partitions that have lines in a directory's checkpoints but no log.</summary>
    private void NoteMissing(LogDirectory directory, IReadOnlyDictionary<TopicPartition, long> recoveryPoints,
        IReadOnlyDictionary<TopicPartition, long> highWatermarks)
    {
        foreach (var partition in directory.StaleCheckpoints)
        {
            var offset = Math.Max(recoveryPoints.GetValueOrDefault(partition), highWatermarks.GetValueOrDefault(partition));
            if (offset > 0 && partition.Topic != MetadataTopic)
                _missing[partition] = (directory.Path, offset);
        }
    }

    /// <summary>Logs an error when a log is created that should exist already.</summary>
    private void ReportMissing(TopicPartition partition)
    {
        if (_missing.Remove(partition, out var missing))
            LogMissing(_logger, Path.Combine(missing.Directory, partition.ToString()), missing.Offset);
    }

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The broker cannot open the log {Path}; clients of {Partition} get KAFKA_STORAGE_ERROR. Stop the broker, check the "
            + "log with 'ottla log verify', repair or replace its files, and start again")]
    private static partial void LogUnopened(ILogger logger, Exception failure, string path, TopicPartition partition);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "{Path} is missing, but the checkpoints of its log directory show records up to offset {Offset}. The broker creates "
            + "an empty log, and new records get these offsets again. To keep the old records, stop the broker and restore the "
            + "directory from a backup. If the topic was deleted and created again, nothing is lost")]
    private static partial void LogMissing(ILogger logger, string path, long offset);
}
