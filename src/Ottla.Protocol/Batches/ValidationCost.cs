using Ottla.Protocol.Batches.Compression;

namespace Ottla.Protocol.Batches;

/// <summary>About how long it takes to validate and append record batches, by what their headers say. Stateless.</summary>
public static class ValidationCost
{
    /// <summary>Checksum, walk and write of bytes that are not compressed.</summary>
    private const int BytesPerMicrosecond = 2_000;

    /// <summary>The slower codecs, and the walk over what they give.</summary>
    private const int ExpandedBytesPerMicrosecond = 500;

    private const int RecordsPerMicrosecond = 50;

    /// <summary>Microseconds for the batch that <paramref name="records"/> begin with; for malformed ones those of the checksum.</summary>
    public static long EstimateMicroseconds(ReadOnlySpan<byte> records)
    {
        var ofBytes = 1 + (records.Length / BytesPerMicrosecond);
        if (records.Length < RecordBatchLayout.HeaderSizeBytes
            || new RecordBatchView(records) is not { Magic: RecordBatchLayout.CurrentMagic } batch)
            return ofBytes;
        if (batch.Compression == CompressionType.None)
            return ofBytes + (Math.Min(batch.RecordCount, records.Length) / RecordsPerMicrosecond);
        var expanded = ExpandedSize.UpperBound(batch.Compression, records[RecordBatchLayout.HeaderSizeBytes..]);
        return ofBytes + (expanded / ExpandedBytesPerMicrosecond) + (Math.Min(batch.RecordCount, expanded) / RecordsPerMicrosecond);
    }
}
