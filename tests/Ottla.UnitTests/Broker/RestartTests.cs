using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What a node knows after it stopped, or died, and started again.</summary>
public sealed class RestartTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Topics_configs_and_records_are_kept(bool isCrash)
    {
        await using var node = await TestNode.StartAsync();
        await using var before = await node.ConnectAsync();
        var id = await before.CreateTopicAsync("t", 2, ("retention.ms", "123456789"));
        await before.ProduceAsync("t", Batch(3, new RecordBatchOptions { ProducerId = 7, ProducerEpoch = 0, BaseSequence = 0 }), acks: -1);
        await before.ProduceAsync("t", Batch(2), partition: 1);
        await before.CreateTopicAsync("gone");
        await before.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsRequest { TopicNames = ["gone"] }, 5);

        for (var i = 0; i < 2; i++)
        {
            await (isCrash ? node.CrashAsync() : node.RestartAsync());
            await before.AssertClosedAsync();
            await using var client = await node.ConnectAsync();
            var topic = Assert.Single(
                (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Topics);
            Assert.Equal(("t", id, 2), (topic.Name, topic.TopicId, topic.Partitions.Length));
            Assert.All(topic.Partitions, partition => Assert.Equal((0, 0), (partition.ErrorCode, partition.LeaderId)));
            var fetched = await client.FetchAsync("t", 0);
            Assert.Equal([0L], BaseOffsets(fetched.Records));
            Assert.Equal(3, fetched.HighWatermark);
            var describe =
                new DescribeConfigsRequest
                {
                    Resources = [
                    new DescribeConfigsRequest.DescribeConfigsResource { ResourceType = 2, ResourceName = "t",
                        ConfigurationKeys = ["retention.ms"] }]
                };
            Assert.Equal(
                "123456789",
                (await client.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(describe)).Results[0].Configs[0].Value);

            // The producer's state too: what it sends again is known.
            Assert.Equal(
                0, (await client.ProduceAsync(
                    "t", Batch(3, new RecordBatchOptions { ProducerId = 7, ProducerEpoch = 0, BaseSequence = 0 }))).BaseOffset);
            Assert.Equal(2 + i, (await client.ProduceAsync("t", Batch(), partition: 1)).BaseOffset);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Producer_ids_are_never_given_again(bool isCrash)
    {
        await using var node = await TestNode.StartAsync();
        var ids = new HashSet<long>();
        for (var i = 0; i < 3; i++)
        {
            await using var client = await node.ConnectAsync();
            for (var j = 0; j < 3; j++)
                Assert.True(
                    ids.Add((await client.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(
                        new InitProducerIdRequest { TransactionalId = null })).ProducerId));
            await (isCrash ? node.CrashAsync() : node.RestartAsync());
        }
    }

    [Fact]
    public async Task Log_start_offsets_are_kept_over_a_clean_stop()
    {
        await using var node = await TestNode.StartAsync();
        await using var before = await node.ConnectAsync();
        await before.CreateTopicAsync("t");
        await before.ProduceAsync("t", Batch(5));
        var partition = new DeleteRecordsRequest.DeleteRecordsPartition { Offset = 3 };
        await before.CallAsync<DeleteRecordsRequest, DeleteRecordsResponse>(
            new DeleteRecordsRequest { Topics = [new DeleteRecordsRequest.DeleteRecordsTopic { Name = "t", Partitions = [partition] }] });
        await node.RestartAsync();
        await using var client = await node.ConnectAsync();
        AssertError(ErrorCode.OffsetOutOfRange, (await client.FetchAsync("t", 2)).ErrorCode);
        var kept = await client.FetchAsync("t", 3);
        AssertError(ErrorCode.None, kept.ErrorCode);
        Assert.Equal(3, kept.LogStartOffset);
    }
}
