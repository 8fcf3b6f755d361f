using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Wire;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>What the sticky assignors write into their members' subscriptions.</summary>
internal static class StickyUserData
{
    private const int TopicBytesMin = 6;
    private const int PartitionBytes = 4;

    /// <summary>Writes the partitions that a member had, and the generation in which it had them.</summary>
    public static byte[] Write(IReadOnlyList<TopicPartition> partitions, int generation)
    {
        var byTopic = partitions.GroupBy(partition => partition.Topic).ToDictionary(topic => topic.Key, topic => topic.ToList());
        var buffer = new WireBuffer();
        var writer = new WireWriter(buffer);
        writer.WriteInt32(byTopic.Count);
        foreach (var topic in JavaMapOrder.Of(byTopic.Keys))
        {
            writer.WriteString(topic, flexible: false);
            writer.WriteInt32(byTopic[topic].Count);
            foreach (var partition in byTopic[topic])
                writer.WriteInt32(partition.Partition);
        }

        writer.WriteInt32(generation);
        writer.Flush();
        return buffer.Written.ToArray();
    }

    /// <summary>Writes a generation alone.</summary>
    public static byte[] Write(int generation)
    {
        var buffer = new WireBuffer();
        var writer = new WireWriter(buffer);
        writer.WriteInt32(generation);
        writer.Flush();
        return buffer.Written.ToArray();
    }

    /// <summary>Reads a generation; -1 when the bytes are none.</summary>
    public static int ReadGeneration(byte[] bytes) => bytes.Length >= sizeof(int) ? new WireReader(bytes).ReadInt32() : -1;

    /// <summary>
    /// Reads partitions and their generation. The oldest clients write none: then it is null. Bytes that are something else count as no
    /// partitions, since another member's mistake must not keep the group from being assigned.
    /// </summary>
    public static (List<TopicPartition> Partitions, int? Generation) Read(byte[] bytes)
    {
        try
        {
            var partitions = new List<TopicPartition>();
            var reader = new WireReader(bytes);
            for (var topics = reader.ReadArrayLength(false, TopicBytesMin, "previous_assignment"); topics > 0; topics--)
            {
                var topic = reader.ReadString(false, "topic");
                for (var count = reader.ReadArrayLength(false, PartitionBytes, "partitions"); count > 0; count--)
                    partitions.Add(new TopicPartition(topic, reader.ReadInt32()));
            }

            return (partitions, reader.Remaining >= sizeof(int) ? reader.ReadInt32() : null);
        }
        catch (ProtocolException)
        {
            return ([], -1);
        }
    }
}
