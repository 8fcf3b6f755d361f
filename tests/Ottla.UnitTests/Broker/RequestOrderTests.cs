using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>Two requests of a connection in one send: the second sees what the first did, every time.</summary>
public sealed class RequestOrderTests
{
    private const int Rounds = 20;

    [Fact]
    public async Task A_topic_that_was_created_is_described()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        for (var round = 0; round < Rounds; round++)
        {
            await client.SendTogetherAsync(CreateTopics(Topic($"t-{round}")), Describe($"t-{round}"));
            AssertError(ErrorCode.None, (await client.ReceiveAsync<CreateTopicsResponse>()).Topics[0].ErrorCode);
            AssertError(ErrorCode.None, (await client.ReceiveAsync<MetadataResponse>()).Topics[0].ErrorCode);
        }
    }

    [Fact]
    public async Task A_topic_that_was_created_takes_records()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        for (var round = 0; round < Rounds; round++)
        {
            await client.SendAsync(CreateTopics(Topic($"t-{round}")), 7);
            await client.SendAsync(Produce($"t-{round}", Uuid.Zero, Batch(), 12, acks: -1), 12);
            AssertError(ErrorCode.None, (await client.ReceiveAsync<CreateTopicsResponse>()).Topics[0].ErrorCode);
            AssertError(ErrorCode.None, (await client.ReceiveAsync<ProduceResponse>()).Responses[0].PartitionResponses[0].ErrorCode);
        }
    }

    [Fact]
    public async Task Configs_that_were_altered_are_described()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        for (var round = 0; round < Rounds; round++)
        {
            var value = $"{100_000 + round}";
            var alter = new AlterConfigsRequest
            {
                Resources = [new() { ResourceType = 2, ResourceName = "t", Configs = [new() { Name = "retention.ms", Value = value }] }],
            };
            var describe =
                new DescribeConfigsRequest
                {
                    Resources = [
                    new() { ResourceType = 2, ResourceName = "t", ConfigurationKeys = ["retention.ms"] }]
                };
            await client.SendTogetherAsync(alter, describe);
            AssertError(ErrorCode.None, (await client.ReceiveAsync<AlterConfigsResponse>()).Responses[0].ErrorCode);
            Assert.Equal(value, Assert.Single((await client.ReceiveAsync<DescribeConfigsResponse>()).Results[0].Configs).Value);
        }
    }

    [Fact]
    public async Task Partitions_that_were_created_are_described()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        for (var round = 0; round < Rounds; round++)
        {
            await client.SendTogetherAsync(
                new CreatePartitionsRequest { Topics = [new() { Name = "t", Count = round + 2, Assignments = null }] }, Describe("t"));
            AssertError(ErrorCode.None, (await client.ReceiveAsync<CreatePartitionsResponse>()).Results[0].ErrorCode);
            Assert.Equal(round + 2, (await client.ReceiveAsync<MetadataResponse>()).Topics[0].Partitions.Length);
        }
    }

    [Fact]
    public async Task A_topic_that_was_deleted_is_not_described()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        for (var round = 0; round < Rounds; round++)
        {
            await client.CreateTopicAsync($"t-{round}");
            await client.SendTogetherAsync(new DeleteTopicsRequest { Topics = [new() { Name = $"t-{round}" }] }, Describe($"t-{round}"));
            AssertError(ErrorCode.None, (await client.ReceiveAsync<DeleteTopicsResponse>()).Responses[0].ErrorCode);
            AssertError(ErrorCode.UnknownTopicOrPartition, (await client.ReceiveAsync<MetadataResponse>()).Topics[0].ErrorCode);
        }
    }

    /// <summary>A large batch leaves the network loop; a small one behind it does not, and still comes second.</summary>
    [Fact]
    public async Task Records_of_a_connection_keep_their_order_when_some_take_long()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t", ("message.max.bytes", "10000000"));
        await using var _1 = node;
        var large = Batch(recordCount: 5, valueBytes: 500_000);
        for (var round = 0; round < Rounds; round++)
        {
            await client.SendAsync(Produce("t", Uuid.Zero, large, 12), 12);
            await client.SendAsync(Produce("t", Uuid.Zero, Batch(), 12), 12);
        }

        for (var round = 0; round < Rounds; round++)
        {
            Assert.Equal(6 * round, (await client.ReceiveAsync<ProduceResponse>()).Responses[0].PartitionResponses[0].BaseOffset);
            Assert.Equal((6 * round) + 5, (await client.ReceiveAsync<ProduceResponse>()).Responses[0].PartitionResponses[0].BaseOffset);
        }
    }

    [Fact]
    public async Task A_resource_named_twice_is_described_once()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        DescribeConfigsRequest.DescribeConfigsResource topic = new() { ResourceType = 2, ResourceName = "t", ConfigurationKeys = null };
        DescribeConfigsRequest.DescribeConfigsResource key =
            new() { ResourceType = 2, ResourceName = "t", ConfigurationKeys = ["retention.ms"] };
        var response = await client.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(
            new DescribeConfigsRequest { Resources = [.. Enumerable.Repeat(topic, 20_000), key, key] });
        Assert.Equal(2, response.Results.Length);
        Assert.True(response.Results[0].Configs.Length > 20);
        Assert.Single(response.Results[1].Configs);
    }

    private static MetadataRequest Describe(string topic) => new() { Topics = [new() { Name = topic }], AllowAutoTopicCreation = false };
}
