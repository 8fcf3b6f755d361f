using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Broker;

/// <summary>Three whole nodes with a replica each: what they keep when nodes die, stop and come back.</summary>
public sealed class ClusterReplicationTests
{
    private static readonly (string, string)[] Configs =
    [
        ("min.insync.replicas", "2"), ("replica.lag.time.max.ms", "5000"), ("offsets.topic.num.partitions", "1"),
        ("offsets.topic.replication.factor", "3"), ("transaction.state.log.num.partitions", "1"),
        ("transaction.state.log.replication.factor", "3"),
    ];

    [Fact]
    public async Task What_is_acknowledged_survives_the_death_of_its_leader()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        await topic.ProduceAsync(20);
        Assert.Equal(1, topic.Registration.Leader);
        await cluster.Nodes[1].KillAsync();
        await topic.UntilLedByAnotherAsync(1);
        await topic.ProduceAsync(20);
        Assert.Equal(2, topic.Registration.Isr.Length);
        await topic.AssertKeptAsync();
        await cluster.Nodes[1].StartAsync();
        await topic.UntilInSyncAsync(3);
        await topic.ProduceAsync(20);
        await topic.AssertKeptAsync();
        Assert.Equal(60, topic.Acknowledged.Count);
    }

    [Fact]
    public async Task A_follower_that_dies_leaves_the_isr_and_comes_back()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        await topic.ProduceAsync(5);
        await cluster.Nodes[3].KillAsync();
        await topic.ProduceAsync(5); // answered once the ISR has shrunk
        Assert.Equal([1, 2], topic.Registration.Isr.ToArray());
        await cluster.Nodes[3].StartAsync();
        await topic.UntilInSyncAsync(3);
        await topic.ProduceAsync(5);
        await topic.AssertKeptAsync();
    }

    [Fact]
    public async Task Below_min_insync_replicas_nothing_is_taken_with_acks_all()
    {
        await using var cluster = await TestCluster.StartAsync([1, 2, 3, 4, 5], [1, 2, 3], Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        await topic.ProduceAsync(5);
        await cluster.Nodes[2].KillAsync();
        await cluster.Nodes[3].KillAsync();
        await topic.UntilInSyncAsync(1);
        Assert.Equal(ErrorCode.NotEnoughReplicas, (ErrorCode)(await topic.TryProduceAsync())!.ErrorCode);
        var committed = topic.Replica(1).Log.HighWatermark;
        Assert.Equal(ErrorCode.None, (ErrorCode)(await topic.TryProduceAsync(acks: 1))!.ErrorCode);
        Assert.Equal(committed, topic.Replica(1).Log.HighWatermark);
        await cluster.Nodes[2].StartAsync();
        await topic.UntilInSyncAsync(2);
        await topic.ProduceAsync(5);
        Assert.True(topic.Replica(1).Log.HighWatermark > committed + 5);
        await topic.AssertKeptAsync();
    }

    /// <summary>
    /// Leaders move before the process ends, so nobody waits for a session to end, and no client sees an error it cannot retry.
    /// </summary>
    [Fact]
    public async Task A_leader_that_stops_hands_over_first()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        await topic.ProduceAsync(5);
        var before = cluster.Clock.NowMs;
        await cluster.Nodes[1].StopAsync();
        Assert.InRange(cluster.Clock.NowMs - before, 0, 8_999); // no session had to end
        Assert.NotEqual(1, topic.Registration.Leader);
        Assert.DoesNotContain(1, topic.Registration.Isr);
        await topic.ProduceAsync(5);
        await cluster.Nodes[1].StartAsync();
        await topic.UntilInSyncAsync(3);
        await topic.AssertKeptAsync();
    }

    [Fact]
    public async Task All_nodes_stop_and_start_one_after_another_under_load()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        foreach (var node in (int[])[1, 2, 3])
        {
            var stop = cluster.Nodes[node].StopAsync();
            while (!stop.IsCompleted)
                await topic.ProduceAsync(1);
            await stop;
            var start = cluster.Nodes[node].StartAsync();
            while (!start.IsCompleted)
                await topic.ProduceAsync(1);
            await start;
            await topic.UntilInSyncAsync(3);
        }

        await topic.AssertKeptAsync();
    }

    /// <summary>
    /// The leader is alone with records that nobody else has, and dies; the next one writes others there. The first one comes back and
    /// takes these over.
    /// </summary>
    [Fact]
    public async Task Records_that_nobody_has_acknowledged_give_way()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        await topic.ProduceAsync(5);
        var log = topic.Replica(1).Log;
        await cluster.Nodes[1].CutAsync();
        for (var i = 0; i < 3; i++)
            Assert.Equal(ErrorCode.None, topic.Replica(1).Append(Requests.Batch(), false, true, new(cluster.Clock.NowMs)).ErrorCode);
        Assert.Equal(8, log.LogEndOffset);
        await cluster.Nodes[1].KillAsync();
        await topic.UntilLedByAnotherAsync(1);
        await topic.ProduceAsync(2);
        await cluster.Nodes[1].StartAsync();
        await topic.UntilInSyncAsync(3);
        Assert.Equal(7, topic.Replica(1).Log.LogEndOffset);
        await topic.AssertKeptAsync();
    }

    [Fact]
    public async Task A_reassignment_moves_a_replica_and_deletes_the_old_one()
    {
        await using var cluster = await TestCluster.StartAsync([1], [1, 2, 3, 4], Configs);
        await using var topic = await ReplicatedTopic.CreateAsync(cluster, "t", [1, 2, 3]);
        await topic.ProduceAsync(10);
        await using (var client = await cluster.Nodes[2].ConnectAsync())
        {
            var answer = await client.CallAsync<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>(new()
            {
                TimeoutMs = 30_000,
                Topics = [new() { Name = "t", Partitions = [new() { PartitionIndex = 0, Replicas = [4, 2, 3] }] }],
            });
            Assert.Equal(ErrorCode.None, (ErrorCode)answer.ErrorCode);
        }

        await Waiting.UntilAsync(() => topic.Registration is { IsReassigned: false, Replicas: [4, 2, 3] });
        await Waiting.UntilAsync(() => cluster.Nodes[1].Node.Topics.Find("t") is null);
        Assert.DoesNotContain(
            cluster.Nodes[1].Disk.ListDirectories("/data"), directory => directory.EndsWith("/t-0", StringComparison.Ordinal));
        await topic.ProduceAsync(10);
        await topic.AssertKeptAsync();
        await cluster.Nodes[1].StopAsync();
        await cluster.Nodes[1].StartAsync();
        Assert.Null(cluster.Nodes[1].Node.Topics.Find("t"));
    }

    [Fact]
    public async Task An_unclean_leader_goes_on_and_the_partition_recovers()
    {
        await using var cluster = await TestCluster.StartAsync(
            [1, 2, 3], [4, 5], [.. Configs, ("min.insync.replicas", "1")]);
        await using var topic = await ReplicatedTopic.CreateAsync(
            cluster, "t", [4, 5], ("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true"));
        await topic.ProduceAsync(5);
        await cluster.Nodes[5].KillAsync();
        await topic.ProduceAsync(3); // alone
        Assert.Equal([4], topic.Registration.Isr.ToArray());
        await cluster.Nodes[4].KillAsync();
        await cluster.Nodes[5].StartAsync();
        await Waiting.UntilAsync(() => topic.Registration.Leader == 5);
        Assert.Equal(5, topic.Replica(5).Log.LogEndOffset);
        topic.Acknowledged.Clear(); // what was acknowledged is lost: that is what the config allows
        await topic.ProduceAsync(2);
        await cluster.Nodes[4].StartAsync();
        await topic.UntilInSyncAsync(2);
        Assert.Equal(Ottla.StateMachines.Metadata.LeaderRecoveryState.Recovered, topic.Registration.LeaderRecoveryState);
        await topic.AssertKeptAsync();
    }
}
