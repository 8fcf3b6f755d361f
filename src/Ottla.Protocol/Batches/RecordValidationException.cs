namespace Ottla.Protocol.Batches;

/// <summary>Records that may not be appended; nothing of them was.</summary>
/// <param name="errorCode">What the client is answered.</param>
/// <param name="message">Why, for the response's error message.</param>
/// <param name="recordErrors">Which records, where the fault is theirs (KIP-467).</param>
/// <param name="innerException">What was found while decoding.</param>
public sealed class RecordValidationException(
    ErrorCode errorCode, string message, IReadOnlyList<RecordError>? recordErrors = null, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>What the client is answered.</summary>
    public ErrorCode ErrorCode { get; } = errorCode;

    /// <summary>The request itself is wrong: it is refused before its records are looked at.</summary>
    public bool IsOfRequest { get; init; }

    /// <summary>The faulty records; empty when the batch as a whole is.</summary>
    public IReadOnlyList<RecordError> RecordErrors { get; } = recordErrors ?? [];
}

/// <summary>What is wrong with one record.</summary>
/// <param name="BatchIndex">The record's position in the batch, from 0.</param>
/// <param name="Message">What is wrong.</param>
public readonly record struct RecordError(int BatchIndex, string Message);
