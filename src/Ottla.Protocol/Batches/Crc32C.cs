using System.Buffers.Binary;
using System.Numerics;

namespace Ottla.Protocol.Batches;

/// <summary>CRC-32C (Castagnoli), the checksum of record batches and of Raft snapshots. Stateless.</summary>
/// <remarks>
/// The processor's CRC instruction takes three cycles but can start in every cycle, so long inputs are split into three lanes that run in
/// parallel. To join the lanes, a checksum is moved over the bytes that follow it; this is linear over GF(2) and takes one table lookup per
/// checksum byte. <see cref="BitOperations"/> chooses the instruction (SSE4.2 or ARM), or a table on other processors.
/// </remarks>
public static class Crc32C
{
    private const uint ReversedPolynomial = 0x82F63B78;
    private const int LongLaneBytes = 4096;
    private const int ShortLaneBytes = 256;

    private static readonly uint[] LongLaneShift = BuildShiftTable(LongLaneBytes);
    private static readonly uint[] ShortLaneShift = BuildShiftTable(ShortLaneBytes);

    /// <summary>The checksum of <paramref name="data"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => Append(0, data);

    /// <summary>Continues checksum <paramref name="crc"/> over <paramref name="data"/>.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        while (data.Length >= 3 * LongLaneBytes)
        {
            crc = AppendLanes(crc, data, LongLaneBytes, LongLaneShift);
            data = data[(3 * LongLaneBytes)..];
        }

        while (data.Length >= 3 * ShortLaneBytes)
        {
            crc = AppendLanes(crc, data, ShortLaneBytes, ShortLaneShift);
            data = data[(3 * ShortLaneBytes)..];
        }

        while (data.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[sizeof(ulong)..];
        }

        foreach (var b in data)
            crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }

    private static uint AppendLanes(uint crc, ReadOnlySpan<byte> data, int laneBytes, uint[] laneShift)
    {
        var first = data[..laneBytes];
        var second = data.Slice(laneBytes, laneBytes);
        var third = data.Slice(2 * laneBytes, laneBytes);
        uint secondCrc = 0;
        uint thirdCrc = 0;
        for (var i = 0; i < laneBytes; i += sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(first[i..]));
            secondCrc = BitOperations.Crc32C(secondCrc, BinaryPrimitives.ReadUInt64LittleEndian(second[i..]));
            thirdCrc = BitOperations.Crc32C(thirdCrc, BinaryPrimitives.ReadUInt64LittleEndian(third[i..]));
        }

        return Shift(laneShift, Shift(laneShift, crc) ^ secondCrc) ^ thirdCrc;
    }

    private static uint Shift(uint[] table, uint crc) =>
        table[crc & 0xFF] ^ table[256 + ((crc >> 8) & 0xFF)] ^ table[512 + ((crc >> 16) & 0xFF)] ^ table[768 + (crc >> 24)];

    /// <summary>
    /// Builds the tables that move a checksum over <paramref name="zeroBytes"/> zero bytes: four tables of 256 entries, one per checksum
    /// byte.
    /// </summary>
    private static uint[] BuildShiftTable(int zeroBytes)
    {
        Span<uint> shiftedBit = stackalloc uint[32];
        for (var bit = 0; bit < 32; bit++)
        {
            var crc = 1u << bit;
            for (var i = 0; i < 8 * zeroBytes; i++)
                crc = (crc >> 1) ^ ((crc & 1) * ReversedPolynomial);
            shiftedBit[bit] = crc;
        }

        var table = new uint[4 * 256];
        for (var i = 0; i < table.Length; i++)
        {
            for (var bit = 0; bit < 8; bit++)
            {
                if ((i & (1 << bit)) != 0)
                    table[i] ^= shiftedBit[8 * (i >> 8) + bit];
            }
        }

        return table;
    }
}
