using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// What is known about a log before its files are read: its lines of the checkpoint files, and how the last process ended.
/// </summary>
public sealed record LogOpenOptions
{
    /// <summary>Everything before this offset was flushed: recovery starts at its segment.</summary>
    public long RecoveryPoint { get; init; }

    /// <summary>The first offset that clients may read, as DeleteRecords or retention left it.</summary>
    public long LogStartOffset { get; init; }

    /// <summary>The checkpointed high watermark; it is clamped to the log's offsets.</summary>
    public long HighWatermark { get; init; }

    /// <summary>The last process ended in order: nothing needs to be recovered.</summary>
    public bool HadCleanShutdown { get; init; }

    /// <summary>
    /// Offsets may be missing between its segments, as where compaction took records out. False for a log whose batches follow each other
    /// without gaps: what comes after one is dropped.
    /// </summary>
    public bool MayHaveGaps { get; init; } = true;

    /// <summary>
    /// What recovery writes is left to be made durable by <see cref="PartitionLog.StageRecovered"/> and what follows it: many
    /// logs are opened at a time.
    /// </summary>
    internal bool DefersFlush { get; init; }

    /// <summary>
    /// Ends recovery between two segments with an <see cref="OperationCanceledException"/>; what is on the disk is then as after
    /// a crash.
    /// </summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Seed of the segment jitter: the same seed rolls at the same times.</summary>
    public ulong JitterSeed { get; init; }

    /// <summary>
    /// Called once when an I/O failure takes the log offline, possibly under its lock: it must neither block nor call back.
    /// </summary>
    public Action<PartitionLog, Exception>? OnFailure { get; init; }

    /// <summary>
    /// Called whenever something was refused because the disk is full, possibly under the log's lock: it must neither block nor
    /// call back.
    /// </summary>
    public Action<PartitionLog, DiskFullException>? OnDiskFull { get; init; }
}
