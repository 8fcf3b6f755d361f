using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;
using Ottla.Storage.Producers;

namespace Ottla.Storage.Log;

/// <summary>
/// The log of one replica: an ordered sequence of record batches in segments, with the producers and leader epochs they imply.
/// Appends, reads, truncates and deletes old segments; knows nothing of requests, and of replication only which role its replica has.
/// </summary>
/// <remarks>
/// Thread-safe. An append holds one short lock: it assigns offsets, patches headers, writes once, and updates index and producer state.
/// A reader takes the lock only to find its segment; it reads the bytes without the lock, from a file that it holds open.
/// An I/O failure takes the log offline: from then on every operation fails with KAFKA_STORAGE_ERROR, because the content of the
/// disk is unknown. A full disk does not: an operation that needs space fails with the same error and changes nothing; all others
/// go on (ADR 0010).
/// Owned by a <c>LogManager</c> or by the caller of <see cref="Open"/>; lives until <see cref="Close"/> or <see cref="Delete"/>.
/// </remarks>
public sealed partial class PartitionLog
{
    private readonly ScheduledLock _lock = new();
    private readonly IFileSystem _fileSystem;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ulong _jitterSeed;
    private readonly Action<PartitionLog, Exception>? _onFailure;
    private readonly Action<PartitionLog, DiskFullException>? _onDiskFull;
    private readonly List<LogSegment> _segments;
    private readonly LeaderEpochCache _epochs;
    private readonly ProducerStateManager _producers;
    private readonly ProducerAppendChecks _checks;
    private LogConfig _config;
    private long _logStartOffset;
    private long _logEndOffset;

    /// <summary>
    /// The end of the last batch. It lies before the log's end when a truncation fell into a batch and removed the whole batch.
    /// </summary>
    private long _lastBatchEndOffset;
    private long _highWatermark;
    private long _firstUnstableOffset = long.MaxValue;
    private long _recoveryPoint;
    private long _sizeInBytes;
    private Exception? _failure;
    private bool _isClosed;

    /// <summary>Set once, when a deletion begins and before it waits for flushes and compactions.</summary>
    private bool _isRetired;

    private PartitionLog(
        IFileSystem fileSystem, string directory, TopicPartition partition, LogConfig config, LogOpenOptions options, TimeProvider time,
        ILogger logger, LoadedLog loaded)
    {
        _fileSystem = fileSystem;
        _time = time;
        _logger = logger;
        _config = config;
        _jitterSeed = options.JitterSeed;
        _onFailure = options.OnFailure;
        _onDiskFull = options.OnDiskFull;
        _segments = loaded.Segments;
        _epochs = loaded.Epochs;
        _producers = loaded.Producers;
        _checks = new ProducerAppendChecks(_producers);
        _logStartOffset = loaded.LogStartOffset;
        _logEndOffset = loaded.LogEndOffset;
        _lastBatchEndOffset = loaded.LogEndOffset;
        _recoveryPoint = loaded.RecoveryPoint;
        _unflushedGap = loaded.UnflushedGap ?? NoGap;
        _highWatermark = Math.Clamp(options.HighWatermark, _logStartOffset, _logEndOffset);
        _lastFlushMs = Instant.Now(time).UnixMilliseconds;
        _isRecoveryUnflushed = loaded.IsUnflushed;
        WasCut = loaded.WasCut;
        Partition = partition;
        Directory = directory;
        _producers.OnHighWatermark(_highWatermark);
        UpdateFirstUnstableOffset();
        _sizeInBytes = _segments.Sum(segment => segment.Size);
    }

    /// <summary>Whose log it is.</summary>
    public TopicPartition Partition { get; }

    /// <summary>The directory of its files.</summary>
    public string Directory { get; private set; }

    /// <summary>The topic's id from <c>partition.metadata</c>; null while unknown.</summary>
    public Uuid? TopicId { get; private set; }

    /// <summary>The configuration of the log; replaced as a whole when the topic's configuration changes.</summary>
    public LogConfig Config
    {
        get => Volatile.Read(ref _config);
        set => Volatile.Write(ref _config, value);
    }

    /// <summary>The first offset that may be read.</summary>
    public long LogStartOffset => Volatile.Read(ref _logStartOffset);

    /// <summary>The offset the next record gets.</summary>
    public long LogEndOffset => Volatile.Read(ref _logEndOffset);

    /// <summary>Everything before it is on all in-sync replicas.</summary>
    public long HighWatermark => Volatile.Read(ref _highWatermark);

    /// <summary>
    /// The first offset of the oldest transaction that is open or whose marker is above the high watermark; null when there is
    /// none.
    /// </summary>
    public long? FirstUnstableOffset => Volatile.Read(ref _firstUnstableOffset) is var offset and not long.MaxValue ? offset : null;

    /// <summary>READ_COMMITTED readers read up to here.</summary>
    public long LastStableOffset => Math.Min(HighWatermark, Volatile.Read(ref _firstUnstableOffset));

    /// <summary>Everything before it is flushed.</summary>
    public long RecoveryPoint => Volatile.Read(ref _recoveryPoint);

    /// <summary>
    /// After a power loss, the first offset that is missing between segments that were not flushed; null when none is. Compaction leaves
    /// gaps too, but so does a file whose bytes are lost while those of a later one are not: a follower fetches anew from there.
    /// </summary>
    public long? UnflushedGap => Volatile.Read(ref _unflushedGap) is var offset and not NoGap ? offset : null;

    /// <summary>
    /// Whether the recovery at the open cut something off that was no valid batch: what a power loss tore, or damage.
    /// </summary>
    public bool WasCut { get; }

    /// <summary>Bytes of all segments.</summary>
    public long SizeInBytes => Volatile.Read(ref _sizeInBytes);

    /// <summary>Producers that the log knows. Slightly old: read without the lock, so that nobody waits for the disk.</summary>
    public int ProducerCount => _producers.Count;

    /// <summary>Closed or deleted: every operation fails.</summary>
    public bool IsClosed => Volatile.Read(ref _isClosed) || IsRetired;

    /// <summary>Deleted, or about to be: a failure from now on does not mean that the disk fails.</summary>
    private bool IsRetired => Volatile.Read(ref _isRetired);

    /// <summary>Where the first segment starts.</summary>
    public long FirstSegmentOffset
    {
        get
        {
            using (_lock.EnterScope())
                return _segments[0].BaseOffset;
        }
    }

    /// <summary>Where the active segment starts.</summary>
    public long ActiveSegmentOffset
    {
        get
        {
            using (_lock.EnterScope())
                return Active.BaseOffset;
        }
    }

    /// <summary>How many segments there are.</summary>
    public int SegmentCount
    {
        get
        {
            using (_lock.EnterScope())
                return _segments.Count;
        }
    }

    /// <summary>An I/O failure took the log offline.</summary>
    public bool IsOffline => Volatile.Read(ref _failure) is not null;

    /// <summary>The latest leader epoch in the log, or -1.</summary>
    public int LatestEpoch
    {
        get
        {
            using (_lock.EnterScope())
                return _epochs.LatestEpoch;
        }
    }

    /// <summary>All leader epochs with their start offsets, oldest first.</summary>
    public IReadOnlyList<EpochEntry> LeaderEpochs
    {
        get
        {
            using (_lock.EnterScope())
                return [.. _epochs.Entries];
        }
    }

    /// <summary>Opens a log, or creates an empty one; recovers it if the last process did not shut down cleanly.</summary>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="directory">The log's directory; made when missing.</param>
    /// <param name="partition">Whose log it is.</param>
    /// <param name="config">What it goes by.</param>
    /// <param name="options">What the checkpoints say.</param>
    /// <param name="time">For expiry of producers and the age of segments without timestamps.</param>
    /// <param name="logger">For what recovery finds.</param>
    /// <exception cref="IOException">The disk fails.</exception>
    /// <exception cref="InvalidDataException">A file is of an unknown format.</exception>
    public static PartitionLog Open(
        IFileSystem fileSystem, string directory, TopicPartition partition, LogConfig config, LogOpenOptions options, TimeProvider time,
        ILogger logger)
    {
        fileSystem.CreateDurableDirectory(directory);
        var loaded = new LogLoader(fileSystem, directory, config, options, Instant.Now(time), logger).Load();
        return new PartitionLog(fileSystem, directory, partition, config, options, time, logger, loaded)
        {
            TopicId = ReadTopicId(fileSystem, directory, logger),
        };
    }

    /// <summary>Reads the topic's id. A damaged file counts as missing: the records stay, and the cluster metadata has the id.</summary>
    private static Uuid? ReadTopicId(IFileSystem fileSystem, string directory, ILogger logger)
    {
        try
        {
            return PartitionMetadataFile.Read(fileSystem, directory);
        }
        catch (InvalidDataException failure)
        {
            LogTopicIdLost(logger, failure.Message);
            return null;
        }
    }

    /// <summary>Where the largest epoch not after <paramref name="epoch"/> ends (OffsetForLeaderEpoch).</summary>
    public EpochEndOffset EndOffsetForEpoch(int epoch)
    {
        using (_lock.EnterScope())
            return _epochs.EndOffsetFor(epoch, _logEndOffset);
    }

    /// <summary>Where a leader epoch starts, or -1 when the log does not know it.</summary>
    public long StartOffsetOfEpoch(int epoch)
    {
        using (_lock.EnterScope())
            return _epochs.StartOffsetOf(epoch);
    }

    /// <summary>The leader epoch in which <paramref name="offset"/> was written, or -1.</summary>
    public int EpochForOffset(long offset)
    {
        using (_lock.EnterScope())
            return _epochs.EpochForOffset(offset);
    }

    /// <summary>The producers with state in this log (DescribeProducers).</summary>
    public IReadOnlyList<ActiveProducer> ActiveProducers()
    {
        using (_lock.EnterScope())
            return _producers.ActiveProducers();
    }

    private LogSegment Active => _segments[^1];

    private static bool IsIoFailure(Exception failure) => failure is IOException or UnauthorizedAccessException;

    private void ThrowIfOffline()
    {
        if (_failure is not null)
            throw new LogException(ErrorCode.KafkaStorageError, $"The log {Directory} is offline: {_failure.Message}", _failure);
        if (IsClosed)
            throw new LogException(ErrorCode.KafkaStorageError, $"The log {Directory} is closed.");
    }

    /// <summary>
    /// Takes the log offline with its directory: every operation fails with KAFKA_STORAGE_ERROR from now on. Takes no lock.
    /// </summary>
    internal void TakeOffline(Exception failure) => Interlocked.CompareExchange(ref _failure, failure, null);

    /// <summary>
    /// Turns a disk failure into the error for the caller. A full disk leaves the log online and unchanged; any other failure
    /// takes it offline.
    /// </summary>
    private LogException FailOrRefuse(Exception failure) => failure is DiskFullException full ? OutOfSpace(full) : Fail(failure);

    private LogException OutOfSpace(DiskFullException failure)
    {
        _onDiskFull?.Invoke(this, failure);
        return new LogException(ErrorCode.KafkaStorageError, $"The disk of {Directory} is full.", failure);
    }

    /// <summary>
    /// Takes the log offline, and its directory with it; unless the log is being deleted, which is reason enough for files to be missing.
    /// </summary>
    private LogException Fail(Exception failure) =>
        IsRetired ? new LogException(ErrorCode.KafkaStorageError, $"The log {Directory} is deleted.", failure) : FailDirectory(failure);

    private LogException FailDirectory(Exception failure)
    {
        if (Interlocked.CompareExchange(ref _failure, failure, null) is null)
        {
            LogFailure(_logger, failure, Directory);
            _onFailure?.Invoke(this, failure);
        }

        return new LogException(ErrorCode.KafkaStorageError, $"The log {Directory} failed: {failure.Message}", failure);
    }

    /// <summary>
    /// Takes only this log offline: the disk works, but memory and files differ. The next start recovers the log.
    /// </summary>
    private LogException FailAlone(Exception failure)
    {
        if (Interlocked.CompareExchange(ref _failure, failure, null) is null)
            LogFailureAlone(_logger, failure, Directory);
        return new LogException(ErrorCode.KafkaStorageError, $"The log {Directory} failed: {failure.Message}", failure);
    }

    private void UpdateFirstUnstableOffset()
    {
        var offset = _producers.FirstUnstableOffset is { } first ? Math.Max(first, _logStartOffset) : long.MaxValue;
        Volatile.Write(ref _firstUnstableOffset, offset);
    }

    /// <summary>The index of the last segment that starts at <paramref name="offset"/> or before it, or -1.</summary>
    private int FloorSegment(long offset)
    {
        var low = 0;
        var high = _segments.Count - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            if (_segments[middle].BaseOffset <= offset)
                low = middle + 1;
            else
                high = middle - 1;
        }

        return high;
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Reason} The broker takes the topic id from the cluster metadata and rewrites the file")]
    private static partial void LogTopicIdLost(ILogger logger, string reason);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "An append to the log {Directory} failed after it wrote its records. The log is offline; restart the broker to "
            + "recover it")]
    private static partial void LogFailureAlone(ILogger logger, Exception failure, string directory);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The log {Directory} is offline after a disk failure. Check the disk, then restart the broker")]
    private static partial void LogFailure(ILogger logger, Exception failure, string directory);
}
