using Ottla.Cli.KafkaTools;
using Ottla.Cli.Partitions;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Balancing;
using Ottla.StateMachines.Metadata;
using Ottla.UnitTests.Broker;
using OttlaClient = Ottla.Client.OttlaClient;
using OttlaClientOptions = Ottla.Client.OttlaClientOptions;

namespace Ottla.UnitTests.Cli.Partitions;

#pragma warning disable CA1001 // A StringWriter holds nothing.

/// <summary><c>ottla partition</c> on whole nodes in memory.</summary>
public sealed class PartitionCommandTests
{
    private static readonly MoveOptions Unthrottled = new(null, 10, KeepsThrottle: false);

    private readonly StringWriter _output = new();

    [Fact]
    public async Task A_plan_sees_brokers_racks_sizes_and_reassignments()
    {
        await using var cluster = new TestCluster([1], [1, 2, 3]);
        foreach (var node in cluster.Nodes.Values)
            node.Configure("broker.rack", $"r{node.Id}");
        await cluster.StartAsync(cluster.Nodes.Keys);
        await CreateAsync(cluster, "a", [1], [1], [1], [1], [2], [2]);
        await using var client = Client(cluster);
        var admin = client.CreateAdmin();
        var planner = new ClusterPlanner(new ClusterReader(admin, cluster.Clock));
        var plan = await planner.PlanAsync(Options());

        Assert.Empty(planner.Notes);
        Assert.Equal(["r1", "r2", "r3"], plan.Brokers.Select(figures => figures.Broker.Rack));
        Assert.Equal([4, 2, 0], plan.Brokers.Select(figures => figures.Before.Leaders));
        Assert.Equal([2, 2, 2], plan.Brokers.Select(figures => figures.After.Replicas));
        Assert.Equal(2, plan.Moves.Length);

        var none = await planner.PlanAsync(Options() with { Removed = [2] });
        Assert.All(none.Moves, move => Assert.Equal([2], move.From.AsEnumerable()));
        Assert.Equal(2, none.Moves.Length);

        // What is under way already counts as where it goes; it stays under way, since the broker that it goes to is stopped.
        await cluster.Nodes[3].StopAsync();
        await Waiting.UntilAsync(() => cluster.Nodes[1].Image.Cluster.Broker(3) is { Fenced: true });
        await new Reassigner(admin).AlterAsync([(new TopicPartition("a", 0), [3])]);
        var rest = await planner.PlanAsync(Options());
        Assert.Equal(
            [
                "Broker 3 is fenced: its replicas stay, and it gets none. --remove-broker 3 moves them away.",
                "1 partitions are being moved already: they count as where they go, and the plan leaves them alone.",
            ],
            planner.Notes);
        Assert.Empty(rest.Moves); // broker 1 has three others, broker 2 has two
    }

    [Fact]
    public async Task What_is_not_in_the_cluster_is_refused_in_plain_words()
    {
        await using var cluster = await TestCluster.StartAsync([1], [1, 2]);
        await CreateAsync(cluster, "a", [1], [2]);
        await using var client = Client(cluster);
        var admin = client.CreateAdmin();
        var planner = new ClusterPlanner(new ClusterReader(admin, cluster.Clock));
        Assert.Equal(
            "Broker 9 is not in the cluster. Start it first; the brokers 1, 2 are there.",
            (await Assert.ThrowsAsync<ToolException>(() => planner.PlanAsync(Options() with { Added = [9] }))).Message);
        Assert.Equal(
            "Broker 9 is not in the cluster, and no partition names it; the brokers 1, 2 are there.",
            (await Assert.ThrowsAsync<ToolException>(() => planner.PlanAsync(Options() with { Removed = [9] }))).Message);
        Assert.Equal(
            "There is no topic b.",
            (await Assert.ThrowsAsync<ToolException>(() => planner.PlanAsync(Options() with { Topics = ["b"] }))).Message);

        var mover = new PartitionMover(admin, _output, cluster.Clock);
        Assert.Equal(
            "a-0 cannot go to broker 9, which is not in the cluster.",
            (await Assert.ThrowsAsync<ToolException>(() => mover.MoveAsync(Plan((0, [1], [9])), Unthrottled, default))).Message);
        Assert.Equal(
            "The plan does not fit the cluster. a-1: its replicas are 2, and the plan was made for 1: make a new plan. "
            + "The like holds for 1 more.",
            (await Assert.ThrowsAsync<ToolException>(() =>
                mover.MoveAsync(Plan((0, [1], [2]), (1, [1], [1, 2]), (7, [1], [2])), Unthrottled, default))).Message);
        Assert.Empty(await new ClusterReader(admin, cluster.Clock).OngoingAsync()); // not even the one that fits
    }

    [Fact]
    public async Task Orders_change_at_once_and_the_preferred_leaders_are_elected()
    {
        await using var cluster = await TestCluster.StartAsync([1], [1, 2, 3]);
        await CreateAsync(cluster, "a", [1, 2], [1, 2], [1, 3], [2, 3], [2, 3], [1, 3]);
        await Waiting.UntilAsync(() => Partitions(cluster).All(partition => partition.Isr.Length == 2));
        await using var client = Client(cluster);
        var admin = client.CreateAdmin();
        var plan = await new ClusterPlanner(new ClusterReader(admin, cluster.Clock)).PlanAsync(Options());
        Assert.Equal([2, 2, 2], plan.Brokers.Select(figures => figures.After.Leaders));

        Assert.True(await new PartitionMover(admin, _output, cluster.Clock).MoveAsync(
            PlanFile.Parse(PlanFile.Write(plan)), Unthrottled, default));
        await Waiting.UntilAsync(() => Partitions(cluster).GroupBy(partition => partition.Leader).All(group => group.Count() == 2));
        Assert.All(Partitions(cluster), partition => Assert.Equal(partition.PreferredLeader, partition.Leader));
        Assert.Contains($"All {plan.Moves.Length} partitions are where the plan wants them.", _output.ToString(), StringComparison.Ordinal);

        // Once more: there is nothing left to do.
        Assert.True(await new PartitionMover(admin, _output, cluster.Clock).MoveAsync(
            PlanFile.Parse(PlanFile.Write(plan)), Unthrottled, default));
        var again = await new ClusterPlanner(new ClusterReader(admin, cluster.Clock)).PlanAsync(Options());
        Assert.Empty(again.Moves);
        Assert.Empty(again.Elections);
    }

    [Fact]
    public async Task A_move_is_throttled_interrupted_looked_at_and_taken_back()
    {
        await using var cluster = await TestCluster.StartAsync([1], [1, 2, 3, 4]);
        await DisableEligibleLeaderReplicasAsync(cluster); // with them, nothing is in sync once the last replica is gone
        await CreateAsync(cluster, "a", [2, 4], [2, 4], [2, 1]);
        foreach (var id in (int[])[2, 4])
        {
            await cluster.Nodes[id].KillAsync();
            await Waiting.UntilAsync(() => cluster.Nodes[1].Image.Cluster.Broker(id)!.Fenced);
        }

        // Nobody has what a-0 and a-1 had, so their reassignments wait.
        await using var client = Client(cluster);
        var admin = client.CreateAdmin();
        var plan = Plan((0, [2, 4], [3, 4]), (1, [2, 4], [3, 2]), (2, [2, 1], [1, 2]));
        using var stop = new CancellationTokenSource();
        var moving = new PartitionMover(admin, _output, cluster.Clock).MoveAsync(plan, new MoveOptions(50_000, 1, false), stop.Token);
        await Waiting.UntilAsync(() => Partitions(cluster)[0].IsReassigned);
        stop.Cancel();
        Assert.False(await moving);
        Assert.Contains("Stopped. 1 partitions are still being moved, under the throttle", _output.ToString(), StringComparison.Ordinal);

        var image = cluster.Nodes[1].Image;
        Assert.Equal("50000", image.Configs.Value(ConfigResource.Broker(3), "leader.replication.throttled.rate"));
        Assert.Equal("50000", image.Configs.Value(ConfigResource.Broker(3), "follower.replication.throttled.rate"));
        Assert.Equal("0:2,0:4,1:2,1:4", image.Configs.Value(ConfigResource.Topic("a"), "leader.replication.throttled.replicas"));
        Assert.Equal("0:3,1:3", image.Configs.Value(ConfigResource.Topic("a"), "follower.replication.throttled.replicas"));
        var state = await new PartitionStatus(admin, cluster.Clock).FindAsync(plan);
        Assert.Equal(
            """
            PARTITION  REPLICAS  ADDING  REMOVING  COPIED
            a-0        3,4,2     3       2         0 B of 0 B
            1 partitions are being moved.
            Throttle: 50.0 kB/s on brokers 3.
            Throttled replicas are named by: a.
            Plan: 0 of 3 partitions are done, 1 are moving, 2 have not begun.

            """.ReplaceLineEndings("\n"),
            PartitionStatus.Text(state));

        Assert.True(await new PartitionCanceller(admin, _output, cluster.Clock).CancelAsync(plan, keepsThrottle: false));
        Assert.Contains("Cancelled: a-0.", _output.ToString(), StringComparison.Ordinal);
        Assert.False(Partitions(cluster)[0].IsReassigned);
        Assert.Equal([2, 4], Partitions(cluster)[0].Replicas.AsEnumerable()); // the order is brought back too
        Assert.Empty(cluster.Nodes[1].Image.Configs.Of(ConfigResource.Topic("a")));
        Assert.Empty(cluster.Nodes[1].Image.Configs.Of(ConfigResource.Broker(3)));
        Assert.True(await new PartitionCanceller(admin, _output, cluster.Clock).CancelAsync(null, keepsThrottle: false));
        Assert.Contains("No partition is being moved.", _output.ToString(), StringComparison.Ordinal);
    }

    private static PlanOptions Options() => new([], [], [], BalancedCluster.DefaultTolerance);

    private static PlanFile Plan(params (int Index, int[] From, int[] To)[] moves) =>
        new([.. moves.Select(move => new PlanEntry(new TopicPartition("a", move.Index), [.. move.To], [.. move.From]))], []);

    private static OttlaClient Client(TestCluster cluster) => new(new OttlaClientOptions
    {
        BootstrapServers = "10.0.0.1:9092",
        TimeProvider = cluster.Clock,
        Transport = cluster.Network,
        Seed = 1,
    });

    private static List<PartitionRegistration> Partitions(TestCluster cluster) => [.. cluster.Nodes[1].Image.Topics.Find("a")!.Partitions];

    private static async Task DisableEligibleLeaderReplicasAsync(TestCluster cluster)
    {
        await using var client = await cluster.Nodes[1].ConnectAsync();
        var answer = await client.CallAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(new UpdateFeaturesRequest
        {
            FeatureUpdates =
            [
                new UpdateFeaturesRequest.FeatureUpdateKey
                {
                    Feature = "eligible.leader.replicas.version", MaxVersionLevel = 0, UpgradeType = 2,
                },
            ],
            TimeoutMs = 10_000,
        });
        Assert.Equal((ErrorCode.None, (string?)null), ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
    }

    private static async Task CreateAsync(TestCluster cluster, string name, params int[][] assignments)
    {
        await using var client = await cluster.Nodes[1].ConnectAsync();
        var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
        {
            Topics =
            [
                new CreateTopicsRequest.CreatableTopic
                {
                    Name = name, NumPartitions = -1, ReplicationFactor = -1,
                    Assignments =
                    [
                        .. assignments.Select((ids, index) =>
                            new CreateTopicsRequest.CreatableReplicaAssignment { PartitionIndex = index, BrokerIds = ids }),
                    ],
                },
            ],
            TimeoutMs = 10_000,
        });
        Assert.Equal((ErrorCode.None, (string?)null), ((ErrorCode)created.Topics[0].ErrorCode, created.Topics[0].ErrorMessage));
    }
}
