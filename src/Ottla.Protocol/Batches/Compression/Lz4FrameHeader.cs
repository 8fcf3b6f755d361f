using System.Buffers.Binary;
using System.IO.Hashing;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>What stands at the start of an lz4 frame.</summary>
/// <param name="Bytes">Bytes of the header, magic number included.</param>
/// <param name="BlockBytesMax">The most that a block expands to.</param>
/// <param name="HasBlockChecksums">Whether every block is followed by a checksum.</param>
/// <param name="HasContentChecksum">Whether the end is followed by a checksum of all that was expanded.</param>
/// <param name="ContentBytes">What the whole frame expands to; null where it does not say.</param>
internal readonly record struct Lz4FrameHeader(
    int Bytes, int BlockBytesMax, bool HasBlockChecksums, bool HasContentChecksum, ulong? ContentBytes)
{
    public const uint Magic = 0x184D2204;

    /// <summary>Bytes of the header that is written: magic number, flags, block size, checksum.</summary>
    public const int WrittenBytes = 7;

    /// <summary>What a block that is written expands to at most, as Kafka's clients write them.</summary>
    public const int WrittenBlockBytes = 64 * 1024;

    private const int VersionMask = 0xC0;
    private const int Version1 = 0x40;
    private const int BlocksIndependentFlag = 0x20;
    private const int BlockChecksumsFlag = 0x10;
    private const int ContentSizeFlag = 0x08;
    private const int ContentChecksumFlag = 0x04;
    private const int ReservedMask = 0x03; // one bit is reserved, the other means a dictionary

    private const int BlockSizeShift = 4;
    private const int BlockSizeMin = 4; // 64 KiB; each number more is four times that
    private const int BlockSizeMax = 7;
    private const int BlockSizeReservedMask = 0x8F;

    /// <summary>Writes the header of a frame of independent blocks of 64 KiB without checksums.</summary>
    public static void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        destination[4] = Version1 | BlocksIndependentFlag;
        destination[5] = BlockSizeMin << BlockSizeShift;
        destination[6] = ChecksumOf(destination[4..6]);
    }

    /// <summary>
    /// Reads a header, and refuses what Kafka's clients do not read, though the format has it: dictionaries, dependent blocks, skippable
    /// frames.
    /// </summary>
    /// <returns>The reason why it is refused; null when it is not.</returns>
    public static string? TryRead(ReadOnlySpan<byte> input, out Lz4FrameHeader header)
    {
        header = default;
        if (input.Length < WrittenBytes)
            return "the stream ended prematurely";
        if (BinaryPrimitives.ReadUInt32LittleEndian(input) != Magic)
            return "invalid magic bytes";
        var (flags, blockSize) = (input[4], input[5]);
        if ((flags & VersionMask) != Version1 || (flags & ReservedMask) != 0)
            return $"unsupported frame descriptor 0x{flags:x2}";
        if ((flags & BlocksIndependentFlag) == 0)
            return "dependent blocks are unsupported";
        var size = blockSize >> BlockSizeShift;
        if ((blockSize & BlockSizeReservedMask) != 0 || size < BlockSizeMin)
            return $"unsupported block size 0x{blockSize:x2}";
        var end = 6;
        ulong? contentBytes = null;
        if ((flags & ContentSizeFlag) != 0)
        {
            if (input.Length < end + sizeof(ulong) + 1)
                return "the stream ended prematurely";
            contentBytes = BinaryPrimitives.ReadUInt64LittleEndian(input[end..]);
            end += sizeof(ulong);
        }

        if (input[end] != ChecksumOf(input[4..end]))
            return "the checksum of the frame descriptor is wrong";
        var blockBytesMax = WrittenBlockBytes << (2 * (Math.Min(size, BlockSizeMax) - BlockSizeMin));
        header = new Lz4FrameHeader(
            end + 1, blockBytesMax, (flags & BlockChecksumsFlag) != 0, (flags & ContentChecksumFlag) != 0, contentBytes);
        return null;
    }

    private static byte ChecksumOf(ReadOnlySpan<byte> descriptor) => (byte)(XxHash32.HashToUInt32(descriptor) >> 8);
}
