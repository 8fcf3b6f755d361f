using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches;

/// <summary>Writes one record of a batch (magic 2), byte for byte like Kafka. Keeps nothing.</summary>
public static class RecordWriter
{
    private const int AttributesBytes = 1;

    /// <summary>Bytes of a record behind its length prefix.</summary>
    public static int BodySizeOf(
        int offsetDelta, long timestampDelta, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers) =>
        BodySizeOf(offsetDelta, timestampDelta, key, value, headers.Length, SizeOf(headers));

    /// <summary>Bytes of a record with its length prefix, given those without.</summary>
    public static int SizeOf(int bodyBytes) => Varint.SizeOf(bodyBytes) + bodyBytes;

    /// <summary>Writes a record.</summary>
    /// <param name="target">Has room for <see cref="SizeOf(int)"/> bytes.</param>
    /// <param name="bodyBytes">
    /// What <see cref="BodySizeOf(int, long, NullableBytes, NullableBytes, ReadOnlySpan{RecordHeader})"/> said.
    /// </param>
    /// <param name="offsetDelta">The offset relative to the batch's first.</param>
    /// <param name="timestampDelta">The timestamp relative to the batch's base timestamp.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="headers">The headers.</param>
    public static void Write(
        Span<byte> target, int bodyBytes, int offsetDelta, long timestampDelta, NullableBytes key, NullableBytes value,
        ReadOnlySpan<RecordHeader> headers)
    {
        var rest = WriteBeginning(target, bodyBytes, offsetDelta, timestampDelta, key, value, headers.Length);
        foreach (var header in headers)
        {
            WriteField(ref rest, new NullableBytes(header.Key.Span));
            WriteField(ref rest, NullableBytes.From(header.Value));
        }
    }

    /// <summary>Bytes of the headers, without their count.</summary>
    internal static int SizeOf(ReadOnlySpan<RecordHeader> headers)
    {
        var size = 0;
        foreach (var header in headers)
            size = checked(size + new NullableBytes(header.Key.Span).FieldSizeBytes + NullableBytes.From(header.Value).FieldSizeBytes);
        return size;
    }

    /// <summary>Bytes of a record behind its length prefix, with headers of a known size.</summary>
    internal static int BodySizeOf(
        int offsetDelta, long timestampDelta, NullableBytes key, NullableBytes value, int headerCount, int headersBytes) =>
        checked(
            AttributesBytes + Varint.SizeOf(timestampDelta) + Varint.SizeOf(offsetDelta) + key.FieldSizeBytes + value.FieldSizeBytes
            + Varint.SizeOf(headerCount) + headersBytes);

    /// <summary>Writes a record up to the count of its headers.</summary>
    /// <returns>The space behind it.</returns>
    internal static Span<byte> WriteBeginning(
        Span<byte> target, int bodyBytes, int offsetDelta, long timestampDelta, NullableBytes key, NullableBytes value, int headerCount)
    {
        target = target[Varint.Write(target, bodyBytes)..];
        target[0] = 0; // attributes: none are defined
        target = target[AttributesBytes..];
        target = target[Varint.Write(target, timestampDelta)..];
        target = target[Varint.Write(target, offsetDelta)..];
        WriteField(ref target, key);
        WriteField(ref target, value);
        return target[Varint.Write(target, headerCount)..];
    }

    /// <summary>Writes a length and bytes, and moves the target past them.</summary>
    internal static void WriteField(ref Span<byte> target, NullableBytes field)
    {
        var lengthBytes = Varint.Write(target, field.HasValue ? field.Span.Length : -1);
        field.Span.CopyTo(target[lengthBytes..]);
        target = target[(lengthBytes + field.Span.Length)..];
    }
}
