using System.Buffers.Binary;
using System.Numerics;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// Corrects the header checksum of lz4 frames that Kafka wrote with magic 0, which it computed over the wrong bytes (KAFKA-3160).
/// Stateless.
/// </summary>
internal static class Lz4FrameRepair
{
    private const int FlagsOffset = 4;
    private const int DescriptorBytes = 2;
    private const int ContentSizeBytes = 8;
    private const int ContentSizeMask = 0x08;

    private const uint Prime1 = 2654435761;
    private const uint Prime2 = 2246822519;
    private const uint Prime3 = 3266489917;
    private const uint Prime4 = 668265263;
    private const uint Prime5 = 374761393;

    /// <summary>Returns a copy of a frame with the correct header checksum. Input shorter than a header stays unchanged.</summary>
    public static ReadOnlyMemory<byte> WithRightHeaderChecksum(ReadOnlyMemory<byte> frame)
    {
        if (frame.Length <= FlagsOffset)
            return frame;
        var length = DescriptorBytes + ((frame.Span[FlagsOffset] & ContentSizeMask) == 0 ? 0 : ContentSizeBytes);
        if (frame.Length <= FlagsOffset + length)
            return frame;
        var repaired = frame.ToArray();
        repaired[FlagsOffset + length] = (byte)(XxHash32(repaired.AsSpan(FlagsOffset, length)) >> 8);
        return repaired;
    }

    /// <summary>XXH32 with seed 0 for fewer than 16 bytes, which is enough for a header.</summary>
    private static uint XxHash32(ReadOnlySpan<byte> data)
    {
        var hash = unchecked(Prime5 + (uint)data.Length);
        unchecked
        {
            for (; data.Length >= sizeof(uint); data = data[sizeof(uint)..])
                hash = BitOperations.RotateLeft(hash + BinaryPrimitives.ReadUInt32LittleEndian(data) * Prime3, 17) * Prime4;
            foreach (var value in data)
                hash = BitOperations.RotateLeft(hash + value * Prime5, 11) * Prime1;
            hash = (hash ^ (hash >> 15)) * Prime2;
            hash = (hash ^ (hash >> 13)) * Prime3;
            return hash ^ (hash >> 16);
        }
    }
}
