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

/// <summary>The result of a truncation that a follower asked for.</summary>
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

/// <summary>The bound of a read.</summary>
public enum ReadBound
{
    /// <summary>The log's end, for replicas.</summary>
    LogEnd,

    /// <summary>The high watermark, for READ_UNCOMMITTED consumers.</summary>
    HighWatermark,

    /// <summary>The last stable offset, for READ_COMMITTED consumers, which also need the aborted transactions.</summary>
    LastStableOffset,
}

/// <summary>A read request.</summary>
/// <param name="StartOffset">
/// The first offset: the read starts with the batch that contains it, or with the next one if compaction left a gap. At the log's end it
/// returns nothing.
/// </param>
/// <param name="Bound">The bound of the read.</param>
/// <param name="MaxBytes">The largest size in bytes; batches are never cut.</param>
/// <param name="MinOneBatch">Whether to return the first batch even if it is larger than <paramref name="MaxBytes"/>.</param>
public readonly record struct LogReadRequest(long StartOffset, ReadBound Bound, int MaxBytes, bool MinOneBatch)
{
    /// <summary>The read returns no batch with this offset or a later one.</summary>
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

    /// <summary>The bytes of the segment from the first batch to the bound, even if that is more than the asked size.</summary>
    public long AvailableBytes { get; init; }

    /// <summary>The bound lies in a later segment: the next read finds more.</summary>
    public bool HasMoreInLaterSegments { get; init; }

    /// <summary>For READ_COMMITTED: the aborted transactions that the slice has records of, and no later ones; null for others.</summary>
    public IReadOnlyList<AbortedTransaction>? AbortedTransactions { get; init; }

    /// <summary>The end of the reader's epoch, when the reader has read past it; the read returns nothing then.</summary>
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
/// <param name="EndOffset">The end of that epoch, or -1.</param>
public readonly record struct EpochEndOffset(int Epoch, long EndOffset);

/// <summary>A log refuses an operation, or fails; the code goes to the client.</summary>
/// <param name="errorCode">Kafka's error.</param>
/// <param name="message">The problem.</param>
/// <param name="innerException">The cause, if any.</param>
public sealed class LogException(ErrorCode errorCode, string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>Kafka's error.</summary>
    public ErrorCode ErrorCode { get; } = errorCode;

    /// <summary>Whether the disk is full: the log stays online, and the operation may be tried again.</summary>
    public bool IsDiskFull => InnerException is DiskFullException;
}
