using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// Topics with a replica on each of three nodes in memory: what clients read from leaders and followers, and what they are told.
/// </summary>
public sealed class ClusterReadTests
{
    private const string RackAware = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    private static readonly int[] s_all = [1, 2, 3];

    /// <summary>The session of a broker, and a tick of the controller: after them a dead broker is fenced.</summary>
    private static readonly (string, string)[] s_quickly = [("broker.session.timeout.ms", "3000"), ("replica.lag.time.max.ms", "5000")];

    [Fact]
    public async Task A_consumer_is_sent_to_the_replica_in_its_rack_and_reads_there_as_it_is_written()
    {
        await using var cluster = await StartAsync(("replica.selector.class", RackAware));
        await CreateAsync(cluster, "t");
        await using var producer = await cluster.Nodes[1].ConnectAsync();
        AssertError(ErrorCode.None, (await producer.ProduceAsync("t", Batch(), acks: -1)).ErrorCode);
        await using (var atLeader = await cluster.Nodes[1].ConnectAsync())
        {
            foreach (var (rack, expected) in new[] { ("r2", 2), ("r3", 3), ("r1", -1), ("", -1) })
            {
                var answer = await FetchAsync(atLeader, 0, rack);
                Assert.Equal(expected, answer.PreferredReadReplica);
                Assert.Equal(expected < 0 ? [0L] : [], BaseOffsets(answer.Records));
            }
        }

        await using var atFollower = await cluster.Nodes[2].ConnectAsync();
        for (var offset = 0; offset < 5; offset++)
        {
            // The wait ends when the follower hears that the record is committed.
            var fetch = FetchAsync(atFollower, offset, "r2", maxWaitMs: 30_000);
            if (offset > 0)
                AssertError(ErrorCode.None, (await producer.ProduceAsync("t", Batch(), acks: -1)).ErrorCode);
            var answer = await fetch;
            AssertError(ErrorCode.None, answer.ErrorCode);
            Assert.Equal(-1, answer.PreferredReadReplica);
            Assert.Equal([(long)offset], BaseOffsets(answer.Records));
        }
    }

    [Fact]
    public async Task Deleted_records_are_gone_everywhere_when_the_client_is_told()
    {
        await using var cluster = await StartAsync();
        await CreateAsync(cluster, "t");
        await using var client = await cluster.Nodes[1].ConnectAsync();
        for (var i = 0; i < 5; i++)
            AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(), acks: -1)).ErrorCode);
        Assert.Equal((ErrorCode.None, 3L), await DeleteAsync(client, 3));
        Assert.All(s_all, node => Assert.Equal(3, Replica(cluster, node).Log.LogStartOffset));

        // A dead broker is waited for only as long as it counts as alive.
        await cluster.Nodes[3].KillAsync();
        Assert.Equal((ErrorCode.None, 4L), await DeleteAsync(client, 4));
        Assert.Equal(4, Replica(cluster, 2).Log.LogStartOffset);
    }

    [Fact]
    public async Task Clients_see_which_replicas_are_offline_and_which_may_lead()
    {
        await using var cluster = await StartAsync();
        await CreateAsync(cluster, "t", minInSync: 3);
        await using var client = await cluster.Nodes[1].ConnectAsync();
        await cluster.Nodes[3].KillAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[1].Image.Cluster.Broker(3) is { Fenced: true });
        var topic = (await client.CallAsync<MetadataRequest, MetadataResponse>(
            new MetadataRequest { Topics = [new MetadataRequest.MetadataRequestTopic { Name = "t" }] })).Topics[0];
        var partition = Assert.Single(topic.Partitions);
        AssertError(ErrorCode.None, partition.ErrorCode);
        Assert.Equal(
            ("1", "1,2,3", "1,2", "3"),
            (Text(partition.LeaderId), Text(partition.ReplicaNodes), Text(partition.IsrNodes), Text(partition.OfflineReplicas)));

        var described = Assert.Single((await client.CallAsync<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(
            new DescribeTopicPartitionsRequest { Topics = [new DescribeTopicPartitionsRequest.TopicRequest { Name = "t" }] }))
            .Topics[0].Partitions);
        Assert.Equal(
            ("1", "1,2", "3", "3"),
            (Text(described.LeaderId), Text(described.IsrNodes), Text(described.EligibleLeaderReplicas!),
                Text(described.OfflineReplicas)));

        var old = (await client.CallAsync<MetadataRequest, MetadataResponse>(
            new MetadataRequest { Topics = [new MetadataRequest.MetadataRequestTopic { Name = "t" }] }, 0)).Topics[0].Partitions[0];
        Assert.Equal(
            (ErrorCode.ReplicaNotAvailable, "1,2", "1,2"),
            ((ErrorCode)old.ErrorCode, Text(old.ReplicaNodes), Text(old.IsrNodes)));
    }

    [Fact]
    public async Task A_new_leader_tells_the_same_end_and_has_the_same_producers()
    {
        await using var cluster = await StartAsync();
        await CreateAsync(cluster, "t");
        await using (var client = await cluster.Nodes[1].ConnectAsync())
        {
            for (var i = 0; i < 3; i++)
            {
                var options = new RecordBatchOptions { ProducerId = 4711, ProducerEpoch = 0, BaseSequence = 2 * i };
                AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(2, options), acks: -1)).ErrorCode);
            }
        }

        foreach (var node in s_all)
            Assert.Equal((4711L, 5), await LastProducerAsync(cluster, node)); // any replica knows

        await cluster.Nodes[1].KillAsync();
        await Waiting.UntilAsync(() => LeaderSeenBy(cluster, 2) is 2 or 3);
        var leader = LeaderSeenBy(cluster, 2);
        await using var next = await cluster.Nodes[leader].ConnectAsync();
        ListOffsetsResponse.ListOffsetsPartitionResponse latest;
        do
        {
            latest = await LatestAsync(next);
        }
        while (latest.ErrorCode == (short)ErrorCode.OffsetNotAvailable); // until the other follower has said what it has
        AssertError(ErrorCode.None, latest.ErrorCode);
        Assert.Equal((6L, 1), (latest.Offset, latest.LeaderEpoch));
        Assert.Equal((4711L, 5), await LastProducerAsync(cluster, leader));
        AssertError(ErrorCode.None, (await next.ProduceAsync("t", Batch(), acks: -1)).ErrorCode);

        await using var other = await cluster.Nodes[leader == 2 ? 3 : 2].ConnectAsync();
        AssertError(ErrorCode.NotLeaderOrFollower, (await LatestAsync(other)).ErrorCode);
    }

    [Fact]
    public async Task Log_directories_of_each_broker_have_the_size_of_its_replica()
    {
        await using var cluster = await StartAsync();
        await CreateAsync(cluster, "t");
        await using (var client = await cluster.Nodes[1].ConnectAsync())
            AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(50), acks: -1)).ErrorCode);
        var sizes = new List<long>();
        foreach (var node in s_all)
        {
            await using var client = await cluster.Nodes[node].ConnectAsync();
            var described = await client.CallAsync<DescribeLogDirsRequest, DescribeLogDirsResponse>(new DescribeLogDirsRequest
            {
                Topics = [new DescribeLogDirsRequest.DescribableLogDirTopic { Topic = "t", Partitions = [0] }],
            });
            var partition = Assert.Single(Assert.Single(Assert.Single(described.Results).Topics).Partitions);
            Assert.Equal((0L, false), (partition.OffsetLag, partition.IsFutureKey));
            sizes.Add(partition.PartitionSize);
        }

        Assert.True(sizes[0] > 0);
        Assert.All(sizes, size => Assert.Equal(sizes[0], size));
    }

    private static string Text(params int[] ids) => string.Join(',', ids);

    private static Ottla.Broker.Replicas.PartitionReplica Replica(TestCluster cluster, int node) =>
        cluster.Nodes[node].Node.Topics.Find("t")!.Find(0)!;

    private static int LeaderSeenBy(TestCluster cluster, int node) => cluster.Nodes[node].Image.Topics.Find("t")!.Partition(0)!.Leader;

    /// <summary>Three nodes that are both; node N is in rack rN.</summary>
    private static async Task<TestCluster> StartAsync(params (string, string)[] configs)
    {
        var cluster = new TestCluster(s_all, s_all, [.. s_quickly, .. configs]);
        foreach (var node in cluster.Nodes.Values)
            node.Configure("broker.rack", $"r{node.Id}");
        await cluster.StartAsync(s_all);
        return cluster;
    }

    /// <summary>A topic of one partition, which node 1 leads; all three are in sync.</summary>
    private static async Task CreateAsync(TestCluster cluster, string name, int minInSync = 1)
    {
        await using var client = await cluster.Nodes[1].ConnectAsync();
        var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
        {
            TimeoutMs = 10_000,
            Topics =
            [
                new CreateTopicsRequest.CreatableTopic
                {
                    Name = name,
                    NumPartitions = -1,
                    ReplicationFactor = -1,
                    Assignments = [new CreateTopicsRequest.CreatableReplicaAssignment { PartitionIndex = 0, BrokerIds = s_all }],
                    Configs = [new CreateTopicsRequest.CreatableTopicConfig { Name = "min.insync.replicas", Value = $"{minInSync}" }],
                },
            ],
        });
        AssertError(ErrorCode.None, created.Topics[0].ErrorCode);
        await Waiting.UntilAsync(() => s_all.All(node => cluster.Nodes[node].Node.Topics.Find(name)?.Find(0) is not null));
    }

    private static async Task<FetchResponse.PartitionData> FetchAsync(TestConnection client, long offset, string rack, int maxWaitMs = 0)
    {
        const short version = 12;
        var request = Fetch("t", Uuid.Zero, offset, version);
        (request.RackId, request.MaxWaitMs, request.SessionEpoch) = (rack, maxWaitMs, -1);
        var response = await client.CallAsync<FetchRequest, FetchResponse>(request, version);
        return Assert.Single(Assert.Single(response.Responses).Partitions);
    }

    private static async Task<(ErrorCode Error, long LowWatermark)> DeleteAsync(TestConnection client, long offset)
    {
        var response = await client.CallAsync<DeleteRecordsRequest, DeleteRecordsResponse>(new DeleteRecordsRequest
        {
            TimeoutMs = 30_000,
            Topics = [new DeleteRecordsRequest.DeleteRecordsTopic
            {
                Name = "t",
                Partitions = [new DeleteRecordsRequest.DeleteRecordsPartition { PartitionIndex = 0, Offset = offset }],
            }],
        });
        var partition = response.Topics[0].Partitions[0];
        return ((ErrorCode)partition.ErrorCode, partition.LowWatermark);
    }

    private static async Task<ListOffsetsResponse.ListOffsetsPartitionResponse> LatestAsync(TestConnection client)
    {
        var response = await client.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(new ListOffsetsRequest
        {
            ReplicaId = -1,
            Topics = [new ListOffsetsRequest.ListOffsetsTopic
            {
                Name = "t",
                Partitions = [new ListOffsetsRequest.ListOffsetsPartition { Timestamp = -1 }],
            }],
        });
        return response.Topics[0].Partitions[0];
    }

    private static async Task<(long Id, int LastSequence)> LastProducerAsync(TestCluster cluster, int node)
    {
        await using var client = await cluster.Nodes[node].ConnectAsync();
        var response = await client.CallAsync<DescribeProducersRequest, DescribeProducersResponse>(new DescribeProducersRequest
        {
            Topics = [new DescribeProducersRequest.TopicRequest { Name = "t", PartitionIndexes = [0] }],
        });
        var partition = response.Topics[0].Partitions[0];
        AssertError(ErrorCode.None, partition.ErrorCode);
        var producer = Assert.Single(partition.ActiveProducers);
        return (producer.ProducerId, producer.LastSequence);
    }
}
