using Ottla.Broker;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Storage.Log;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>A node with several log directories.</summary>
public sealed class LogDirectoryTests
{
    private const int Partitions = 4;

    [Fact]
    public async Task Replicas_of_a_directory_that_is_lost_at_start_are_neither_led_nor_made_anew_and_return_with_it()
    {
        await using var node = await StartWithTopicAsync();
        var lost = PartitionsIn(node, "/two");
        Assert.InRange(lost.Count, 1, Partitions - 1);

        await node.RestartAsync(disk => disk.Fault = (_, path) => path.StartsWith("/two", StringComparison.Ordinal) ? new IOException("The disk is gone.") : null);
        await using (var client = await node.ConnectAsync())
        {
            for (var second = 0; second < 5; second++) // as upkeep would report what was made in the wrong place
            {
                node.Clock.AdvanceMs(1_000);
                await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null });
            }

            var partitions = (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Topics.Single(topic => topic.Name == "t").Partitions;
            foreach (var partition in partitions)
            {
                Assert.Equal(lost.Contains(partition.PartitionIndex) ? -1 : 0, partition.LeaderId);
                var produced = await client.ProduceAsync("t", Batch(), partition: partition.PartitionIndex);
                AssertError(lost.Contains(partition.PartitionIndex) ? ErrorCode.NotLeaderOrFollower : ErrorCode.None, produced.ErrorCode);
            }

            Assert.Equal(Partitions - lost.Count, PartitionsIn(node, "/one").Count);
            await client.CreateTopicAsync("new"); // what is new finds a place
            AssertError(ErrorCode.None, (await client.ProduceAsync("new", Batch())).ErrorCode);
        }

        await node.RestartAsync(disk => disk.Fault = null);
        await using var after = await node.ConnectAsync();
        for (var partition = 0; partition < Partitions; partition++)
        {
            var index = partition;
            var fetched = await after.FetchAsync("t", 0, change: asked => asked.Partition = index);
            AssertError(ErrorCode.None, fetched.ErrorCode);
            Assert.Equal(lost.Contains(partition) ? 1 : 2, fetched.HighWatermark);
        }
    }

    [Fact]
    public async Task Directories_without_an_id_get_one_at_start()
    {
        await using var node = await StartWithTopicAsync();
        await node.RestartAsync(disk =>
        {
            var properties = MetaProperties.Read(disk, "/two")!;
            (properties with { DirectoryId = null }).Write(disk, "/two");
        });
        var id = MetaProperties.Read(node.Disk, "/two")!.DirectoryId;
        Assert.NotNull(id);
        Assert.NotEqual(MetaProperties.Read(node.Disk, "/one")!.DirectoryId, id);
        await node.RestartAsync();
        Assert.Equal(id, MetaProperties.Read(node.Disk, "/two")!.DirectoryId);
    }

    [Fact]
    public async Task A_directory_that_is_a_copy_of_another_is_refused()
    {
        await using var node = await StartWithTopicAsync();
        var failure = await Assert.ThrowsAsync<NodeStartException>(() => node.RestartAsync(disk => MetaProperties.Read(disk, "/one")!.Write(disk, "/two")));
        Assert.Contains("/two has the directory.id", failure.Message, StringComparison.Ordinal);
    }

    private static async Task<TestNode> StartWithTopicAsync()
    {
        var node = await TestNode.StartAsync(("log.dirs", "/one,/two"));
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", Partitions);
        for (var partition = 0; partition < Partitions; partition++)
            await client.ProduceAsync("t", Batch(), partition: partition);
        var recordsBefore = await MetadataRecordsAsync();
        await node.Clock.AdvanceUntilAsync(ArePlacesReportedAsync(), stepMs: 100);
        return node;

        async Task ArePlacesReportedAsync()
        {
            while (await MetadataRecordsAsync() < recordsBefore + Partitions)
                await Task.Yield();
        }

        async Task<long> MetadataRecordsAsync()
        {
            var partition = new DescribeQuorumRequest.PartitionData { PartitionIndex = 0 };
            var request = new DescribeQuorumRequest { Topics = [new DescribeQuorumRequest.TopicData { TopicName = "__cluster_metadata", Partitions = [partition] }] };
            return (await client.CallAsync<DescribeQuorumRequest, DescribeQuorumResponse>(request)).Topics[0].Partitions[0].HighWatermark;
        }
    }

    private static List<int> PartitionsIn(TestNode node, string directory) =>
        [.. Enumerable.Range(0, Partitions).Where(partition => node.Disk.DirectoryExists($"{directory}/t-{partition}"))];
}
