using System.Net.Sockets;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Wire;

/// <summary>What became of one CreateTopics request for one topic.</summary>
/// <param name="Error">Kafka's code; null when there was no answer.</param>
/// <param name="TopicId">The topic's id, when it was created.</param>
public sealed record Creation(int? Error, Guid TopicId);

/// <summary>What a broker says of the cluster.</summary>
/// <param name="Brokers">Ids and ports of the brokers that are not fenced.</param>
/// <param name="Topics">Id, and of the first partition the leader and the number of replicas in sync, by name.</param>
public sealed record ClusterMetadata(
    IReadOnlyDictionary<int, int> Brokers, IReadOnlyList<(string Name, Guid Id, int Leader, int InSync)> Topics);

/// <summary>The requests of the cluster tests, by hand. Each opens a connection of its own unless given one.</summary>
public static class ClusterClient
{
    private const short MetadataKey = 3;
    private const short CreateTopicsKey = 19;
    private const short DescribeQuorumKey = 55;

    /// <summary>The error of a topic that is there already.</summary>
    public const int TopicAlreadyExists = 36;

    /// <summary>The error of a request that was not answered in time on the broker: it may have been carried out.</summary>
    public const int RequestTimedOut = 7;

    /// <summary>Metadata of all topics; null when the broker does not answer.</summary>
    public static async Task<ClusterMetadata?> TryMetadataAsync(int port)
    {
        try
        {
            await using var connection = await RawConnection.OpenAsync(port);
            return await MetadataAsync(connection);
        }
        catch (Exception exception) when (IsNoAnswer(exception))
        {
            return null;
        }
    }

    /// <summary>Metadata of all topics.</summary>
    public static async Task<ClusterMetadata> MetadataAsync(RawConnection connection)
    {
        var body = new WireWriter().CompactLength(null).Int8(0).Int8(0); // all topics, no creation, no operations
        var response = await connection.RequestFlexibleAsync(MetadataKey, 12, body);
        response.Int32(); // throttle time
        var brokers = response.CompactArray(reader =>
        {
            var broker = (Id: reader.Int32(), Host: reader.CompactString(), Port: reader.Int32());
            reader.CompactString(); // rack
            return broker;
        });
        response.CompactString(); // cluster id
        response.Int32(); // controller
        var topics = response.CompactArray(ReadTopic);
        return new ClusterMetadata(brokers.ToDictionary(broker => broker.Id, broker => broker.Port), topics);
    }

    /// <summary>Creates a topic of one partition, with one replica unless told otherwise.</summary>
    public static async Task<Creation> CreateTopicAsync(RawConnection connection, string name, int timeoutMs, short replicas = 1)
    {
        try
        {
            var body = new WireWriter().CompactLength(1).CompactString(name).Int32(1).Int16(replicas).CompactLength(0).CompactLength(0)
                .NoTags().Int32(timeoutMs).Int8(0);
            var response = await connection.RequestFlexibleAsync(CreateTopicsKey, 7, body);
            response.Int32(); // throttle time
            return response.CompactArray(reader =>
            {
                reader.CompactString(); // name
                var id = ReadUuid(reader);
                var error = reader.Int16();
                reader.CompactString(); // message
                reader.Int32(); // partitions
                reader.Int16(); // replication factor
                reader.CompactArray(config =>
                {
                    config.CompactString(); // name
                    config.CompactString(); // value
                    config.Int8(); // read only
                    config.Int8(); // source
                    return config.Int8(); // sensitive
                });
                return new Creation(error, id);
            }).Single();
        }
        catch (Exception exception) when (IsNoAnswer(exception))
        {
            return new Creation(null, Guid.Empty);
        }
    }

    /// <summary>The leader of the quorum, as a broker says; null when it does not answer, or there is none.</summary>
    public static async Task<int?> TryQuorumLeaderAsync(int port)
    {
        try
        {
            await using var connection = await RawConnection.OpenAsync(port);
            var body = new WireWriter().CompactLength(1).CompactString("__cluster_metadata")
                .CompactLength(1).Int32(0).NoTags().NoTags();
            var response = await connection.RequestFlexibleAsync(DescribeQuorumKey, 0, body);
            if (response.Int16() != 0 || response.CompactLength() != 1)
                return null;
            response.CompactString(); // topic
            if (response.CompactLength() != 1)
                return null;
            response.Int32(); // partition
            return response.Int16() == 0 && response.Int32() is var leader and >= 0 ? leader : null;
        }
        catch (Exception exception) when (IsNoAnswer(exception))
        {
            return null;
        }
    }

    /// <summary>Whether an exception means that the node is gone, or too busy to answer.</summary>
    public static bool IsNoAnswer(Exception exception) =>
        exception is SocketException or IOException or TimeoutException or OperationCanceledException;

    private static (string Name, Guid Id, int Leader, int InSync) ReadTopic(WireReader reader)
    {
        reader.Int16(); // error
        var name = reader.CompactString()!;
        var id = ReadUuid(reader);
        reader.Int8(); // internal
        var partitions = reader.CompactArray(partition =>
        {
            partition.Int16(); // error
            partition.Int32(); // index
            var leader = partition.Int32();
            partition.Int32(); // epoch
            SkipIds(partition); // replicas
            var inSync = SkipIds(partition);
            SkipIds(partition); // offline
            return (leader, inSync);
        });
        reader.Int32(); // operations
        return (name, id, partitions[0].leader, partitions[0].inSync);
    }

    /// <returns>How many there were.</returns>
    private static int SkipIds(WireReader reader)
    {
        var count = reader.CompactLength();
        for (var i = 0; i < count; i++)
            reader.Int32();
        return count;
    }

    private static Guid ReadUuid(WireReader reader) => new(reader.Bytes(16), bigEndian: true);
}
