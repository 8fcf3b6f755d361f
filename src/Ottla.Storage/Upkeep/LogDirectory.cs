using Ottla.Kernel;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <summary>One log directory (an entry of <c>log.dirs</c>): its lock, its identity, its checkpoint files.</summary>
/// <remarks>Owned by a <see cref="LogManager"/> and lives as long. Thread-safe, except where a member says otherwise.</remarks>
public sealed class LogDirectory
{
    /// <summary>The file that is locked while a process uses the directory.</summary>
    public const string LockName = ".lock";

    private readonly IFileSystem _fileSystem;
    private IDisposable? _lock;
    private Exception? _failure;
    private bool _isFull;
    private bool _wasRefused;
    private int _logCount;

    internal LogDirectory(IFileSystem fileSystem, string path)
    {
        _fileSystem = fileSystem;
        Path = path;
        RecoveryPoints = new OffsetCheckpointFile(fileSystem, path, OffsetCheckpointFile.RecoveryPoint);
        LogStartOffsets = new OffsetCheckpointFile(fileSystem, path, OffsetCheckpointFile.LogStartOffset);
        HighWatermarks = new OffsetCheckpointFile(fileSystem, path, OffsetCheckpointFile.HighWatermark);
        Cleaned = new CleanedOffsets(new OffsetCheckpointFile(fileSystem, path, OffsetCheckpointFile.Cleaner));
    }

    /// <summary>Its absolute path.</summary>
    public string Path { get; }

    /// <summary>The content of <c>meta.properties</c>; null while the directory is not formatted.</summary>
    public MetaProperties? Properties { get; private set; }

    /// <summary>Whether the last process shut down cleanly.</summary>
    public bool HadCleanShutdown { get; private set; }

    /// <summary>The broker epoch of that process, or -1.</summary>
    public long PreviousBrokerEpoch { get; private set; } = -1;

    /// <summary>Why it is offline; null while it is not.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>Whether an I/O failure took it out of use.</summary>
    public bool IsOffline => Failure is not null;

    /// <summary>Whether its disk is full: its logs refuse appends until there is space again.</summary>
    public bool IsFull => Volatile.Read(ref _isFull);

    /// <summary>Size and free bytes of its volume.</summary>
    /// <exception cref="IOException">The volume cannot be asked.</exception>
    public DiskSpace Space => _fileSystem.GetSpace(Path);

    /// <summary>How many logs of the node are in it.</summary>
    internal int LogCount => Volatile.Read(ref _logCount);

    /// <summary>Held to write a checkpoint file. No other lock is taken under it.</summary>
    internal ScheduledLock CheckpointLock { get; } = new();

    /// <summary>
    /// Partitions without a log that still have lines in the checkpoint files. The lines must go before a new log of that name is
    /// created. Guarded by the manager's lock.
    /// </summary>
    internal HashSet<TopicPartition> StaleCheckpoints { get; } = [];

    internal OffsetCheckpointFile RecoveryPoints { get; }

    internal OffsetCheckpointFile LogStartOffsets { get; }

    internal OffsetCheckpointFile HighWatermarks { get; }

    internal CleanedOffsets Cleaned { get; }

    /// <summary>Writes <c>meta.properties</c>.</summary>
    public void Format(MetaProperties properties)
    {
        properties.Write(_fileSystem, Path);
        Properties = properties;
    }

    /// <summary>
    /// Locks the directory and reads how the last process left it. The clean-shutdown marker is gone afterwards, unless its logs are not
    /// opened.
    /// </summary>
    /// <exception cref="LogDirectoryInUseException">Another process has it.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    internal void Open(bool opensLogs)
    {
        _fileSystem.CreateDurableDirectory(Path);
        _lock = _fileSystem.TryLock(System.IO.Path.Combine(Path, LockName))
            ?? throw new LogDirectoryInUseException(
                $"Failed to acquire the lock of {Path}: another process or thread is using this directory.");
        Properties = MetaProperties.Read(_fileSystem, Path);
        HadCleanShutdown = CleanShutdownFile.Exists(_fileSystem, Path);
        PreviousBrokerEpoch = CleanShutdownFile.ReadBrokerEpoch(_fileSystem, Path) ?? -1;
        if (opensLogs)
            CleanShutdownFile.Delete(_fileSystem, Path);
    }

    /// <summary>Changes the number of logs.</summary>
    internal void CountLogs(int change) => Interlocked.Add(ref _logCount, change);

    /// <summary>Takes the directory offline.</summary>
    /// <returns>False when it already was.</returns>
    internal bool Fail(Exception failure) => Interlocked.CompareExchange(ref _failure, failure, null) is null;

    /// <summary>Notes that the disk refused a write for want of space.</summary>
    /// <returns>False when the directory was known to be full.</returns>
    internal bool MarkFull()
    {
        Volatile.Write(ref _wasRefused, true);
        return !Interlocked.Exchange(ref _isFull, true);
    }

    /// <summary>Notes that a write found space: the disk is no longer full, unless it refused another write meanwhile.</summary>
    /// <returns>Whether the directory was full until now.</returns>
    internal bool MarkRoom() => !Interlocked.Exchange(ref _wasRefused, false) && Interlocked.Exchange(ref _isFull, false);

    /// <summary>Writes the clean-shutdown marker.</summary>
    internal void MarkClean(long brokerEpoch) => CleanShutdownFile.Write(_fileSystem, Path, brokerEpoch);

    internal void Unlock()
    {
        _lock?.Dispose();
        _lock = null;
    }

    /// <inheritdoc/>
    public override string ToString() => Path;
}

/// <summary>Another process has locked a log directory: the node must not start.</summary>
public sealed class LogDirectoryInUseException(string message) : Exception(message);
