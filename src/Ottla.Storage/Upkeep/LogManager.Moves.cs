using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <content>Moves of logs between directories.</content>
public sealed partial class LogManager
{
    /// <summary>The most directories remembered for logs that do not exist yet.</summary>
    internal const int WishesMax = 10_000;

    /// <summary>The requested directories of logs that do not exist yet; guarded by <see cref="_lock"/>.</summary>
    private readonly Dictionary<TopicPartition, string> _wishes = [];

    /// <summary>Moves logs to other directories while its RunAsync runs.</summary>
    public LogMover Mover { get; }

    /// <summary>Grows when a log changes its directory or a directory goes offline.</summary>
    public int PlacementVersion => Volatile.Read(ref _placementVersion);

    /// <summary>
    /// Starts the move of a log to another directory and cancels its move to any other. A log that does not exist yet is created
    /// there later, unless the process restarts first.
    /// </summary>
    /// <param name="partition">The partition.</param>
    /// <param name="directoryPath">The log directory.</param>
    /// <exception cref="LogException">
    /// LOG_DIR_NOT_FOUND, KAFKA_STORAGE_ERROR (a directory is offline), INVALID_REPLICA_ASSIGNMENT (it is cordoned),
    /// REPLICA_NOT_AVAILABLE (there is no such log).
    /// </exception>
    public void Move(TopicPartition partition, string directoryPath)
    {
        using (_lock.EnterScope())
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            var target = _directories.Find(directory => directory.Path == directoryPath && directory.Path != _options.MetadataOnlyDirectory)
                ?? throw new LogException(ErrorCode.LogDirNotFound, $"{directoryPath} is not in log.dirs.");
            if (target.IsOffline)
                throw new LogException(ErrorCode.KafkaStorageError, $"The log directory {target} is offline.");
            if (IsCordoned(target))
                throw new LogException(ErrorCode.InvalidReplicaAssignment, $"The log directory {target} is cordoned (cordoned.log.dirs).");
            if (Mover.Find(partition) is { } move && move.Target != target)
                CancelMove(move);
            if (!_logs.TryGetValue(partition, out var entry))
            {
                if (_wishes.Count < WishesMax || _wishes.ContainsKey(partition))
                    _wishes[partition] = directoryPath;
                throw new LogException(ErrorCode.ReplicaNotAvailable, $"This broker has no log of {partition}.");
            }

            if (entry.Log.IsOffline)
                throw new LogException(ErrorCode.KafkaStorageError, $"The log of {partition} is offline.");
            if (entry.Directory == target || Mover.IsMoving(partition))
                return;
            // An offline directory may hold an earlier copy of the log.
            if (_directories.Any(directory => directory.IsOffline))
                throw new LogException(ErrorCode.KafkaStorageError, "A log directory is offline; logs do not move until all are online.");
            var path = Path.Combine(target.Path, LogFileNames.FutureDirectory(partition, Uuid.NewRandom(_random)));
            var copy = OpenNew(target, path, partition);
            if (entry.Log.TopicId is { } topicId)
                copy.AssignTopicId(topicId);
            Mover.Add(new LogMove(entry.Log, copy, target));
            entry.Log.AbortCleaning(); // the copy replaces the log, so compacting it now would be for nothing
        }
    }

    /// <summary>Cancels a move that cannot succeed; the log stays in its directory.</summary>
    internal void Abandon(LogMove move)
    {
        using (_lock.EnterScope())
            TryRun(move.Target, () => CancelMove(move));
    }

    /// <summary>Lets a log take over its copy.</summary>
    /// <returns>False when the caller must try again.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    internal bool Finish(LogMove move)
    {
        using (_lock.EnterScope())
        {
            var partition = move.Log.Partition;
            if (_isClosed || !_logs.TryGetValue(partition, out var entry) || entry.Log != move.Log || Mover.Find(partition) != move)
                return true; // deleted, or given up, in the meantime
            var source = entry.Directory;
            var deleted = Path.Combine(source.Path, LogFileNames.ReplacedBy(Path.GetFileName(move.Copy.Directory)));
            if (!move.Log.TryTakeOver(move.Copy, move.Truncations, Path.Combine(move.Target.Path, partition.ToString()), deleted))
                return true;
            Mover.Remove(move);
            entry.Directory = move.Target;
            _deletedDirectories.Add((source, deleted, Instant.Now(_time).AddMilliseconds(_options.DeleteDelayMs)));
            Cleaner.OnMoved(partition, source, move.Target);
            NotePlacement();
            LogMoved(_logger, partition, source.Path, move.Target.Path);
        }

        using (_upkeepLock.EnterScope())
        {
            TryRun(move.Target, () =>
            {
                WriteRecoveryPoints(move.Target);
                WriteLogStartOffsets(move.Target);
                WriteHighWatermarks(move.Target);
            });
        }

        return true;
    }

    /// <summary>Finishes moves that a crash interrupted after the copy was complete and the old log was renamed.</summary>
    /// <returns>The directories whose checkpoints lack these logs.</returns>
    private HashSet<LogDirectory> FinishTakeOvers(
        List<(LogDirectory Directory, TopicPartition Partition, LogOpenOptions Options)> partitions,
        List<(LogDirectory Directory, TopicPartition Partition, string Path)> copies)
    {
        var targets = new HashSet<LogDirectory>();
        foreach (var copy in copies.Where(copy => partitions.All(known => known.Partition != copy.Partition)).ToList())
        {
            var replaced = LogFileNames.ReplacedBy(Path.GetFileName(copy.Path));
            if (copy.Directory.IsOffline
                || _directories.Find(each => each != copy.Directory && !each.IsOffline
                    && _fileSystem.DirectoryExists(Path.Combine(each.Path, replaced))) is not { } source)
                continue;
            copies.Remove(copy);
            targets.Add(copy.Directory);
            RunOrFail(copy.Directory, () =>
            {
                _fileSystem.RenameDirectory(copy.Path, Path.Combine(copy.Directory.Path, copy.Partition.ToString()));
                _fileSystem.FlushDirectory(copy.Directory.Path);
                LogMoved(_logger, copy.Partition, source.Path, copy.Directory.Path);
                copy.Directory.StaleCheckpoints.Remove(copy.Partition);
                partitions.Add((copy.Directory, copy.Partition, OpenOptionsOf(copy.Directory) with
                {
                    JitterSeed = JitterSeedOf(copy.Partition),
                    LogStartOffset = Read(source, source.LogStartOffsets).GetValueOrDefault(copy.Partition),
                    HighWatermark = Read(source, source.HighWatermarks).GetValueOrDefault(copy.Partition),
                }));
            });
        }

        return targets;
    }

    /// <summary>Resumes the moves that the last process did not finish.</summary>
    private void ResumeMoves(IReadOnlyList<(LogDirectory Directory, TopicPartition Partition, string Path)> copies)
    {
        foreach (var (directory, partition, path) in copies)
        {
            if (directory.IsOffline)
                continue;
            if (_logs.TryGetValue(partition, out var entry) && entry.Directory != directory && !Mover.IsMoving(partition))
            {
                RunOrFail(directory, () => Mover.Add(new LogMove(
                    entry.Log,
                    PartitionLog.Open(
                        _fileSystem, path, partition, _options.ConfigFor(partition),
                        OpenOptionsOf(directory) with
                        {
                            JitterSeed = JitterSeedOf(partition),
                            HadCleanShutdown = directory.HadCleanShutdown,
                        },
                        _time, _logger),
                    directory)));
            }
            else if (_directories.All(each => !each.IsOffline))
            {
                LogLeftOver(_logger, path);
                RunOrFail(directory, () => _fileSystem.DeleteDirectory(path));
            }
        }
    }

    private void CancelMove(LogMove move)
    {
        if (!Mover.Remove(move))
            return;
        var path = Path.Combine(move.Target.Path, LogFileNames.DeletedDirectory(move.Log.Partition, Uuid.NewRandom(_random)));
        move.Copy.Delete(path);
        _deletedDirectories.Add((move.Target, path, Instant.Now(_time).AddMilliseconds(_options.DeleteDelayMs)));
    }

    /// <summary>Whether a directory gets no new logs, as <c>cordoned.log.dirs</c> says.</summary>
    public bool IsCordoned(LogDirectory directory) => _options.CordonedDirectories().Contains(directory.Path);

    private void NotePlacement()
    {
        Interlocked.Increment(ref _placementVersion);
        _options.OnPlacementChange?.Invoke();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Moved {Partition} from {Source} to {Target}")]
    private static partial void LogMoved(ILogger logger, TopicPartition partition, string source, string target);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Deleting {Path}: it is the copy of a log that this broker no longer has")]
    private static partial void LogLeftOver(ILogger logger, string path);
}
