using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Text;
using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <summary>
/// Owns all logs of a node: opens the logs in the log directories, creates and deletes logs, and runs their upkeep on each
/// <see cref="Tick"/>.
/// </summary>
/// <remarks>
/// Thread-safe. The manager locks the directory of the metadata log too, but leaves the log alone: the Raft host opens it with
/// <see cref="PartitionLog.Open"/>. Lives from start to shutdown. <see cref="Close"/> shuts down cleanly; <see cref="Dispose"/>
/// alone leaves the disk as a crash would.
/// </remarks>
public sealed partial class LogManager : IDisposable
{
    /// <summary>The topic of the metadata log. This class ignores it.</summary>
    public const string MetadataTopic = "__cluster_metadata";

    /// <summary>Held to create or delete a log; finding a log takes no lock.</summary>
    private readonly ScheduledLock _lock = new();
    private readonly ScheduledLock _upkeepLock = new();
    private readonly LogManagerOptions _options;
    private readonly IFileSystem _fileSystem;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<TopicPartition, Entry> _logs;
    private readonly List<(LogDirectory Directory, string Path, Instant DeleteAt)> _deletedDirectories = [];
    private readonly List<LogDirectory> _directories = [];

    /// <summary>Gives unique names to deleted directories; guarded by <see cref="_lock"/>.</summary>
    private readonly Prng _random;

    private bool _isClosed;
    private int _placementVersion;

    private LogManager(LogManagerOptions options, IFileSystem fileSystem, TimeProvider time, ILogger logger)
    {
        _options = options;
        _fileSystem = fileSystem;
        _time = time;
        _logger = logger;
        _random = new Prng(options.Seed);
        _logs = new ConcurrentDictionary<TopicPartition, Entry>(new TopicPartitionComparer(options.Seed));
        var now = Instant.Now(time);
        _nextTimedFlush = now.AddMilliseconds(Math.Min(options.InitialTaskDelayMs, options.TimedFlushCheckIntervalMs));
        _nextRetention = _nextRecoveryPoints = _nextLogStartOffsets = now.AddMilliseconds(options.InitialTaskDelayMs);
        _nextHighWatermarks = now.AddMilliseconds(options.HighWatermarkCheckpointIntervalMs);
        _nextIdleRelease = now.AddMilliseconds(options.IdleReleaseIntervalMs);
        Cleaner = new LogCleaner(this, options.Cleaner, fileSystem, time, logger);
        Mover = new LogMover(this, options.MoveBytesPerSecondMax, time, logger);
    }

    /// <summary>Compacts the logs, once it is run.</summary>
    public LogCleaner Cleaner { get; }

    /// <summary>The log directories, also those that are offline.</summary>
    public IReadOnlyList<LogDirectory> Directories => _directories;

    /// <summary>
    /// Whether a directory may hold logs of partitions. The directory of the metadata log may only if it was in <c>log.dirs</c> before.
    /// </summary>
    public bool IsForPartitions(LogDirectory directory) => directory.Path != _options.MetadataOnlyDirectory || directory.LogCount > 0;

    /// <summary>All logs that are open.</summary>
    public IReadOnlyList<PartitionLog> Logs => [.. _logs.Values.Select(entry => entry.Log)];

    /// <summary>The broker epoch under which all directories were closed in order, or -1 (KIP-966).</summary>
    public long PreviousBrokerEpoch =>
        _directories.All(directory => directory.HadCleanShutdown && directory.PreviousBrokerEpoch == _directories[0].PreviousBrokerEpoch)
            ? _directories[0].PreviousBrokerEpoch
            : -1;

    /// <summary>Locks the log directories and opens every log in them. A directory that fails is offline; the others serve.</summary>
    /// <exception cref="LogDirectoryInUseException">Another process uses a directory.</exception>
    /// <exception cref="InvalidDataException">A partition has a log in two directories.</exception>
    /// <exception cref="IOException">Every directory failed.</exception>
    /// <exception cref="OperationCanceledException">The start was cancelled; the disk is as after a crash.</exception>
    public static LogManager Open(LogManagerOptions options, IFileSystem fileSystem, TimeProvider time, ILogger logger)
    {
        if (options.LogDirectories.Count == 0)
            throw new ArgumentException("log.dirs is empty.", nameof(options));
        var manager = new LogManager(options, fileSystem, time, logger);
        try
        {
            manager.OpenDirectories();
            if (manager._directories.All(directory => directory.IsOffline))
                throw new IOException(
                    "All log directories have failed: "
                    + $"{string.Join("; ", manager._directories.Select(directory => directory.Failure!.Message))}",
                    manager._directories[0].Failure);
            return manager;
        }
        catch
        {
            manager.Dispose();
            throw;
        }
    }

    /// <summary>The log of a partition, or null.</summary>
    public PartitionLog? Find(TopicPartition partition) => _logs.TryGetValue(partition, out var entry) ? entry.Log : null;

    /// <summary>The directory a log lives in, or null.</summary>
    public LogDirectory? FindDirectory(TopicPartition partition) => _logs.TryGetValue(partition, out var entry) ? entry.Directory : null;

    /// <summary>The log of a partition; creates an empty one if there is none.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="topicId">The topic's id, for <c>partition.metadata</c>.</param>
    /// <param name="directoryPath">
    /// The log directory for a new log. A directory named by <see cref="Move"/> wins; without either the directory with the
    /// fewest logs that is not cordoned.
    /// </param>
    /// <exception cref="LogException">INCONSISTENT_TOPIC_ID, KAFKA_STORAGE_ERROR.</exception>
    public PartitionLog GetOrCreate(TopicPartition partition, Uuid topicId, string? directoryPath = null)
    {
        using (_lock.EnterScope())
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            if (!_logs.TryGetValue(partition, out var entry))
            {
                ThrowIfUnopened(partition);
                ReportMissing(partition);
                entry = Create(partition, _wishes.GetValueOrDefault(partition) ?? directoryPath);
                _logs[partition] = entry;
                _wishes.Remove(partition);
                NotePlacement();
            }

            entry.Log.AssignTopicId(topicId);
            return entry.Log;
        }
    }

    /// <summary>
    /// Truncates the log of a follower, and writes the lower recovery point at once: after a power loss the rewritten part must be
    /// recovered.
    /// </summary>
    /// <remarks>See <see cref="PartitionLog.TruncateAsFollower"/>.</remarks>
    public FollowerTruncation Truncate(PartitionLog log, long offset, int leaderEpoch, long? expectedEnd = null)
    {
        var result = log.TruncateAsFollower(offset, leaderEpoch, expectedEnd);
        if (result == FollowerTruncation.Truncated)
            OnTruncated(log);
        return result;
    }

    /// <summary>Drops all records of a follower's log, and writes the new recovery point at once.</summary>
    /// <returns>False when the replica does not follow in this epoch any more: nothing was changed.</returns>
    /// <exception cref="LogException">KAFKA_STORAGE_ERROR.</exception>
    public bool TryTruncateFullyAndStartAt(PartitionLog log, long offset, int leaderEpoch)
    {
        if (!log.TryTruncateFullyAsFollower(offset, leaderEpoch))
            return false;
        OnTruncated(log);
        return true;
    }

    private void OnTruncated(PartitionLog log)
    {
        WriteRecoveryPointsOf(log);
        Cleaner.OnTruncated(log);
    }

    /// <summary>
    /// Shuts down cleanly: flushes and closes every log, writes the checkpoints and the clean-shutdown marker, and unlocks the directories.
    /// </summary>
    /// <param name="brokerEpoch">The epoch of the broker's registration, or -1.</param>
    /// <param name="parallelism"><c>num.recovery.threads.per.data.dir</c> as it is now; null for what it was at the start.</param>
    public void Close(long brokerEpoch = -1, int? parallelism = null)
    {
        List<Entry> entries;
        using (_lock.EnterScope())
        {
            if (_isClosed)
                return;
            _isClosed = true;
            entries = [.. _logs.Values];
        }

        try
        {
            using (_upkeepLock.EnterScope())
            {
                var unclean = new ConcurrentDictionary<LogDirectory, bool>();
                foreach (var move in Mover.Moves)
                    TryClose(move.Target, move.Copy.Close);
                var directories = entries.GroupBy(entry => entry.Directory).ToList();
                ForEach(directories, DirectoriesAtOnce(directories.Count), directory =>
                {
                    if (!CloseLogs(directory.Key, [.. directory], parallelism ?? _options.RecoveryParallelism))
                        unclean[directory.Key] = true;
                });
                // What the files of a directory say of logs that were not opened is as true as before.
                foreach (var directory in _directories.Where(each => _options.OpensLogs && !each.IsOffline && !unclean.ContainsKey(each)))
                {
                    TryClose(directory, () =>
                    {
                        WriteCheckpoints(directory);
                        directory.MarkClean(brokerEpoch);
                    });
                }
            }
        }
        finally
        {
            Unlock();
        }
    }

    /// <summary>As <see cref="TryRun"/>, but catches every exception, so that the other logs are closed too.</summary>
    private bool TryClose(LogDirectory directory, Action close)
    {
        try
        {
            return TryRun(directory, close);
        }
        catch (Exception failure)
        {
            LogCloseFailed(_logger, failure, directory.Path);
            return false;
        }
    }

    /// <summary>Unlocks the directories without closing the logs.</summary>
    public void Dispose()
    {
        using (_lock.EnterScope())
            _isClosed = true;
        Unlock();
    }

    private void Unlock()
    {
        foreach (var directory in _directories)
            directory.Unlock();
    }

    private void OpenDirectories()
    {
        var partitions = new List<(LogDirectory Directory, TopicPartition Partition, LogOpenOptions Options)>();
        var copies = new List<(LogDirectory Directory, TopicPartition Partition, string Path)>();
        foreach (var path in _options.LogDirectories)
        {
            var directory = new LogDirectory(_fileSystem, path);
            _directories.Add(directory);
            RunOrFail(directory, () =>
            {
                directory.Open(_options.OpensLogs);
                if (_options.OpensLogs && !directory.HadCleanShutdown)
                    _fileSystem.FlushDirectory(path); // makes the names of logs durable that the last process created and did not flush
                if (_options.OpensLogs)
                    FindLogs(directory, partitions, copies);
            });
        }

        var takenOver = FinishTakeOvers(partitions, copies);
        RefuseDuplicates(partitions);
        DeferFlushes(partitions);
        ForEach(
            partitions,
            found => found.Directory,
            _options.RecoveryParallelism,
            found => RunOrFail(found.Directory, () => OpenLog(found.Directory, found.Partition, found.Options)),
            _options.OpenCancellation);
        foreach (var directory in _directories)
        {
            RunOrFail(directory, () => FlushRecovered(directory));
            RunOrFail(directory, () => LowerRecoveryPoints(directory));
        }

        foreach (var directory in takenOver)
            RunOrFail(directory, () => WriteCheckpoints(directory));
        ResumeMoves(copies);
    }

    /// <summary>Refuses to start when a partition has two logs: only the operator can tell which is right.</summary>
    private static void RefuseDuplicates(IEnumerable<(LogDirectory Directory, TopicPartition Partition, LogOpenOptions Options)> partitions)
    {
        var found = new Dictionary<TopicPartition, LogDirectory>();
        foreach (var (directory, partition, _) in partitions)
        {
            if (found.TryAdd(partition, directory))
                continue;
            throw new InvalidDataException(
                $"Duplicate log directories for {partition} are found in both "
                    + $"{Path.Combine(found[partition].Path, partition.ToString())} and "
                    + $"{Path.Combine(directory.Path, partition.ToString())}. "
                    + "Compare their records with 'ottla log dump', move the one with fewer records out of log.dirs, and start again.");
        }
    }

    /// <summary>
    /// Lowers the recovery points that lie past the end of their log. Otherwise the next start after a crash trusts records that
    /// were never flushed.
    /// </summary>
    private void LowerRecoveryPoints(LogDirectory directory)
    {
        var known = Read(directory, directory.RecoveryPoints);
        if (LogsIn(directory).Any(log => known.GetValueOrDefault(log.Partition) > log.RecoveryPoint))
            WriteRecoveryPoints(directory);
    }

    private void FindLogs(
        LogDirectory directory,
        List<(LogDirectory Directory, TopicPartition Partition, LogOpenOptions Options)> partitions,
        List<(LogDirectory Directory, TopicPartition Partition, string Path)> copies)
    {
        var recoveryPoints = Read(directory, directory.RecoveryPoints);
        var logStartOffsets = Read(directory, directory.LogStartOffsets);
        var highWatermarks = Read(directory, directory.HighWatermarks);
        directory.StaleCheckpoints.UnionWith(recoveryPoints.Keys.Concat(logStartOffsets.Keys).Concat(highWatermarks.Keys));
        LoadCleanedOffsets(directory);
        var defaults = OpenOptionsOf(directory);
        var topic = "";
        foreach (var name in _fileSystem.ListDirectories(directory.Path))
        {
            var path = Path.Combine(directory.Path, name);
            if (name.EndsWith(LogFileNames.DeleteDirectorySuffix, StringComparison.Ordinal))
            {
                _deletedDirectories.Add((directory, path, Instant.Now(_time).AddMilliseconds(_options.DeleteDelayMs)));
            }
            else if (LogFileNames.TryParseFuture(name, out var moving))
            {
                copies.Add((directory, moving, path));
            }
            else if (!LogFileNames.TryParseDirectory(name, out var partition) || partition.Topic == MetadataTopic)
            {
                LogSkipped(_logger, name, directory.Path);
            }
            else
            {
                if (partition.Topic == topic)
                    // one string for the partitions of a topic, which are listed together
                    partition = new TopicPartition(topic, partition.Partition);
                topic = partition.Topic;
                directory.StaleCheckpoints.Remove(partition);
                partitions.Add((directory, partition, defaults with
                {
                    JitterSeed = JitterSeedOf(partition),
                    RecoveryPoint = recoveryPoints.GetValueOrDefault(partition),
                    LogStartOffset = logStartOffsets.GetValueOrDefault(partition),
                    HighWatermark = highWatermarks.GetValueOrDefault(partition),
                    HadCleanShutdown = directory.HadCleanShutdown,
                    Cancellation = _options.OpenCancellation,
                }));
            }
        }

        NoteMissing(directory, recoveryPoints, highWatermarks);
    }

    /// <summary>Differs between partitions; the same after every start.</summary>
    private ulong JitterSeedOf(TopicPartition partition) =>
        _options.Seed ^ XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(partition.ToString()));

    /// <summary>The options that all logs of a directory share.</summary>
    private LogOpenOptions OpenOptionsOf(LogDirectory directory) => new()
    {
        OnFailure = (log, failure) => FailDirectory(DirectoryOf(log) ?? directory, failure),
        OnDiskFull = (log, _) => OnDiskFull(DirectoryOf(log) ?? directory),
    };

    /// <summary>The directory of a log now; a move may have changed it.</summary>
    private LogDirectory? DirectoryOf(PartitionLog log) =>
        _logs.TryGetValue(log.Partition, out var entry) && entry.Log == log ? entry.Directory : null;

    /// <summary>
    /// Reads a checkpoint. A damaged file counts as empty, as in Kafka: logs are recovered from their beginning, and deleted
    /// records may be back.
    /// </summary>
    private Dictionary<TopicPartition, long> Read(LogDirectory directory, OffsetCheckpointFile checkpoint)
    {
        try
        {
            return checkpoint.Read();
        }
        catch (InvalidDataException failure)
        {
            LogCheckpointLost(_logger, failure, directory.Path);
            return [];
        }
    }

    private void LoadCleanedOffsets(LogDirectory directory)
    {
        try
        {
            directory.Cleaned.Load();
        }
        catch (InvalidDataException failure)
        {
            LogCleanedOffsetsLost(_logger, failure, directory.Path);
        }
    }

    private void OpenLog(LogDirectory directory, TopicPartition partition, LogOpenOptions options)
    {
        var path = Path.Combine(directory.Path, partition.ToString());
        try
        {
            var log = PartitionLog.Open(_fileSystem, path, partition, _options.ConfigFor(partition), options, _time, _logger);
            using (_lock.EnterScope())
                _logs[partition] = new Entry(log, directory);
        }
        catch (Exception failure) when (failure is InvalidDataException or Protocol.Batches.CorruptRecordException)
        {
            LeaveUnopened(directory, partition, failure);
        }
    }

    private Entry Create(TopicPartition partition, string? directoryPath)
    {
        var online = _directories.Where(directory => !directory.IsOffline && directory.Path != _options.MetadataOnlyDirectory
            && (directoryPath is null || directory.Path == directoryPath)).ToList();
        var candidates = online.Where(directory => directoryPath is not null || !IsCordoned(directory)).ToList();
        var directory = (candidates.Count > 1
                ? candidates.MinBy(candidate => candidate.LogCount)
                : candidates.FirstOrDefault() ?? online.FirstOrDefault())
            ?? throw new LogException(ErrorCode.KafkaStorageError, $"No log directory is online for {partition}.");
        return new Entry(OpenNew(directory, Path.Combine(directory.Path, partition.ToString()), partition), directory);
    }

    /// <summary>Creates an empty log.</summary>
    private PartitionLog OpenNew(LogDirectory directory, string path, TopicPartition partition)
    {
        try
        {
            if (directory.StaleCheckpoints.Count > 0)
            {
                WriteCheckpoints(directory);
                directory.StaleCheckpoints.Clear();
            }

            var options = OpenOptionsOf(directory) with { JitterSeed = JitterSeedOf(partition), HadCleanShutdown = true };
            return PartitionLog.Create(_fileSystem, path, partition, _options.ConfigFor(partition), options, _time, _logger);
        }
        catch (DiskFullException failure)
        {
            OnDiskFull(directory);
            _fileSystem.DeleteDirectory(path);
            throw new LogException(
                ErrorCode.KafkaStorageError, $"The disk of {directory} is full; the log of {partition} was not created.", failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            FailDirectory(directory, failure);
            throw new LogException(
                ErrorCode.KafkaStorageError, $"The log of {partition} was not created in {directory}: {failure.Message}", failure);
        }
    }

    internal void FailDirectory(LogDirectory directory, Exception failure)
    {
        if (!directory.Fail(failure))
            return;
        foreach (var entry in _logs.Values)
        {
            if (entry.Directory == directory)
                entry.Log.TakeOffline(failure); // the manager no longer flushes its logs, so they must not acknowledge writes
        }

        NotePlacement();
        LogDirectoryFailure(_logger, failure, directory.Path);
        _options.OnDirectoryFailure?.Invoke(directory, failure);
    }

    /// <summary>Runs work on a directory. A disk failure takes only that directory offline; a full disk leaves it online.</summary>
    /// <returns>Whether the work was done.</returns>
    internal bool TryRun(LogDirectory directory, Action work)
    {
        if (directory.IsOffline)
            return false;
        try
        {
            work();
            return true;
        }
        catch (Exception failure) when (failure is DiskFullException or LogException { IsDiskFull: true })
        {
            OnDiskFull(directory);
            return false;
        }
        catch (Exception failure) when (IsDiskFailure(failure))
        {
            FailDirectory(directory, failure);
            return false;
        }
    }

    /// <summary>As <see cref="TryRun"/>, for work that the directory cannot do without: a full disk takes it offline too.</summary>
    private void RunOrFail(LogDirectory directory, Action work)
    {
        if (directory.IsOffline)
            return;
        try
        {
            work();
        }
        catch (Exception failure) when (IsDiskFailure(failure))
        {
            FailDirectory(directory, failure);
        }
    }

    private static bool IsDiskFailure(Exception failure) => failure is IOException or UnauthorizedAccessException or InvalidDataException
        or LogException { ErrorCode: ErrorCode.KafkaStorageError } or Protocol.Batches.CorruptRecordException;

    internal void OnDiskFull(LogDirectory directory)
    {
        if (directory.MarkFull())
            LogDiskFull(_logger, directory.Path);
    }

    /// <summary>Works on all directories in parallel, because their disks are independent; unless that is not wanted.</summary>
    private void ForEach<T>(IEnumerable<T> items, Func<T, LogDirectory> directoryOf, int parallelismOfDirectory, Action<T> work,
        CancellationToken cancellation = default)
    {
        var directories = items.GroupBy(directoryOf).ToList();
        ForEach(directories, DirectoriesAtOnce(directories.Count),
            directory => ForEach([.. directory], parallelismOfDirectory, work, cancellation), cancellation);
    }

    private static void ForEach<T>(List<T> items, int parallelism, Action<T> work, CancellationToken cancellation = default)
    {
        if (parallelism > 1)
        {
            Parallel.ForEach(items, new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellation }, work);
            return;
        }

        foreach (var item in items)
        {
            cancellation.ThrowIfCancellationRequested();
            work(item);
        }
    }

    /// <summary>A log and its directory.</summary>
    private sealed class Entry
    {
        private volatile LogDirectory _directory;

        public Entry(PartitionLog log, LogDirectory directory)
        {
            Log = log;
            _directory = directory;
            directory.CountLogs(1);
        }

        public PartitionLog Log { get; }

        public LogDirectory Directory
        {
            get => _directory;
            set
            {
                _directory.CountLogs(-1);
                _directory = value;
                value.CountLogs(1);
            }
        }

        /// <summary>The log was removed from this node.</summary>
        public void Leave() => _directory.CountLogs(-1);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Ignored {Name} in {Directory}: it is not the log of a partition")]
    private static partial void LogSkipped(ILogger logger, string name, string directory);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "A checkpoint file of {Directory} cannot be read. The broker goes on without it: it recovers the logs from their "
            + "beginning, and deleted records may be back")]
    private static partial void LogCheckpointLost(ILogger logger, Exception failure, string directory);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The cleaner checkpoint of {Directory} cannot be read. The cleaner compacts its logs from their beginning")]
    private static partial void LogCleanedOffsetsLost(ILogger logger, Exception failure, string directory);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "There is no space left in {Directory}. Its logs serve reads but refuse appends. Free some space")]
    private static partial void LogDiskFull(ILogger logger, string directory);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "A log of {Directory} did not close cleanly. The next start recovers the directory")]
    private static partial void LogCloseFailed(ILogger logger, Exception failure, string directory);

    [LoggerMessage(Level = LogLevel.Error, Message = "The log directory {Directory} is offline. Check its disk, then restart the broker")]
    private static partial void LogDirectoryFailure(ILogger logger, Exception failure, string directory);
}
