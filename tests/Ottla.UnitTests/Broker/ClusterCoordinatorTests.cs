using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.GroupCalls;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// Groups and transactions whose internal topics have three replicas: what was acknowledged goes on at another coordinator when theirs
/// dies or stops.
/// </summary>
public sealed class ClusterCoordinatorTests
{
    private const sbyte Group = 0;
    private const sbyte Transaction = 1;

    private static readonly (string, string)[] Configs =
    [
        ("min.insync.replicas", "2"), ("default.replication.factor", "3"), ("replica.lag.time.max.ms", "5000"),
        ("offsets.topic.num.partitions", "1"), ("offsets.topic.replication.factor", "3"), ("transaction.state.log.num.partitions", "1"),
        ("transaction.state.log.replication.factor", "3"), ("transaction.state.log.min.isr", "2"),
        ("group.initial.rebalance.delay.ms", "0"), ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
    ];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Groups_of_both_protocols_go_on_with_what_was_acknowledged(bool dies)
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        var id = await CoordinatorAsync(cluster, Group, "g");
        await UntilInSyncAsync(cluster, TopicNames.ConsumerOffsets, 3);
        JoinGroupResponse classic;
        ConsumerGroupHeartbeatResponse consumer;
        await using (var client = await cluster.Nodes[id].ConnectAsync())
        {
            classic = await client.JoinAndSyncAsync("g");
            consumer = await HeartbeatAsync(client, memberEpoch: 0, "t");
            Assert.Equal(
                ErrorCode.None, await client.CommitAsync("g", "t", 1, memberId: classic.MemberId, generationId: classic.GenerationId));
            Assert.Equal(ErrorCode.None, await client.CommitAsync("c", "t", 2, memberId: "m", generationId: consumer.MemberEpoch));
        }

        for (var offset = 3; offset <= 5; offset += 2)
        {
            await (dies ? cluster.Nodes[id].KillAsync() : cluster.Nodes[id].StopAsync());
            var next = await CoordinatorAsync(cluster, Group, "g", not: id);
            await using var client = await cluster.Nodes[next].ConnectAsync();
            Assert.Equal(($"t-0={offset - 2}", $"t-0={offset - 1}"),
                (await client.FetchAllOffsetsAsync("g"), await client.FetchAllOffsetsAsync("c")));
            Assert.Equal(ErrorCode.None, await client.HeartbeatAsync("g", classic.MemberId, classic.GenerationId));
            var described = await client.DescribeGroupAsync("g");
            Assert.Equal(("Stable", classic.MemberId), (described.GroupState, Assert.Single(described.Members).MemberId));
            var heartbeat = await HeartbeatAsync(client, consumer.MemberEpoch);
            Assert.Equal((ErrorCode.None, consumer.MemberEpoch), ((ErrorCode)heartbeat.ErrorCode, heartbeat.MemberEpoch));
            Assert.Equal(
                ErrorCode.None, await client.CommitAsync("g", "t", offset, memberId: classic.MemberId, generationId: classic.GenerationId));
            Assert.Equal(
                ErrorCode.None, await client.CommitAsync("c", "t", offset + 1, memberId: "m", generationId: consumer.MemberEpoch));
            await cluster.Nodes[id].StartAsync();
            await UntilInSyncAsync(cluster, TopicNames.ConsumerOffsets, 3);
            id = next; // it is the next to go
        }
    }

    /// <summary>An answer that says committed holds, whether its markers were written before the coordinator died or not.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_transaction_ends_as_it_was_decided(bool isDecidedBefore)
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        var id = await CoordinatorAsync(cluster, Transaction, "tx");
        var others = cluster.Brokers.Where(node => node != id).ToArray();
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [others[0], id, others[1]]); // the leader lives on
        await UntilInSyncAsync(cluster, TopicNames.TransactionState, 3);
        ProducerIdAndEpoch producer;
        await using (var coordinator = await cluster.Nodes[id].ConnectAsync())
        {
            producer = await coordinator.BeginAsync();
            await using var leader = await cluster.Nodes[others[0]].ConnectAsync();
            await UntilAsync(async () => (ErrorCode)(await leader.ProduceInTransactionAsync(producer, sequence: 0)).ErrorCode);
            if (isDecidedBefore)
                Assert.Equal(ErrorCode.None, (ErrorCode)(await coordinator.EndAsync(producer, commit: true)).ErrorCode);
        }

        await cluster.Nodes[id].KillAsync();
        var next = await CoordinatorAsync(cluster, Transaction, "tx", not: id);
        await using var successor = await cluster.Nodes[next].ConnectAsync();
        await UntilAsync(async () => (ErrorCode)(await successor.DescribeTransactionAsync()).ErrorCode);
        if (!isDecidedBefore)
        {
            Assert.Equal("Ongoing", (await successor.DescribeTransactionAsync()).TransactionState);
            await UntilAsync(async () => (ErrorCode)(await successor.EndAsync(producer, commit: true)).ErrorCode);
        }

        await UntilStateAsync(successor, "CompleteCommit");
        var log = topic.Replica(others[0]).Log;
        // The record and its marker, which the successor may write again: it cannot know of the first one.
        await Waiting.UntilAsync(() => log.LastStableOffset >= 2 && log.LastStableOffset == log.HighWatermark);
        await using var reader = await cluster.Nodes[others[0]].ConnectAsync();
        Assert.Single((await reader.ConsumeAsync("t", committed: true)).Records);

        // The next producer of the same id fences this one.
        var renewed = await successor.InitAsync();
        AssertError(ErrorCode.None, renewed.ErrorCode);
        var late = await reader.ProduceInTransactionAsync(producer, sequence: 1);
        Assert.True(
            (ErrorCode)late.ErrorCode
                is ErrorCode.InvalidProducerEpoch or ErrorCode.TransactionAbortable or ErrorCode.InvalidProducerIdMapping,
            $"{(ErrorCode)late.ErrorCode}");
    }

    [Fact]
    public async Task A_transaction_that_nobody_ends_is_aborted_by_the_next_coordinator()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        var id = await CoordinatorAsync(cluster, Transaction, "tx");
        var others = cluster.Brokers.Where(node => node != id).ToArray();
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [others[0], id, others[1]]);
        await UntilInSyncAsync(cluster, TopicNames.TransactionState, 3);
        await using (var coordinator = await cluster.Nodes[id].ConnectAsync())
        {
            var producer = await coordinator.BeginAsync(timeoutMs: 10_000);
            await using var leader = await cluster.Nodes[others[0]].ConnectAsync();
            await UntilAsync(async () => (ErrorCode)(await leader.ProduceInTransactionAsync(producer, sequence: 0)).ErrorCode);
        }

        await cluster.Nodes[id].KillAsync();
        var next = await CoordinatorAsync(cluster, Transaction, "tx", not: id);
        await using var successor = await cluster.Nodes[next].ConnectAsync();
        await UntilAsync(async () => (ErrorCode)(await successor.DescribeTransactionAsync()).ErrorCode);
        await UntilStateAsync(successor, "CompleteAbort");
        await using var reader = await cluster.Nodes[others[0]].ConnectAsync();
        await Waiting.UntilAsync(() => topic.Replica(others[0]).Log.LastStableOffset == 2);
        Assert.Empty((await reader.ConsumeAsync("t", committed: true)).Records);
    }

    private static async Task<ConsumerGroupHeartbeatResponse> HeartbeatAsync(
        TestConnection client, int memberEpoch, params string[]? topics)
    {
        var heartbeat = await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            ConsumerHeartbeat("c", "m", memberEpoch, memberEpoch == 0 ? topics : null));
        AssertError(ErrorCode.None, heartbeat.ErrorCode, heartbeat.ErrorMessage);
        return heartbeat;
    }

    /// <summary>Finds the coordinator of a key as clients do: again until there is one, and it answers.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="type">The type of the key.</param>
    /// <param name="key">The key.</param>
    /// <param name="not">The former coordinator, which is gone.</param>
    private static async Task<int> CoordinatorAsync(TestCluster cluster, sbyte type, string key, int not = -1)
    {
        var coordinator = -1;
        await Waiting.UntilAsync(async () =>
        {
            await using var client = await cluster.Nodes.Values.First(node => node.IsRunning && node.Id != not).ConnectAsync();
            var found = Assert.Single((await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
                new FindCoordinatorRequest { CoordinatorKeys = [key], KeyType = type })).Coordinators);
            coordinator = found.NodeId;
            return found.ErrorCode == 0 && found.NodeId != not && await AnswersAsync(cluster, found.NodeId, type, key);
        });
        return coordinator;
    }

    private static async Task<bool> AnswersAsync(TestCluster cluster, int node, sbyte type, string key)
    {
        await using var client = await cluster.Nodes[node].ConnectAsync();
        var error = type == Group
            ? (ErrorCode)(await client.DescribeGroupAsync(key)).ErrorCode
            : (ErrorCode)(await client.DescribeTransactionAsync(key)).ErrorCode;
        return error is ErrorCode.None or ErrorCode.GroupIdNotFound or ErrorCode.TransactionalIdNotFound;
    }

    /// <summary>Asks again while a client would: until the answer is none of what passes.</summary>
    private static async Task UntilAsync(Func<Task<ErrorCode>> call)
    {
        var error = ErrorCode.None;
        await Waiting.UntilAsync(async () => (error = await call()) is not (ErrorCode.NotLeaderOrFollower or ErrorCode.NotCoordinator
            or ErrorCode.CoordinatorNotAvailable or ErrorCode.CoordinatorLoadInProgress or ErrorCode.ConcurrentTransactions
            or ErrorCode.NotEnoughReplicas or ErrorCode.NotEnoughReplicasAfterAppend or ErrorCode.UnknownTopicOrPartition
            or ErrorCode.RequestTimedOut));
        Assert.Equal(ErrorCode.None, error);
    }

    /// <summary>Waits for a state of the transaction, and leaves the processor to the clock meanwhile.</summary>
    private static async Task UntilStateAsync(TestConnection coordinator, string state)
    {
        using var patience = new CancellationTokenSource(Waiting.Patience);
        while (true)
        {
            var described = await coordinator.DescribeTransactionAsync();
            if (described.TransactionState == state)
                return;
            Assert.False(patience.IsCancellationRequested, $"it stays {described.TransactionState} {(ErrorCode)described.ErrorCode}");
            await Task.Delay(1, CancellationToken.None);
        }
    }

    private static Task UntilInSyncAsync(TestCluster cluster, string topic, int count) => Waiting.UntilAsync(() =>
        cluster.Nodes.Values.Where(node => node.IsRunning).All(
            node => node.Image.Topics.Find(topic) is { } image && image.Partitions.All(partition => partition.Isr.Length == count)));
}
