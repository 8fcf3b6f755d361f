namespace Ottla.Protocol.Batches;

/// <summary>CRC-32 (IEEE 802.3, like zlib), the checksum of messages of magic 0 and 1. Stateless.</summary>
/// <remarks>One table lookup per byte is fast enough: such messages are checked only in recovery, compaction and inspection.</remarks>
public static class Crc32
{
    private const uint ReversedPolynomial = 0xEDB88320;

    private static readonly uint[] Table = BuildTable();

    /// <summary>The checksum of <paramref name="data"/>.</summary>
    public static uint Compute(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
            crc = (crc >> 8) ^ Table[(byte)(crc ^ value)];
        return ~crc;
    }

    private static uint[] BuildTable()
    {
        var table = new uint[256];
        for (uint i = 0; i < table.Length; i++)
        {
            var crc = i;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ ReversedPolynomial;
            table[i] = crc;
        }

        return table;
    }
}
