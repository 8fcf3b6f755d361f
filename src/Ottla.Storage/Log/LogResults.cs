using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>The result of an append.</summary>
/// <param name="FirstOffset">The first record's offset; of the original batch when <paramref name="IsDuplicate"/>.</param>
/// <param name="LastOffset">The last record's offset; of the original batch when <paramref name="IsDuplicate"/>.</param>
/// <param name="LogAppendTimeMs">The time the broker stamped, or -1 for CreateTime; the original batch's timestamp when
/// <paramref name="IsDuplicate"/>.</param>
/// <param name="LogStartOffset">The log's start offset.</param>
/// <param name="IsDuplicate">An idempotent producer's retry of one of its last five batches: nothing was appended.</param>
public readonly record struct LogAppendResult(
    long FirstOffset, long LastOffset, long LogAppendTimeMs, long LogStartOffset, bool IsDuplicate);

/// <summary>What became of a truncation that a follower asked for.</summary>
public enum FollowerTruncation
{
    /// <summary>The log ended before the offset already.</summary>
    NothingToDrop,

    /// <summary>The log ends at the offset now.</summary>
    Truncated,

    /// <summary>The log ends elsewhere than the fetcher thinks: nothing was changed.</summary>
    Moved,

    /// <summary>The replica does not follow in the epoch any more: nothing was changed.</summary>
    TooLate,
}

/// <summary>How far a reader may read.</summary>
public enum ReadBound
{
    /// <summary>To the log's end: replicas.</summary>
    LogEnd,

    /// <summary>What is committed: READ_UNCOMMITTED consumers.</summary>
    HighWatermark,

    /// <summary>
    /// What is committed and not of an open transaction: READ_COMMITTED consumers, who also need the aborted transactions.
    /// </summary>
    LastStableOffset,
}

/// <summary>A read request.</summary>
/// <param name="StartOffset">Where to start: within the batch that contains it, or the next, if compaction left a gap there. The log's
/// end gives nothing.</param>
/// <param name="Bound">How far it may read.</param>
/// <param name="MaxBytes">How many bytes at most; batches are never cut.</param>
/// <param name="MinOneBatch">Return the first batch even if it alone is more than <paramref name="MaxBytes"/>.</param>
public readonly record struct LogReadRequest(long StartOffset, ReadBound Bound, int MaxBytes, bool MinOneBatch)
{
    /// <summary>No batch that has this offset or a later one is returned.</summary>
    public long UpperBoundOffset { get; init; } = long.MaxValue;

    /// <summary>The epoch of the last record that the reader has; -1 when it does not say.</summary>
    public int LastFetchedEpoch { get; init; } = -1;

    /// <summary>
    /// A slice of the reader that the result uses if nobody holds it; null, or a slice that is held, makes the read allocate one.
    /// </summary>
    public FileSlice? Slice { get; init; }
}

/// <summary>The result of a read. The offsets and aborted transactions are from the same moment, under the log's lock.</summary>
/// <param name="Slice">Whole batches, the first of which contains or follows the asked offset; null when there is nothing (yet).
/// The caller disposes it.</param>
/// <param name="LogStartOffset">The log's start offset.</param>
/// <param name="LogEndOffset">The log's end offset.</param>
/// <param name="HighWatermark">The high watermark.</param>
/// <param name="LastStableOffset">The last stable offset.</param>
public readonly record struct LogReadResult(
    IFileSlice? Slice, long LogStartOffset, long LogEndOffset, long HighWatermark, long LastStableOffset)
{
    /// <summary>The offset that bounded the read; when it moves, there is more to read.</summary>
    public long BoundOffset { get; init; }

    /// <summary>
    /// An upper bound of the slice: it has all batches before this offset and none from it on. Not set without a slice.
    /// </summary>
    public long UpperBoundOffset { get; init; }

    /// <summary>The bytes of the segment from the first batch to the bound, whatever the size that was asked for.</summary>
    public long AvailableBytes { get; init; }

    /// <summary>The bound lies in a later segment: the next read finds more.</summary>
    public bool HasMoreInLaterSegments { get; init; }

    /// <summary>For READ_COMMITTED: the aborted transactions that the slice has records of, and no later ones; null for others.</summary>
    public IReadOnlyList<AbortedTransaction>? AbortedTransactions { get; init; }

    /// <summary>Where the reader's epoch ended, when that is before what it has read; nothing is read then.</summary>
    public EpochEndOffset? DivergingEpoch { get; init; }
}

/// <summary>An answer to ListOffsets.</summary>
/// <param name="TimestampMs">The record's timestamp, or -1.</param>
/// <param name="Offset">The record's offset, or -1 when there is none.</param>
/// <param name="LeaderEpoch">The leader epoch of that offset, or -1.</param>
public readonly record struct TimestampOffset(long TimestampMs, long Offset, int LeaderEpoch)
{
    /// <summary>No such record.</summary>
    public static readonly TimestampOffset None = new(-1, -1, -1);

    /// <summary>A record was found.</summary>
    public bool IsFound => Offset >= 0;
}

/// <summary>The end of a leader epoch: an answer to OffsetForLeaderEpoch.</summary>
/// <param name="Epoch">The largest epoch not after the asked one, or -1.</param>
/// <param name="EndOffset">Where it ends, or -1.</param>
public readonly record struct EpochEndOffset(int Epoch, long EndOffset);

/// <summary>The log refuses or fails an operation; the code goes to the client.</summary>
/// <param name="errorCode">Kafka's error.</param>
/// <param name="message">What is wrong.</param>
/// <param name="innerException">The failure underneath, if any.</param>
public sealed class LogException(ErrorCode errorCode, string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>Kafka's error.</summary>
    public ErrorCode ErrorCode { get; } = errorCode;

    /// <summary>Whether the disk is full: the log stays online, and the operation may be tried again.</summary>
    public bool IsDiskFull => InnerException is DiskFullException;
}
