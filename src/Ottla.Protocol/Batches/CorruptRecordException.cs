namespace Ottla.Protocol.Batches;

/// <summary>A batch or record that no correct writer can have written.</summary>
/// <param name="errorCode">
/// <see cref="ErrorCode.CorruptMessage"/> when the batch's frame or checksum is broken;
/// <see cref="ErrorCode.UnknownServerError"/> when its data cannot be decompressed;
/// <see cref="ErrorCode.InvalidRecord"/> when the records in it are.
/// </param>
/// <param name="message">The error.</param>
/// <param name="innerException">The error of a library, if there is one.</param>
public sealed class CorruptRecordException(ErrorCode errorCode, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>The error code for the client.</summary>
    public ErrorCode ErrorCode { get; } = errorCode;

    /// <summary>The data is valid, but a record expands to more bytes than the reader may hold or skip.</summary>
    public bool ExceedsBound { get; init; }
}
