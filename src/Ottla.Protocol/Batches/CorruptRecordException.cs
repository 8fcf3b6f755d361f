namespace Ottla.Protocol.Batches;

/// <summary>A batch or record that cannot be what a correct writer wrote.</summary>
/// <param name="errorCode">
/// <see cref="ErrorCode.CorruptMessage"/> when the batch's frame or checksum is broken;
/// <see cref="ErrorCode.UnknownServerError"/> when its data cannot be decompressed;
/// <see cref="ErrorCode.InvalidRecord"/> when the records in it are.
/// </param>
/// <param name="message">What is wrong.</param>
/// <param name="innerException">What a library reported, if one did.</param>
public sealed class CorruptRecordException(ErrorCode errorCode, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>The code Kafka answers with.</summary>
    public ErrorCode ErrorCode { get; } = errorCode;

    /// <summary>Nothing is broken, but a record expands to more than the reader was allowed to hold or to walk over.</summary>
    public bool ExceedsBound { get; init; }
}
