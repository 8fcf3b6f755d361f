using System.Buffers.Binary;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// How many bytes compressed data can expand to at most, by the lengths that its blocks say of themselves. Nothing is decompressed.
/// Stateless.
/// </summary>
/// <remarks>
/// The codecs' own limits hold for whatever the blocks contain, so that a small frame cannot hide a large one; only for gzip, which has no
/// blocks of a known size, the trailer is believed. Data that is malformed counts as far as it can be followed: decoding it ends there,
/// too.
/// </remarks>
public static class ExpandedSize
{
    private const uint ZstdMagic = 0xFD2FB528;
    private const uint ZstdSkippableMagic = 0x184D2A50;
    private const uint ZstdSkippableMask = 0xFFFFFFF0;
    private const int ZstdBlockBytesMax = 128 * 1024;
    private const uint Lz4Magic = 0x184D2204;
    private const int Lz4RatioMax = 255;
    private const int GzipRatioMax = 1032;

    private static ReadOnlySpan<byte> XerialMagic => [0x82, (byte)'S', (byte)'N', (byte)'A', (byte)'P', (byte)'P', (byte)'Y', 0];

    /// <summary>The most bytes that <paramref name="data"/> expands to.</summary>
    public static long UpperBound(CompressionType compression, ReadOnlySpan<byte> data) => compression switch
    {
        CompressionType.Gzip => OfGzip(data),
        CompressionType.Snappy => OfSnappy(data),
        CompressionType.Lz4 => OfLz4(data),
        CompressionType.Zstd => OfZstd(data),
        _ => data.Length,
    };

    private static long OfGzip(ReadOnlySpan<byte> data) =>
        data.Length < sizeof(uint)
            ? 0
            : Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(data[^sizeof(uint)..]), (long)GzipRatioMax * data.Length);

    private static long OfSnappy(ReadOnlySpan<byte> data)
    {
        const int xerialHeaderBytes = 16;
        if (!data.StartsWith(XerialMagic))
            return OfSnappyBlock(data);
        var total = 0L;
        for (var position = xerialHeaderBytes; data.Length - position >= sizeof(int);)
        {
            var size = BinaryPrimitives.ReadInt32BigEndian(data[position..]);
            position += sizeof(int);
            if (size < 0 || size > data.Length - position)
                break;
            total += OfSnappyBlock(data.Slice(position, size));
            position += size;
        }

        return total;
    }

    private static long OfSnappyBlock(ReadOnlySpan<byte> block)
    {
        var position = 0;
        return Varint.TryReadUnsigned(block, ref position, out var size) ? size : 0;
    }

    private static long OfLz4(ReadOnlySpan<byte> data)
    {
        const int flagsAndBlockSizeBytes = 2;
        if (data.Length < sizeof(uint) + flagsAndBlockSizeBytes + 1 || BinaryPrimitives.ReadUInt32LittleEndian(data) != Lz4Magic)
            return 0;
        var flags = data[sizeof(uint)];
        var blockBytesMax = 1L << (8 + (2 * ((data[sizeof(uint) + 1] >> 4) & 7))); // 4: 64 KiB, 5: 256 KiB, 6: 1 MiB, 7: 4 MiB
        var hasContentSize = (flags & 0x08) != 0;
        var hasBlockChecksum = (flags & 0x10) != 0;
        var position = sizeof(uint) + flagsAndBlockSizeBytes + (hasContentSize ? sizeof(long) : 0) + 1;
        var total = 0L;
        while (data.Length - position >= sizeof(uint))
        {
            var word = BinaryPrimitives.ReadUInt32LittleEndian(data[position..]);
            position += sizeof(uint);
            var size = (long)(word & 0x7FFFFFFF);
            if (size == 0)
                break;
            total += (word & 0x80000000) != 0 ? size : Math.Min(blockBytesMax, size * Lz4RatioMax);
            var next = position + size + (hasBlockChecksum ? sizeof(uint) : 0);
            if (next > data.Length)
                break;
            position = (int)next;
        }

        return total;
    }

    private static long OfZstd(ReadOnlySpan<byte> data)
    {
        var total = 0L;
        while (data.Length > sizeof(uint))
        {
            var magic = BinaryPrimitives.ReadUInt32LittleEndian(data);
            if ((magic & ZstdSkippableMask) == ZstdSkippableMagic)
            {
                var skipped = data.Length < 2 * sizeof(uint)
                    ? data.Length
                    : (2 * sizeof(uint)) + (long)BinaryPrimitives.ReadUInt32LittleEndian(data[sizeof(uint)..]);
                if (skipped > data.Length)
                    break;
                data = data[(int)skipped..];
                continue;
            }

            if (magic != ZstdMagic)
                break;
            total += OfZstdFrame(ref data);
        }

        return total;
    }

    /// <summary>Walks over the blocks of a frame; <paramref name="data"/> begins with it, and then with what follows.</summary>
    private static long OfZstdFrame(ref ReadOnlySpan<byte> data)
    {
        const int blockHeaderBytes = 3;
        var descriptor = data[sizeof(uint)];
        var isSingleSegment = (descriptor & 0x20) != 0;
        var hasChecksum = (descriptor & 0x04) != 0;
        var dictionaryIdBytes = (descriptor & 3) switch { 3 => 4, var bytes => bytes };
        var contentSizeBytes = (descriptor >> 6) switch { 0 => isSingleSegment ? 1 : 0, 1 => 2, 2 => 4, _ => 8 };
        var position = sizeof(uint) + 1 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes;
        var total = 0L;
        while (data.Length - position >= blockHeaderBytes)
        {
            var header = data[position] | (data[position + 1] << 8) | (data[position + 2] << 16);
            position += blockHeaderBytes;
            var size = header >> 3;
            var type = (header >> 1) & 3;
            const int runLength = 1, compressed = 2;
            total += type == compressed ? ZstdBlockBytesMax : size;
            position += Math.Min(type == runLength ? 1 : size, data.Length - position);
            if ((header & 1) != 0)
                break;
        }

        data = data[Math.Min(data.Length, position + (hasChecksum ? sizeof(uint) : 0))..];
        return total;
    }
}
