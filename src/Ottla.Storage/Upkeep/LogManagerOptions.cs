using Ottla.Kernel;
using Ottla.Storage.Compaction;
using Ottla.Storage.Log;

namespace Ottla.Storage.Upkeep;

/// <summary>The configuration of a <see cref="LogManager"/>; defaults are Kafka's.</summary>
public sealed record LogManagerOptions
{
    /// <summary>
    /// How often <c>flush.ms</c> is checked by default. Kafka's default is never, so that <c>flush.ms</c> has no effect there.
    /// </summary>
    public const long DefaultTimedFlushCheckIntervalMs = 1_000;

    /// <summary><c>log.dirs</c>: absolute paths.</summary>
    public required IReadOnlyList<string> LogDirectories { get; init; }

    /// <summary>
    /// The directory that is only <c>metadata.log.dir</c> and not in <c>log.dirs</c>: no partition gets a log there.
    /// </summary>
    public string? MetadataOnlyDirectory { get; init; }

    /// <summary>
    /// Whether the logs of partitions are opened. A controller alone has none: what a broker left there before stays as it is.
    /// </summary>
    public bool OpensLogs { get; init; } = true;

    /// <summary>Gives the configuration of a partition's topic; called when a log is opened or created.</summary>
    public Func<TopicPartition, LogConfig> ConfigFor { get; init; } = _ => LogConfig.Default;

    /// <summary>
    /// <c>num.recovery.threads.per.data.dir</c>: how many logs of a directory are opened or closed at a time. With 1, and one directory at
    /// a time, the work stays on the caller's thread.
    /// </summary>
    public int RecoveryParallelism { get; init; } = 2;

    /// <summary>How many directories are worked on at a time when logs are opened or closed.</summary>
    public int DirectoriesAtOnceMax { get; init; } = int.MaxValue;

    /// <summary><c>log.retention.check.interval.ms</c>.</summary>
    public long RetentionCheckIntervalMs { get; init; } = 300_000;

    /// <summary>
    /// <c>log.initial.task.delay.ms</c>: the delay after the start before the first retention and checkpoints.
    /// </summary>
    public long InitialTaskDelayMs { get; init; } = 30_000;

    /// <summary><c>log.flush.scheduler.interval.ms</c>: how often <c>flush.ms</c> is checked.</summary>
    public long TimedFlushCheckIntervalMs { get; init; } = DefaultTimedFlushCheckIntervalMs;

    /// <summary><c>log.flush.offset.checkpoint.interval.ms</c>: recovery points.</summary>
    public long RecoveryPointCheckpointIntervalMs { get; init; } = 60_000;

    /// <summary><c>log.flush.start.offset.checkpoint.interval.ms</c>: log start offsets.</summary>
    public long LogStartOffsetCheckpointIntervalMs { get; init; } = 60_000;

    /// <summary><c>replica.high.watermark.checkpoint.interval.ms</c>.</summary>
    public long HighWatermarkCheckpointIntervalMs { get; init; } = 5_000;

    /// <summary>How long cold segments keep memory and file handles, and how often idle producers are removed.</summary>
    public long IdleReleaseIntervalMs { get; init; } = 60_000;

    /// <summary><c>log.segment.delete.delay.ms</c>: how long the directory of a deleted partition stays on disk.</summary>
    public long DeleteDelayMs { get; init; } = 60_000;

    /// <summary>The <c>log.cleaner</c> configs as they are now.</summary>
    public Func<CleanerOptions> Cleaner { get; init; } = static () => CleanerOptions.Default;

    /// <summary><c>replica.alter.log.dirs.io.max.bytes.per.second</c> as it is now.</summary>
    public Func<double> MoveBytesPerSecondMax { get; init; } = static () => double.MaxValue;

    /// <summary><c>cordoned.log.dirs</c> as they are now, absolute: they get no new logs except by an explicit move.</summary>
    public Func<IReadOnlyCollection<string>> CordonedDirectories { get; init; } = static () => [];

    /// <summary>Ends the opening of the logs early: recovery may take long, and the next start can begin it again.</summary>
    public CancellationToken OpenCancellation { get; init; }

    /// <summary>Seed of the segment jitter.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// Called once when a log directory is taken offline, possibly under a log's lock: it must neither block nor call back.
    /// </summary>
    public Action<LogDirectory, Exception>? OnDirectoryFailure { get; init; }

    /// <summary>
    /// Called when a log has changed its directory or a directory has gone offline, possibly under a log's lock: it must neither block nor
    /// call back.
    /// </summary>
    public Action? OnPlacementChange { get; init; }
}
