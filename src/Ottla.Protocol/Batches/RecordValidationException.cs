namespace Ottla.Protocol.Batches;

/// <summary>Records were rejected. None of them was appended.</summary>
/// <param name="errorCode">The error code for the client.</param>
/// <param name="message">The reason, for the response's error message.</param>
/// <param name="recordErrors">The faulty records, if the error is in single records (KIP-467).</param>
/// <param name="innerException">The decoding error.</param>
public sealed class RecordValidationException(
    ErrorCode errorCode, string message, IReadOnlyList<RecordError>? recordErrors = null, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>The error code for the client.</summary>
    public ErrorCode ErrorCode { get; } = errorCode;

    /// <summary>What is wrong, of what is counted.</summary>
    public RecordFault Fault { get; init; }

    /// <summary>How many records have that fault; 1 when it is the batch's.</summary>
    public int FaultCount { get; init; } = 1;

    /// <summary>Whether the request itself is invalid. It is then rejected before its records are checked.</summary>
    public bool IsOfRequest { get; init; }

    /// <summary>The faulty records; empty when the whole batch is at fault.</summary>
    public IReadOnlyList<RecordError> RecordErrors { get; } = recordErrors ?? [];
}

/// <summary>The faults of records that are counted, as in Kafka.</summary>
public enum RecordFault
{
    /// <summary>Any other.</summary>
    Other,

    /// <summary>The batch has another format than the one that is taken.</summary>
    MagicNumber,

    /// <summary>The bytes are not those that the checksum was made of.</summary>
    Checksum,

    /// <summary>Offsets, the count of records or sequence numbers are wrong, or the batch is not for clients to write.</summary>
    OffsetOrSequence,

    /// <summary>A record for a compacted topic has no key.</summary>
    MissingKey,
}

/// <summary>The error of one record.</summary>
/// <param name="BatchIndex">The record's position in the batch, from 0.</param>
/// <param name="Message">The error.</param>
public readonly record struct RecordError(int BatchIndex, string Message);
