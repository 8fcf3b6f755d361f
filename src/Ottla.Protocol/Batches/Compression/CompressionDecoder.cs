namespace Ottla.Protocol.Batches.Compression;

/// <summary>A decompression under way. Owned by one caller, who disposes it exactly once; then it goes back to its codec's pool.</summary>
public abstract class CompressionDecoder : IDisposable
{
    /// <summary>Decompresses the next bytes.</summary>
    /// <param name="destination">Not empty.</param>
    /// <returns>The bytes written: at least 1, or 0 at the proper end of the data.</returns>
    /// <exception cref="CorruptRecordException">The data is broken or ends too early (<see cref="ErrorCode.CorruptMessage"/>).</exception>
    public abstract int Read(Span<byte> destination);

    /// <inheritdoc/>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    /// <summary>Lets go of the input and goes back to the pool.</summary>
    protected abstract void Release();

    private protected static CorruptRecordException Corrupt(string codec, string reason, Exception? innerException = null) =>
        new(ErrorCode.CorruptMessage, $"Failed to decompress {codec} record data: {reason}", innerException);
}
