using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>The hash by which a group detects that its topics changed: their ids, names, partitions and racks (KIP-1101).</summary>
/// <remarks>Brokers store it in records and compare it, also Kafka's brokers: every byte of the input matters.</remarks>
public static class TopicMetadataHash
{
    /// <summary>The version of the hash's input format.</summary>
    private const byte Version = 0;

    /// <summary>The hash of some topics. Topics that do not exist are skipped; without any topic it is 0.</summary>
    public static long Of(IEnumerable<string> topicsInOrder, MetadataImage image)
    {
        var hashes = new ArrayBufferWriter<byte>();
        foreach (var name in topicsInOrder)
        {
            if (image.Topics.Find(name) is { } topic)
                Put(hashes, Of(topic, image.Cluster));
        }

        return hashes.WrittenCount == 0 ? 0 : (long)XxHash3.HashToUInt64(hashes.WrittenSpan);
    }

    private static ulong Of(TopicImage topic, ClusterImage cluster)
    {
        var bytes = new ArrayBufferWriter<byte>();
        bytes.Write([Version]);
        Put(bytes, topic.Id.High);
        Put(bytes, topic.Id.Low);
        Put(bytes, topic.Name);
        Put(bytes, topic.Name.Length);
        Put(bytes, topic.Partitions.Length);
        for (var i = 0; i < topic.Partitions.Length; i++)
        {
            Put(bytes, i);
            foreach (var rack in topic.Partitions[i].Replicas.Select(replica => cluster.Broker(replica)?.Rack).OfType<string>()
                .Order(StringComparer.Ordinal))
            {
                // The length comes before the rack, and again after every text.
                Put(bytes, rack.Length);
                Put(bytes, rack);
                Put(bytes, rack.Length);
            }
        }

        return XxHash3.HashToUInt64(bytes.WrittenSpan);
    }

    private static void Put(ArrayBufferWriter<byte> bytes, ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.GetSpan(sizeof(ulong)), value);
        bytes.Advance(sizeof(ulong));
    }

    private static void Put(ArrayBufferWriter<byte> bytes, int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(bytes.GetSpan(sizeof(int)), value);
        bytes.Advance(sizeof(int));
    }

    private static void Put(ArrayBufferWriter<byte> bytes, string text)
    {
        foreach (var character in text)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.GetSpan(sizeof(char)), character);
            bytes.Advance(sizeof(char));
        }
    }
}
