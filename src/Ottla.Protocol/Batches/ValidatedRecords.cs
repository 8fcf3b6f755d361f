namespace Ottla.Protocol.Batches;

/// <summary>Records that may be appended. The caller disposes it after the append: then rewritten bytes go back to their pool.</summary>
/// <remarks>Base offsets and leader epochs are still the sender's: the log sets them.</remarks>
public readonly struct ValidatedRecords : IDisposable
{
    private readonly PooledBufferWriter? _rewritten;

    internal ValidatedRecords(Memory<byte> bytes, int batchCount, long recordCount, long maxTimestamp, CompressionType compression, PooledBufferWriter? rewritten)
    {
        Bytes = bytes;
        BatchCount = batchCount;
        RecordCount = recordCount;
        MaxTimestamp = maxTimestamp;
        CompressionUsed = compression;
        _rewritten = rewritten;
    }

    /// <summary>Whole batches: the memory that was given, without a cut off tail, or pooled memory when they were rewritten.</summary>
    public Memory<byte> Bytes { get; }

    /// <summary>Batches in <see cref="Bytes"/>.</summary>
    public int BatchCount { get; }

    /// <summary>Records in <see cref="Bytes"/>, by the headers.</summary>
    public long RecordCount { get; }

    /// <summary>The greatest timestamp, in milliseconds since the epoch; -1 when there is none.</summary>
    public long MaxTimestamp { get; }

    /// <summary>The first batch's codec.</summary>
    public CompressionType CompressionUsed { get; }

    /// <summary><see cref="Bytes"/> is pooled memory: the batch was recompressed, or its offset deltas were repaired.</summary>
    public bool IsRewritten => _rewritten is not null;

    /// <summary>Gives pooled memory back. More than once is harmless.</summary>
    public void Dispose() => _rewritten?.Dispose();
}
