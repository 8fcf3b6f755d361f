namespace Ottla.Protocol.Batches;

/// <summary>Records that passed validation. The caller disposes it after the append, which returns rewritten bytes to their pool.</summary>
/// <remarks>Base offsets and leader epochs are still those of the sender; the log sets them.</remarks>
public readonly struct ValidatedRecords : IDisposable
{
    private readonly PooledBufferWriter? _rewritten;

    internal ValidatedRecords(
        Memory<byte> bytes, int batchCount, long recordCount, long maxTimestamp, CompressionType compression, PooledBufferWriter? rewritten)
    {
        Bytes = bytes;
        BatchCount = batchCount;
        RecordCount = recordCount;
        MaxTimestamp = maxTimestamp;
        CompressionUsed = compression;
        _rewritten = rewritten;
    }

    /// <summary>Complete batches: the given memory without an incomplete end, or pooled memory when they were rewritten.</summary>
    public Memory<byte> Bytes { get; }

    /// <summary>The number of batches in <see cref="Bytes"/>.</summary>
    public int BatchCount { get; }

    /// <summary>The number of records in <see cref="Bytes"/>, according to the headers.</summary>
    public long RecordCount { get; }

    /// <summary>The greatest timestamp, in milliseconds since the epoch; -1 when there is none.</summary>
    public long MaxTimestamp { get; }

    /// <summary>The codec of the first batch.</summary>
    public CompressionType CompressionUsed { get; }

    /// <summary>Whether <see cref="Bytes"/> is pooled memory: the batch was recompressed, or its offset deltas were corrected.</summary>
    public bool IsRewritten => _rewritten is not null;

    /// <summary>Returns pooled memory. Calling it again has no effect.</summary>
    public void Dispose() => _rewritten?.Dispose();
}
