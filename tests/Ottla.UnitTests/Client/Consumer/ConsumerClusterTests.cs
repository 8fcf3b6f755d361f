using Ottla.Client;
using Ottla.Kernel;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>Consumers of a cluster of three nodes in memory, of which one dies.</summary>
public sealed class ConsumerClusterTests
{
    private static readonly TopicPartition s_partition = new("t", 0);

    private static readonly (string, string)[] s_configs =
    [
        ("broker.session.timeout.ms", "3000"), ("replica.lag.time.max.ms", "5000"), ("offsets.topic.num.partitions", "3"),
        ("offsets.topic.replication.factor", "3"), ("group.initial.rebalance.delay.ms", "0"),
    ];

    [Theory]
    [InlineData(null, GroupProtocol.Auto)]
    [InlineData("g", GroupProtocol.Classic)]
    [InlineData("g", GroupProtocol.Consumer)]
    public async Task Every_record_is_read_once_and_in_order_while_its_leader_dies(string? group, GroupProtocol protocol)
    {
        await using var cluster = await TestCluster.StartAsync([1], [1, 2, 3], s_configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [2, 3, 1]);
        await using var client = NewClient(cluster);
        var consumer = new Consumer<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>(
            client, new ConsumerOptions { GroupId = group, GroupProtocol = protocol, OffsetReset = OffsetReset.Earliest });
        if (group is null)
            consumer.Assign([s_partition]);
        else
            consumer.Subscribe(["t"]);
        await topic.ProduceAsync(10);
        var read = await ReadAsync(consumer, 10);

        await cluster.Nodes[2].KillAsync();
        await topic.UntilLedByAnotherAsync(2);
        await topic.ProduceAsync(10);
        read.AddRange(await ReadAsync(consumer, topic.Acknowledged.Count - 10));
        Assert.Equal(topic.Acknowledged.Order(), read);
        if (group is not null)
        {
            await consumer.CommitAsync().WaitAsync(TestCluster.Patience);
            var committed = await consumer.CommittedAsync([s_partition]).WaitAsync(TestCluster.Patience);
            Assert.Equal(read[^1] + 1, committed[s_partition]!.Value.Offset);
        }

        await consumer.CloseAsync().WaitAsync(TestCluster.Patience);
    }

    [Fact]
    public async Task A_consumer_reads_from_the_replica_in_its_rack_and_from_the_leader_when_that_one_dies()
    {
        await using var cluster = new TestCluster(
            [1], [1, 2, 3],
            [.. s_configs, ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector")]);
        foreach (var node in cluster.Nodes.Values)
            node.Configure("broker.rack", $"r{node.Id}");
        await cluster.StartAsync(cluster.Nodes.Keys);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [2, 3, 1]);
        await topic.UntilInSyncAsync(3);
        await using var client = NewClient(cluster, rack: "r3");
        var consumer = new Consumer<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>(
            client, new ConsumerOptions { OffsetReset = OffsetReset.Earliest });
        consumer.Assign([s_partition]);
        await topic.ProduceAsync(5);
        Assert.Equal(topic.Acknowledged, await ReadAsync(consumer, 5));
        Assert.Equal(3, consumer.Engine.With(s_partition, partition => partition.PreferredReplica));

        await cluster.Nodes[3].KillAsync();
        await topic.ProduceAsync(5);
        Assert.Equal(topic.Acknowledged.Skip(5), await ReadAsync(consumer, 5));
    }

    private static OttlaClient NewClient(TestCluster cluster, string? rack = null) => new(new OttlaClientOptions
    {
        BootstrapServers = "10.0.0.1:9092,10.0.0.3:9092",
        ClientRack = rack,
        TimeProvider = cluster.Clock,
        Transport = cluster.Network,
        Seed = 42,
    });

    private static async Task<List<long>> ReadAsync(Consumer<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> consumer, int count)
    {
        var offsets = new List<long>();
        while (offsets.Count < count)
        {
            var record = await consumer.ConsumeOneAsync(TimeSpan.FromMinutes(5)).AsTask().WaitAsync(TestCluster.Patience);
            offsets.Add(record!.Value.Offset);
        }

        return offsets;
    }
}
