using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <summary>The result of a produce request for one partition.</summary>
/// <param name="ErrorCode">Kafka's error.</param>
/// <param name="Result">Where the records are; meaningless after an error.</param>
/// <param name="ErrorMessage">What is wrong.</param>
/// <param name="RecordErrors">Which records are wrong, by their index in the batch; null when that is not known, or none is.</param>
public readonly record struct AppendOutcome(
    ErrorCode ErrorCode, LogAppendResult Result, string? ErrorMessage, IReadOnlyList<RecordError>? RecordErrors)
{
    /// <summary>The leader epoch of the append; -1 after an error.</summary>
    public int LeaderEpoch { get; init; } = -1;

    /// <summary>The records are in the log.</summary>
    public static AppendOutcome Appended(LogAppendResult result, int leaderEpoch) =>
        new(ErrorCode.None, result, null, null) { LeaderEpoch = leaderEpoch };

    /// <summary>The log's start offset; -1 for errors that do not report it.</summary>
    public long LogStartOffset { get; init; } = Result.LogStartOffset;

    /// <summary>Nothing was appended.</summary>
    public static AppendOutcome Failed(ErrorCode errorCode, string? message = null, IReadOnlyList<RecordError>? recordErrors = null) =>
        new(errorCode, new LogAppendResult(-1, -1, -1, -1, IsDuplicate: false), message, recordErrors);
}

/// <summary>The result of a DeleteRecords request for one partition.</summary>
/// <param name="ErrorCode">Kafka's error.</param>
/// <param name="LowWatermark">The log start offset now; -1 after an error.</param>
public readonly record struct DeleteRecordsOutcome(ErrorCode ErrorCode, long LowWatermark);
