using System.Diagnostics;
using System.Net.Sockets;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Load;

/// <summary>
/// Topics and questions around a measurement, over a connection of its own for each. The same requests go to broker and floor.
/// </summary>
internal sealed class TargetAdmin(string host, int port)
{
    public const short ApiVersionsVersion = 0;
    public const short MetadataVersion = 8;
    public const short CreateTopicsVersion = 4;
    public const short DeleteTopicsVersion = 3;
    public const short ListOffsetsVersion = 1;

    private const int TimeoutMs = 20_000;
    private const int PollMs = 5;
    private const long LatestTimestamp = -1;

    /// <summary>One attempt to be answered; false when nobody listens yet.</summary>
    public bool TryApiVersions()
    {
        try
        {
            using var connection = new LoadConnection(host, port);
            var response = connection.Ask<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsRequest(), ApiVersionsVersion);
            return response.ErrorCode == (short)ErrorCode.None;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Creates a topic and waits until all its partitions have a leader that answers for them.</summary>
    public void CreateTopic(string topic, int partitions)
    {
        using var connection = new LoadConnection(host, port);
        var request =
            new CreateTopicsRequest
            {
                TimeoutMs = TimeoutMs,
                Topics = [new() { Name = topic, NumPartitions = partitions, ReplicationFactor = 1 }]
            };
        var created = connection.Ask<CreateTopicsRequest, CreateTopicsResponse>(request, CreateTopicsVersion).Topics[0];
        if (created.ErrorCode != (short)ErrorCode.None)
            throw new BenchException($"CreateTopics was answered with {(ErrorCode)created.ErrorCode}: {created.ErrorMessage}");
        var asked = Stopwatch.GetTimestamp();
        while (!HasLeaders(connection, topic, partitions) || EndOffsets(connection, topic, partitions) is null)
        {
            if (Stopwatch.GetElapsedTime(asked).TotalMilliseconds > TimeoutMs)
                throw new BenchException($"{topic} has partitions without a leader.");
            Thread.Sleep(PollMs);
        }
    }

    public void DeleteTopic(string topic)
    {
        using var connection = new LoadConnection(host, port);
        var request = new DeleteTopicsRequest { TimeoutMs = TimeoutMs, TopicNames = [topic] };
        var error = connection.Ask<DeleteTopicsRequest, DeleteTopicsResponse>(request, DeleteTopicsVersion).Responses[0].ErrorCode;
        if (error != (short)ErrorCode.None)
            throw new BenchException($"DeleteTopics was answered with {(ErrorCode)error}.");
    }

    /// <summary>Whether all partitions of a topic have a leader that answers for them.</summary>
    public bool Serves(string topic, int partitions)
    {
        using var connection = new LoadConnection(host, port);
        return HasLeaders(connection, topic, partitions) && EndOffsets(connection, topic, partitions) is not null;
    }

    /// <summary>The end offsets of all partitions, added up: as many records as a new topic has been given.</summary>
    public long CountRecords(string topic, int partitions)
    {
        using var connection = new LoadConnection(host, port);
        return EndOffsets(connection, topic, partitions) ?? throw new BenchException("ListOffsets was answered with an error.");
    }

    private static long? EndOffsets(LoadConnection connection, string topic, int partitions)
    {
        var asked = Enumerable.Range(0, partitions)
            .Select(partition => new ListOffsetsRequest.ListOffsetsPartition { PartitionIndex = partition, Timestamp = LatestTimestamp });
        var request = new ListOffsetsRequest { ReplicaId = -1, Topics = [new() { Name = topic, Partitions = [.. asked] }] };
        var answered = connection.Ask<ListOffsetsRequest, ListOffsetsResponse>(request, ListOffsetsVersion).Topics[0].Partitions;
        return answered.All(partition => partition.ErrorCode == (short)ErrorCode.None) ? answered.Sum(partition => partition.Offset) : null;
    }

    private static bool HasLeaders(LoadConnection connection, string topic, int partitions)
    {
        var request = new MetadataRequest { Topics = [new() { Name = topic }], AllowAutoTopicCreation = false };
        var answered = connection.Ask<MetadataRequest, MetadataResponse>(request, MetadataVersion).Topics[0];
        return answered.ErrorCode == (short)ErrorCode.None
            && answered.Partitions.Length == partitions
            && answered.Partitions.All(partition => partition.ErrorCode == (short)ErrorCode.None && partition.LeaderId >= 0);
    }
}
