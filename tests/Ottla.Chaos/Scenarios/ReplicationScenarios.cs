using Ottla.Chaos.Clients;
using Ottla.Chaos.Faults;
using Ottla.Chaos.Machines;
using Ottla.Chaos.Network;

namespace Ottla.Chaos.Scenarios;

/// <summary>Kafka's <c>replication_test</c>: the leader of a partition is stopped or killed, for good or again and again.</summary>
internal sealed class LeaderFailures() : Scenario("replication", "the leader ends in order or is killed, once and five times")
{
    private const int Bounces = 5;
    private const int Records = 300;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public override async Task RunAsync(Stage stage)
    {
        foreach (var isClean in new[] { true, false })
        {
            for (var bounce = 0; bounce < Bounces; bounce++)
            {
                var leader = (await stage.PlaceOfAsync(0)).Leader;
                await stage.BreakAsync(isClean ? new Stop(leader) : new Kill(leader), async () =>
                {
                    await stage.WaitAsync(
                        $"node{leader} does not lead", Limit, state => state.Partitions.All(each => each.Leader != leader));
                    await stage.ProgressAsync(Records, Limit);
                });
                await stage.HealthAsync();
            }
        }
    }
}

/// <summary>
/// Kafka's <c>replication_replica_failure_test</c>: a follower is cut off from the others; it leaves the in-sync replicas, and comes back.
/// </summary>
internal sealed class CutFollower() : Scenario("replica-failure", "a follower is cut off, leaves the in-sync replicas and comes back")
{
    private const int Records = 1000;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    public override IReadOnlyDictionary<string, string> Configs =>
        new Dictionary<string, string> { ["replica.lag.time.max.ms"] = "10000" };

    public override TopicPlacement Topic => new(1, 3);

    public override async Task RunAsync(Stage stage)
    {
        var place = await stage.PlaceOfAsync(0);
        var follower = place.Replicas.First(id => id != place.Leader);
        var rules = stage.Cluster.Machines.Where(machine => machine.Id != follower)
            .SelectMany(machine => new[] { new LinkRule(follower, machine.Id), new LinkRule(machine.Id, follower) }).ToList();
        stage.Cluster.Admin.Avoided = follower; // it knows what was, and says so
        await stage.BreakAsync(new Cut(rules), async () =>
        {
            await stage.WaitAsync(
                "the in-sync replicas are the others", Limit, state => InSync(state).SetEquals(place.Replicas.Except([follower])));
            await stage.ProgressAsync(Records, Limit);
        });
        await stage.WaitAsync("all replicas are in sync", Limit, state => InSync(state).SetEquals(place.Replicas));
        await stage.ProgressAsync(Records, Limit);

        HashSet<int> InSync(ClusterState state) =>
            [.. state.Partitions.First(each => each.Topic == Workload.Topic).InSync];
    }
}

/// <summary>
/// Kafka's <c>eligible_leader_replicas_test</c>: two of three replicas end in order, the last one is killed, and one of the two that come
/// back, which have everything, leads.
/// </summary>
internal sealed class EligibleLeaders() : Scenario("eligible-leaders", "two replicas stop, the last is killed, the two come back and lead")
{
    private const int Records = 500;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    public override int BrokersAlone => 3;

    public override TopicPlacement Topic => new(1, 3, [4, 5, 6]);

    public override async Task RunAsync(Stage stage)
    {
        var place = await stage.PlaceOfAsync(0);
        var (first, second, last) = (stage.Cluster[place.InSync[1]], stage.Cluster[place.InSync[2]], stage.Cluster[place.Leader]);
        await stage.ProgressAsync(Records, Limit);
        await first.StopAsync();
        await second.StopAsync();
        stage.Log.Write($"{first} and {second} are stopped");
        await stage.WaitAsync("one replica is in sync", Limit, state => Place(state).InSync.Count == 1);
        await stage.BreakAsync(new Kill(last.Id), async () =>
        {
            await stage.WaitAsync("the partition has no leader", Limit, state => Place(state).Leader < 0);
            first.Start();
            second.Start();
            await stage.WaitAsync(
                "one of the two leads", Limit, state => Place(state).Leader is var leader && leader > 0 && leader != last.Id);
            await stage.ProgressAsync(Records, Limit);
        });

        static PartitionPlace Place(ClusterState state) => state.Partitions.First(each => each.Topic == Workload.Topic);
    }
}

/// <summary>
/// Kafka's <c>log_dir_failure_test</c>: the log directory of a leader and then of a follower fails. The brokers stay, and the last one has
/// everything.
/// </summary>
internal sealed class FailingDirectories() : Scenario("log-dir-failure", "the log directories of two of three brokers fail")
{
    private const int Records = 500;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public override TopicPlacement Topic => new(6, 3);

    // The last one has to go on alone.
    public override int InSyncMin => 1;

    public override async Task RunAsync(Stage stage)
    {
        await stage.ProgressAsync(Records, Limit);
        var first = (await stage.PlaceOfAsync(0)).Leader;
        var second = stage.Cluster.Machines.First(machine => machine.Id != first).Id;
        await FailAsync(stage, first, () => FailAsync(stage, second, () => Task.CompletedTask));
    }

    private static Task FailAsync(Stage stage, int victim, Func<Task> andThen)
    {
        var lost = Directory.EnumerateDirectories(stage.Cluster[victim].Disks[1].Directory, $"{Workload.Topic}-*")
            .Select(Path.GetFileName).ToHashSet();
        return stage.BreakAsync(new FailingDirectory(victim), async () =>
        {
            await stage.WaitAsync($"node{victim} leads nothing of {lost.Count} partitions, and is not in sync", Limit, state =>
                state.Partitions.Where(each => lost.Contains($"{each.Topic}-{each.Partition}"))
                    .All(each => each.Leader > 0 && each.Leader != victim && !each.InSync.Contains(victim)));
            Stage.Demand(stage.Cluster[victim].IsRunning, $"node{victim} goes on without its second disk");
            await stage.ProgressAsync(Records, Limit);
            await andThen();
        });
    }
}
