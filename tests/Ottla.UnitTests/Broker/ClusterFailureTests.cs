using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Broker;

/// <summary>Nodes die, come back, and leave: others notice in time, and nothing that was answered is lost.</summary>
public sealed class ClusterFailureTests
{
    [Fact]
    public async Task The_active_controller_dies_and_requests_go_on_at_the_next_one()
    {
        await using var cluster = await TestCluster.StartAsync([1, 2, 3], [4, 5]);
        await using var client = await cluster.Nodes[4].ConnectAsync();
        await CreateAsync(client, "before");
        var active = await cluster.ActiveControllerAsync();
        await cluster.Nodes[active].KillAsync();
        await CreateAsync(client, "after"); // waits for the next controller, and is sent again
        Assert.NotEqual(active, await cluster.ActiveControllerAsync());
        await cluster.Nodes[active].StartAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[active].Image.Topics.Find("after") is not null);
        Assert.NotNull(cluster.Nodes[active].Image.Topics.Find("before"));
        Assert.All([4, 5], id => Assert.False(cluster.Nodes[id].Image.Cluster.Broker(id)!.Fenced));
    }

    [Fact]
    public async Task A_broker_that_dies_is_fenced_after_its_session_and_unfenced_when_it_is_back()
    {
        await using var cluster = await TestCluster.StartAsync(
            [1], [1, 2, 3], ("ottla.broker.fencing.on.process.end.enable", "false"));
        var diedAt = cluster.Clock.NowMs;
        await cluster.Nodes[3].KillAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[2].Image.Cluster.Broker(3) is { Fenced: true });
        // its session is nine seconds from its last heartbeat, of which there is one in two
        Assert.True(cluster.Clock.NowMs - diedAt > 6_000);
        await using var client = await cluster.Nodes[2].ConnectAsync();
        var answer = await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = [] });
        Assert.Equal([1, 2], answer.Brokers.Select(broker => broker.NodeId).Order());

        await cluster.Nodes[3].StartAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[2].Image.Cluster.Broker(3) is { Fenced: false });
    }

    /// <summary>The time-outs are longer than any test: only the end of the process can be what is noticed.</summary>
    [Fact]
    public async Task A_broker_whose_process_ends_is_fenced_at_once()
    {
        await using var cluster = await TestCluster.StartAsync(
            [1], [1, 2, 3], ("broker.session.timeout.ms", "600000"), ("broker.heartbeat.interval.ms", "100000"));
        await cluster.Nodes[3].KillAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[2].Image.Cluster.Broker(3) is { Fenced: true });
        await cluster.Nodes[3].StartAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[2].Image.Cluster.Broker(3) is { Fenced: false });
    }

    /// <summary>The active controller is a broker too: the next controller has never heard of that one's heartbeats.</summary>
    [Fact]
    public async Task A_node_that_is_both_is_succeeded_and_fenced_at_once()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(
            ("broker.session.timeout.ms", "600000"), ("controller.quorum.fetch.timeout.ms", "600000"),
            ("controller.quorum.request.timeout.ms", "600000"));
        var active = await cluster.ActiveControllerAsync();
        await cluster.Nodes[active].KillAsync();
        var next = await cluster.ActiveControllerAsync();
        Assert.NotEqual(active, next);
        await Waiting.UntilAsync(() => cluster.Nodes[next].Image.Cluster.Broker(active) is { Fenced: true });
        Assert.All(
            cluster.Nodes.Keys.Where(id => id != active), id => Assert.False(cluster.Nodes[next].Image.Cluster.Broker(id)!.Fenced));
        await cluster.Nodes[active].StartAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[next].Image.Cluster.Broker(active) is { Fenced: false });
    }

    [Fact]
    public async Task A_rolling_restart_keeps_what_was_created()
    {
        await using var cluster = await TestCluster.StartCombinedAsync();
        foreach (var node in cluster.Nodes.Values)
        {
            await node.StopAsync();
            var other = cluster.Nodes.Values.First(each => each.IsRunning);
            await using var client = await other.ConnectAsync();
            await CreateAsync(client, $"while-{node.Id}");
            await node.StartAsync();
        }

        foreach (var node in cluster.Nodes.Values)
            await Waiting.UntilAsync(() => new[] { 1, 2, 3 }.All(id => node.Image.Topics.Find($"while-{id}") is not null));
    }

    [Fact]
    public async Task All_nodes_stop_at_once_and_the_last_of_others_does_not_wait_for_a_quorum_that_is_gone()
    {
        await using var cluster = await TestCluster.StartCombinedAsync();
        await cluster.Nodes[1].StopAsync();
        await cluster.Nodes[2].StopAsync();
        var stopsAt = cluster.Clock.NowMs;
        await cluster.Nodes[3].StopAsync();
        Assert.True(cluster.Clock.NowMs - stopsAt < 60_000);
        Assert.Contains(
            cluster.Log.Logger.Warnings, line => line.StartsWith(
                "This broker stops without a controlled shutdown: no active controller has answered", StringComparison.Ordinal));

        await cluster.StartAsync([2, 3, 1]);
        await Task.WhenAll(cluster.Nodes.Values.Select(node => node.StopAsync()));
    }

    [Fact]
    public async Task A_broker_alone_waits_for_its_controllers_and_joins_when_they_come()
    {
        await using var cluster = new TestCluster([1, 2, 3], [4]);
        var broker = cluster.Nodes[4].StartAsync();
        await Waiting.UntilAsync(
            () => cluster.Log.Logger.Warnings.Any(line => line.StartsWith("Waiting for an active controller", StringComparison.Ordinal)));
        Assert.False(broker.IsCompleted);
        await cluster.StartAsync([1, 2]);
        await broker.WaitAsync(TestCluster.Patience);
        await cluster.Nodes[3].StartAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[3].Image.Cluster.Controllers.Count == 3);
    }

    [Fact]
    public async Task A_live_broker_that_is_unregistered_says_that_it_must_be_restarted()
    {
        await using var cluster = await TestCluster.StartAsync([1], [1, 2]);
        await using var client = await cluster.Nodes[1].ConnectAsync();
        var answer = await client.CallAsync<UnregisterBrokerRequest, UnregisterBrokerResponse>(
            new UnregisterBrokerRequest { BrokerId = 2 });
        Assert.Equal(ErrorCode.None, (ErrorCode)answer.ErrorCode);
        await Waiting.UntilAsync(
            () => cluster.Log.Logger.Warnings.Any(
                line => line.Contains("Restart this broker to register it again", StringComparison.Ordinal)));
        await cluster.Nodes[2].KillAsync();
        await cluster.Nodes[2].StartAsync();
    }

    private static async Task CreateAsync(TestConnection client, string topic)
    {
        var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
        {
            Topics = [new CreateTopicsRequest.CreatableTopic { Name = topic, NumPartitions = 1, ReplicationFactor = 1 }],
            TimeoutMs = 10_000,
        });
        Assert.Equal(ErrorCode.None, (ErrorCode)created.Topics[0].ErrorCode);
    }
}
