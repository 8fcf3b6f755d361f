namespace Ottla.Protocol.Batches;

/// <summary>One record of a batch, read in place. Valid until the next read of its <see cref="RecordReader"/>.</summary>
public readonly ref struct Record
{
    /// <summary>The absolute offset.</summary>
    public long Offset { get; init; }

    /// <summary>The offset relative to the batch's base offset.</summary>
    public int OffsetDelta { get; init; }

    /// <summary>Milliseconds since the epoch: the record's own time or the batch's append time; -1 for none.</summary>
    public long Timestamp { get; init; }

    /// <summary>The sequence number of its producer; -1 for none.</summary>
    public int Sequence { get; init; }

    /// <summary>Always 0: no attributes are defined yet.</summary>
    public byte Attributes { get; init; }

    /// <summary>Uncompressed bytes of the record, with its length prefix.</summary>
    public int SizeInBytes { get; init; }

    /// <summary>Bytes of the key; -1 for null.</summary>
    public int KeySizeBytes { get; init; }

    /// <summary>Bytes of the value; -1 for null.</summary>
    public int ValueSizeBytes { get; init; }

    /// <summary>Whether the key is not null.</summary>
    public bool HasKey => KeySizeBytes >= 0;

    /// <summary>Whether the value is not null; a record with a null value is a tombstone.</summary>
    public bool HasValue => ValueSizeBytes >= 0;

    /// <summary>The key; empty when null.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <summary>The value; empty when null.</summary>
    public ReadOnlySpan<byte> Value { get; init; }

    /// <summary>The number of headers.</summary>
    public int HeaderCount { get; init; }

    /// <summary>The bytes of the headers as they are in the batch, after their count.</summary>
    public ReadOnlySpan<byte> RawHeaders { get; init; }

    /// <summary>The headers in order.</summary>
    public RecordHeaderEnumerator Headers => new(RawHeaders);
}
