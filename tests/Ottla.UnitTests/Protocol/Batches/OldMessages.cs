using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>
/// Writes messages of magic 0 and 1 as Kafka did before 0.11. Independent of what reads them: even the checksum is that of gzip's trailer.
/// </summary>
internal static class OldMessages
{
    private const int LogAppendTimeMask = 0x08;

    /// <summary>An uncompressed message.</summary>
    public static byte[] Message(byte magic, long offset, long timestamp, string? key, string? value) =>
        Frame(magic, offset, 0, timestamp, Bytes(key), Bytes(value));

    /// <summary>A compressed message with messages in it at offsets that follow each other.</summary>
    public static byte[] Compressed(byte magic, long baseOffset, CompressionType codec, bool isLogAppendTime, long wrapperTimestamp,
        params (long Timestamp, string? Key, string? Value)[] records) =>
        CompressedAt(magic, [.. records.Select((_, i) => baseOffset + i)], codec, isLogAppendTime, wrapperTimestamp, records);

    /// <summary>A compressed message with messages in it; their offsets are relative with magic 1, and absolute with magic 0.</summary>
    public static byte[] CompressedAt(byte magic, long[] offsets, CompressionType codec, bool isLogAppendTime, long wrapperTimestamp,
        params (long Timestamp, string? Key, string? Value)[] records)
    {
        using var inner = new PooledBufferWriter(256);
        for (var i = 0; i < records.Length; i++)
            inner.Write(Message(magic, magic == 0 ? offsets[i] : offsets[i] - offsets[0], records[i].Timestamp, records[i].Key,
                records[i].Value));
        using var compressed = new PooledBufferWriter(256);
        CompressionCodecs.For(codec).Compress(inner.WrittenSpan, CompressionCodecs.For(codec).Levels.Default, compressed);
        if (codec == CompressionType.Lz4 && magic == 0)
            compressed.WrittenSpan[6] ^= 0x55; // the checksum of the header, which Kafka had wrong
        return Frame(magic, offsets[^1], (int)codec | (isLogAppendTime ? LogAppendTimeMask : 0), wrapperTimestamp, null,
            compressed.WrittenSpan.ToArray());
    }

    private static byte[] Frame(byte magic, long offset, int attributes, long timestamp, byte[]? key, byte[]? value)
    {
        using var message = new MemoryStream();
        message.WriteByte(magic);
        message.WriteByte((byte)attributes);
        if (magic == 1)
            Write(message, timestamp, 8);
        Write(message, key?.Length ?? -1, 4);
        message.Write(key ?? []);
        Write(message, value?.Length ?? -1, 4);
        message.Write(value ?? []);
        using var framed = new MemoryStream();
        Write(framed, offset, 8);
        Write(framed, 4 + message.Length, 4);
        Write(framed, Crc(message.ToArray()), 4);
        framed.Write(message.ToArray());
        return framed.ToArray();
    }

    private static long Crc(byte[] bytes)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(output.ToArray().AsSpan()[^8..]);
    }

    private static void Write(MemoryStream target, long value, int bytes)
    {
        for (var shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
            target.WriteByte((byte)(value >> shift));
    }

    private static byte[]? Bytes(string? text) => text is null ? null : Encoding.UTF8.GetBytes(text);
}
