using System.Text;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Broker;

/// <summary>The requests that tests make again and again.</summary>
internal static class Requests
{
    public const short FirstVersionWithTopicIds = 13; // of Produce and of Fetch

    /// <summary>The time at which a test's clock starts.</summary>
    public static readonly long StartMs = new DateTimeOffset(2026, 1, 2, 0, 0, 0, TimeSpan.Zero).ToUnixTimeMilliseconds();

    /// <summary>A batch of records with keys; their timestamps follow each other by one millisecond.</summary>
    public static byte[] Batch(int recordCount = 1, RecordBatchOptions? options = null, long? timestampMs = null, int valueBytes = 10)
    {
        using var builder = new RecordBatchBuilder(options ?? new RecordBatchOptions());
        for (var i = 0; i < recordCount; i++)
            builder.Append((timestampMs ?? StartMs) + i, Encoding.UTF8.GetBytes($"key-{i}"), new byte[valueBytes]);
        return builder.Build();
    }

    public static ProduceRequest Produce(string topic, Uuid topicId, byte[] records, short version, short acks = 1, int partition = 0) =>
        new()
        {
            Acks = acks,
            TimeoutMs = 1000,
            TopicData =
        [
            new ProduceRequest.TopicProduceData
            {
                Name = version < FirstVersionWithTopicIds ? topic : "",
                TopicId = version < FirstVersionWithTopicIds ? Uuid.Zero : topicId,
                PartitionData = [new ProduceRequest.PartitionProduceData { Index = partition, Records = new Records(records) }],
            },
        ],
        };

    public static FetchRequest Fetch(
        string topic, Uuid topicId, long offset, short version, int partition = 0, Action<FetchRequest.FetchPartition>? change = null)
    {
        var fetched = new FetchRequest.FetchPartition { Partition = partition, FetchOffset = offset, PartitionMaxBytes = 1 << 20 };
        change?.Invoke(fetched);
        return new FetchRequest
        {
            MinBytes = 1,
            MaxBytes = 1 << 20,
            Topics =
            [
                new FetchRequest.FetchTopic
                {
                    Topic = version < FirstVersionWithTopicIds ? topic : "",
                    TopicId = version < FirstVersionWithTopicIds ? Uuid.Zero : topicId,
                    Partitions = [fetched],
                },
            ],
        };
    }

    public static CreateTopicsRequest CreateTopics(params CreateTopicsRequest.CreatableTopic[] topics) => new() { Topics = topics };

    public static CreateTopicsRequest.CreatableTopic Topic(
        string name, int partitions = 1, params (string Name, string? Value)[] configs) => new()
        {
            Name = name,
            NumPartitions = partitions,
            ReplicationFactor = 1,
            Configs = [.. configs.Select(
                config => new CreateTopicsRequest.CreatableTopicConfig { Name = config.Name, Value = config.Value })],
        };

    /// <summary>Creates a topic.</summary>
    /// <returns>Its id.</returns>
    public static async Task<Uuid> CreateTopicAsync(
        this TestConnection client, string name, int partitions = 1, params (string Name, string? Value)[] configs)
    {
        var response = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(CreateTopics(Topic(name, partitions, configs)));
        var result = Assert.Single(response.Topics);
        AssertError(ErrorCode.None, result.ErrorCode);
        return result.TopicId;
    }

    /// <summary>Produces to partition 0 of a topic.</summary>
    public static async Task<ProduceResponse.PartitionProduceResponse> ProduceAsync(
        this TestConnection client, string topic, byte[] records, short acks = 1, short version = 12, int partition = 0)
    {
        var response = await client.CallAsync<ProduceRequest, ProduceResponse>(
            Produce(topic, Uuid.Zero, records, version, acks, partition), version);
        return Assert.Single(Assert.Single(response.Responses).PartitionResponses);
    }

    /// <summary>Fetches one partition of a topic, by name.</summary>
    public static async Task<FetchResponse.PartitionData> FetchAsync(
        this TestConnection client, string topic, long offset, Action<FetchRequest.FetchPartition>? change = null,
        Action<FetchRequest>? changeRequest = null)
    {
        const short version = 12;
        var request = Fetch(topic, Uuid.Zero, offset, version, change: change);
        changeRequest?.Invoke(request);
        var response = await client.CallAsync<FetchRequest, FetchResponse>(request, version);
        AssertError(ErrorCode.None, response.ErrorCode);
        return Assert.Single(Assert.Single(response.Responses).Partitions);
    }

    /// <summary>The base offsets of the batches in a reply.</summary>
    public static List<long> BaseOffsets(Records records)
    {
        var offsets = new List<long>();
        for (var rest = records.Memory; rest.Length > 0;)
        {
            var batch = new RecordBatchView(rest.Span);
            Assert.True(batch.IsCrcValid, "batches are returned whole");
            offsets.Add(batch.BaseOffset);
            rest = rest[batch.SizeInBytes..];
        }

        return offsets;
    }

    public static void AssertError(ErrorCode expected, short actual, string? message = null) =>
        Assert.True(expected == (ErrorCode)actual, $"{expected} expected, but it is {(ErrorCode)actual} {message}");
}
