namespace Ottla.Protocol.Batches.Compression;

/// <summary>Decompresses one input. One caller owns it and disposes it exactly once, which returns it to the codec's pool.</summary>
public abstract class CompressionDecoder : IDisposable
{
    /// <summary>Decompresses the next bytes.</summary>
    /// <param name="destination">Not empty.</param>
    /// <returns>The bytes written: at least 1, or 0 at the proper end of the data.</returns>
    /// <exception cref="CorruptRecordException">
    /// The data is broken or ends too early (<see cref="ErrorCode.UnknownServerError"/>).
    /// </exception>
    public abstract int Read(Span<byte> destination);

    /// <inheritdoc/>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the input and returns the decoder to the pool.</summary>
    protected abstract void Release();

    /// <summary>
    /// The batch has its checksum, so its producer wrote what cannot be read: a code that producers do not send it again for.
    /// </summary>
    private protected static CorruptRecordException Corrupt(string codec, string reason, Exception? innerException = null) =>
        new(ErrorCode.UnknownServerError, $"Failed to decompress {codec} record data: {reason}", innerException);
}
