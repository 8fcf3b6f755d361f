namespace Ottla.Protocol.Batches;

/// <summary>Where and when one record of a batch is, without its contents: all that validation and the search by timestamp look at.</summary>
public readonly struct RecordOutline
{
    /// <summary>The absolute offset.</summary>
    public long Offset { get; init; }

    /// <summary>Milliseconds since the epoch: the record's own time, or the batch's append time; -1 for none.</summary>
    public long Timestamp { get; init; }

    /// <summary>The offset relative to the batch's base offset.</summary>
    public int OffsetDelta { get; init; }

    /// <summary>Bytes of the record uncompressed, with its length prefix.</summary>
    public int SizeInBytes { get; init; }

    /// <summary>The key is not null.</summary>
    public bool HasKey { get; init; }
}
