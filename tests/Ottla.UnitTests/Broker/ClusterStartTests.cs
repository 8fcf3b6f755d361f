using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Broker;

/// <summary>Nodes find each other in any order, serve, and leave in order.</summary>
public sealed class ClusterStartTests
{
    [Theory]
    [InlineData(1, 2, 3)]
    [InlineData(3, 1, 2)]
    public async Task Three_combined_nodes_serve_whatever_their_order(int first, int second, int third)
    {
        await using var cluster = new TestCluster([1, 2, 3], [1, 2, 3]);
        var one = cluster.Nodes[first].StartAsync();
        await Waiting.UntilAsync(() => cluster.Log.Logger.Warnings.Any(
            line => line.StartsWith("Waiting for an active controller", StringComparison.Ordinal)));
        Assert.False(one.IsCompleted); // it waits for a majority
        await cluster.StartAsync([second, third]);
        await one.WaitAsync(TestCluster.Patience);
        foreach (var node in cluster.Nodes.Values)
        {
            await using var client = await node.ConnectAsync();
            await Waiting.UntilAsync(() => node.Image.Cluster.Brokers.Values.Count(broker => !broker.Fenced) == 3);
            var answer = await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null });
            Assert.Equal([1, 2, 3], answer.Brokers.Select(broker => broker.NodeId).Order());
        }
    }

    [Fact]
    public async Task A_topic_is_created_at_any_broker_and_lives_on_any()
    {
        await using var cluster = await TestCluster.StartCombinedAsync();
        foreach (var node in cluster.Nodes.Values)
        {
            await using var client = await node.ConnectAsync();
            var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
            {
                Topics = [new CreateTopicsRequest.CreatableTopic { Name = $"t{node.Id}", NumPartitions = 6, ReplicationFactor = 1 }],
                TimeoutMs = 10_000,
            });
            Assert.Equal(ErrorCode.None, (ErrorCode)created.Topics[0].ErrorCode);
            Assert.Equal(6, node.Image.Topics.Find($"t{node.Id}")!.Partitions.Length); // the broker that answers has it already
        }
    }

    [Fact]
    public async Task Three_controllers_and_three_brokers_serve_apart()
    {
        await using var cluster = await TestCluster.StartAsync([1, 2, 3], [4, 5, 6]);
        Assert.Empty(cluster.Nodes[1].Node.EndPoints);
        Assert.Empty(cluster.Nodes[4].Node.ControllerEndPoints);
        await using var client = await cluster.Nodes[5].ConnectAsync();
        var answer = await client.CallAsync<DescribeClusterRequest, DescribeClusterResponse>(
            new DescribeClusterRequest { EndpointType = 1 });
        Assert.Contains(5, answer.Brokers.Select(broker => broker.BrokerId));
    }
}
