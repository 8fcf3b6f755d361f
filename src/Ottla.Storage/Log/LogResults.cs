using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>What an append did.</summary>
/// <param name="FirstOffset">The first record's offset; of the original batch when <paramref name="IsDuplicate"/>.</param>
/// <param name="LastOffset">The last record's offset; of the original batch when <paramref name="IsDuplicate"/>.</param>
/// <param name="LogAppendTimeMs">The time the broker stamped, or -1 for CreateTime; the original batch's timestamp when <paramref name="IsDuplicate"/>.</param>
/// <param name="LogStartOffset">The log's start offset.</param>
/// <param name="IsDuplicate">An idempotent producer's retry of one of its last five batches: nothing was appended.</param>
public readonly record struct LogAppendResult(long FirstOffset, long LastOffset, long LogAppendTimeMs, long LogStartOffset, bool IsDuplicate);

/// <summary>What a read found.</summary>
/// <param name="Slice">Whole batches, the first of which contains or follows the asked offset; null when there is nothing (yet). The caller disposes it.</param>
/// <param name="LogStartOffset">The log's start offset at the time of the read.</param>
/// <param name="LogEndOffset">The log's end offset at the time of the read.</param>
/// <param name="HighWatermark">The high watermark at the time of the read.</param>
/// <param name="LastStableOffset">The last stable offset at the time of the read.</param>
public readonly record struct LogReadResult(
    IFileSlice? Slice, long LogStartOffset, long LogEndOffset, long HighWatermark, long LastStableOffset)
{
    /// <summary>An offset that the slice does not reach, though everything before it that is left of the log it has; without a slice it says nothing.</summary>
    public long UpperBoundOffset { get; init; }
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

    /// <summary>Only room is missing: the log is in use, and what was refused may be tried again.</summary>
    public bool IsDiskFull => InnerException is DiskFullException;
}
