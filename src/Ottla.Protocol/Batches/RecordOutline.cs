namespace Ottla.Protocol.Batches;

/// <summary>Offset, timestamp and size of one record, without its contents. Validation and the search by timestamp need no more.</summary>
public readonly struct RecordOutline
{
    /// <summary>The absolute offset.</summary>
    public long Offset { get; init; }

    /// <summary>Milliseconds since the epoch: the record's own time or the batch's append time; -1 for none.</summary>
    public long Timestamp { get; init; }

    /// <summary>The offset relative to the batch's base offset.</summary>
    public int OffsetDelta { get; init; }

    /// <summary>Uncompressed bytes of the record, with its length prefix.</summary>
    public int SizeInBytes { get; init; }

    /// <summary>Whether the key is not null.</summary>
    public bool HasKey { get; init; }
}
