using System.Buffers.Binary;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Producing;

/// <summary>The partition of a key. Pure.</summary>
internal static class KeyHash
{
    /// <summary>The partition of a key that Kafka's Java client chooses.</summary>
    /// <param name="key">The key.</param>
    /// <param name="partitions">Partitions of the topic; at least 1.</param>
    public static int PartitionByMurmur2(ReadOnlySpan<byte> key, int partitions) => (Murmur2(key) & int.MaxValue) % partitions;

    /// <summary>The partition of a key that librdkafka chooses (<c>consistent</c>).</summary>
    public static int PartitionByCrc32(ReadOnlySpan<byte> key, int partitions) => (int)(Crc32.Compute(key) % (uint)partitions);

    /// <summary>MurmurHash2 with the seed that Kafka uses.</summary>
    public static int Murmur2(ReadOnlySpan<byte> data)
    {
        const uint seed = 0x9747b28c;
        const uint multiplier = 0x5bd1e995;
        const int shift = 24;
        var hash = seed ^ (uint)data.Length;
        while (data.Length >= sizeof(uint))
        {
            var word = BinaryPrimitives.ReadUInt32LittleEndian(data) * multiplier;
            hash = (hash * multiplier) ^ ((word ^ (word >> shift)) * multiplier);
            data = data[sizeof(uint)..];
        }

        if (!data.IsEmpty)
        {
            for (var i = data.Length - 1; i >= 0; i--)
                hash ^= (uint)data[i] << (8 * i);
            hash *= multiplier;
        }

        hash = (hash ^ (hash >> 13)) * multiplier;
        return (int)(hash ^ (hash >> 15));
    }
}
