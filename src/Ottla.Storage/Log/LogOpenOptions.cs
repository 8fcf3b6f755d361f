using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// What the opener of a log knows before its files are read: its offsets in the checkpoint files, and whether the last shutdown was clean.
/// </summary>
public sealed record LogOpenOptions
{
    /// <summary>Everything before this offset was flushed: recovery starts at its segment.</summary>
    public long RecoveryPoint { get; init; }

    /// <summary>The first offset that clients may read, as DeleteRecords or retention left it.</summary>
    public long LogStartOffset { get; init; }

    /// <summary>The checkpointed high watermark; it is clamped to the log's offsets.</summary>
    public long HighWatermark { get; init; }

    /// <summary>Whether the last process shut down cleanly: nothing needs recovery.</summary>
    public bool HadCleanShutdown { get; init; }

    /// <summary>
    /// Whether offsets may be missing between segments, because compaction removed records. When false, the segments after a gap
    /// are deleted; when true, a gap in what was not flushed is told by <see cref="PartitionLog.UnflushedGap"/>.
    /// </summary>
    public bool MayHaveGaps { get; init; } = true;

    /// <summary>
    /// Leaves the flush of recovered files to <see cref="PartitionLog.StageRecovered"/>, because many logs are opened at a time.
    /// </summary>
    internal bool DefersFlush { get; init; }

    /// <summary>
    /// Ends recovery between two segments with an <see cref="OperationCanceledException"/>; the disk is then as after a crash.
    /// </summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Seed of the segment jitter: the same seed rolls at the same times.</summary>
    public ulong JitterSeed { get; init; }

    /// <summary>
    /// Called once when an I/O failure takes the log offline, possibly under its lock: it must neither block nor call back.
    /// </summary>
    public Action<PartitionLog, Exception>? OnFailure { get; init; }

    /// <summary>
    /// Called whenever the full disk refused a write, possibly under the log's lock: it must neither block nor call back.
    /// </summary>
    public Action<PartitionLog, DiskFullException>? OnDiskFull { get; init; }
}
