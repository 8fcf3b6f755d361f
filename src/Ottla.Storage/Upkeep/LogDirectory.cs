using Ottla.Kernel;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <summary>One of <c>log.dirs</c>: its lock, its identity, its checkpoint files.</summary>
/// <remarks>Owned by a <see cref="LogManager"/>; thread-safe but for what says otherwise.</remarks>
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

    /// <summary>What <c>meta.properties</c> says; null while the directory is not formatted.</summary>
    public MetaProperties? Properties { get; private set; }

    /// <summary>The last process closed it in order.</summary>
    public bool HadCleanShutdown { get; private set; }

    /// <summary>The broker epoch of that process, or -1.</summary>
    public long PreviousBrokerEpoch { get; private set; } = -1;

    /// <summary>Why it is offline; null while it is not.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>Whether an I/O failure took it out of use.</summary>
    public bool IsOffline => Failure is not null;

    /// <summary>Its disk is full: appends to its logs are refused until there is room again.</summary>
    public bool IsFull => Volatile.Read(ref _isFull);

    /// <summary>Size and free bytes of its volume.</summary>
    /// <exception cref="IOException">The volume cannot be asked.</exception>
    public DiskSpace Space => _fileSystem.GetSpace(Path);

    /// <summary>How many logs of the node are in it.</summary>
    internal int LogCount => Volatile.Read(ref _logCount);

    /// <summary>Keeps writers of the checkpoint files apart; nothing else is locked under it.</summary>
    internal ScheduledLock CheckpointLock { get; } = new();

    /// <summary>
    /// Partitions that have lines in the checkpoint files and no log any more: the lines must be gone before another log of that
    /// name is made. The manager's lock guards it.
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

    /// <summary>Locks the directory and reads how the last process left it. The clean-shutdown marker is gone afterwards.</summary>
    /// <exception cref="LogDirectoryInUseException">Another process has it.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    internal void Open()
    {
        _fileSystem.CreateDurableDirectory(Path);
        _lock = _fileSystem.TryLock(System.IO.Path.Combine(Path, LockName))
            ?? throw new LogDirectoryInUseException(
                $"Failed to acquire the lock of {Path}: another process or thread is using this directory.");
        Properties = MetaProperties.Read(_fileSystem, Path);
        HadCleanShutdown = CleanShutdownFile.Exists(_fileSystem, Path);
        PreviousBrokerEpoch = CleanShutdownFile.ReadBrokerEpoch(_fileSystem, Path) ?? -1;
        CleanShutdownFile.Delete(_fileSystem, Path);
    }

    /// <summary>Logs came, or went.</summary>
    internal void CountLogs(int change) => Interlocked.Add(ref _logCount, change);

    /// <summary>Takes it out of use.</summary>
    /// <returns>False when it already was.</returns>
    internal bool Fail(Exception failure) => Interlocked.CompareExchange(ref _failure, failure, null) is null;

    /// <summary>Something found no room.</summary>
    /// <returns>False when that is no news.</returns>
    internal bool MarkFull()
    {
        Volatile.Write(ref _wasRefused, true);
        return !Interlocked.Exchange(ref _isFull, true);
    }

    /// <summary>
    /// Something that needs room was written: the disk is not full any more, unless something else was refused meanwhile.
    /// </summary>
    /// <returns>Whether that is news.</returns>
    internal bool MarkRoom() => !Interlocked.Exchange(ref _wasRefused, false) && Interlocked.Exchange(ref _isFull, false);

    /// <summary>Writes the marker of an orderly end.</summary>
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
