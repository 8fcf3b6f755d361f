using Ottla.Protocol.Batches;

namespace Ottla.Client.Producing;

/// <summary>
/// Where a thread serializes a record before it knows the batch that the record goes into. Used again for the next record.
/// </summary>
internal sealed class RecordScratch : IDisposable
{
    private const int InitialBytes = 1024;

    /// <summary>Longer buffers are not kept for each thread.</summary>
    private const int KeptBytesMax = 256 * 1024;

    [ThreadStatic]
    private static RecordScratch? _idle;

    private RecordScratch()
    {
    }

    /// <summary>Receives a serialized key.</summary>
    public PooledBufferWriter KeyBytes { get; private set; } = new(InitialBytes);

    /// <summary>Receives a serialized value.</summary>
    public PooledBufferWriter ValueBytes { get; private set; } = new(InitialBytes);

    /// <summary>The key; null for none.</summary>
    public ReadOnlyMemory<byte>? Key { get; set; }

    /// <summary>The value; null for none.</summary>
    public ReadOnlyMemory<byte>? Value { get; set; }

    /// <summary>Takes the scratch of this thread, or a new one if that is in use by a serializer that produces itself.</summary>
    public static RecordScratch Take()
    {
        var scratch = _idle ?? new RecordScratch();
        _idle = null;
        return scratch;
    }

    /// <summary>Gives it back to this thread.</summary>
    public void Dispose()
    {
        (Key, Value) = (null, null);
        KeyBytes = Shortened(KeyBytes);
        ValueBytes = Shortened(ValueBytes);
        _idle = this;
    }

    private static PooledBufferWriter Shortened(PooledBufferWriter bytes)
    {
        if (bytes.WrittenCount <= KeptBytesMax)
            return bytes;
        bytes.Dispose();
        return new PooledBufferWriter(InitialBytes);
    }
}
