using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.Chaos.Faults;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Scenarios;

/// <summary>Kafka's <c>reassign_partitions_test</c>: partitions move between four brokers, some of which are restarted meanwhile.</summary>
internal sealed class BouncedReassignment() : Scenario("reassign", "all partitions move while brokers are restarted")
{
    private const int Partitions = 10;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(180);

    public override int BrokersAlone => 1;

    public override TopicPlacement Topic => new(Partitions, 3);

    public override async Task RunAsync(Stage stage)
    {
        await stage.ProgressAsync(1000, Limit);
        var count = stage.Cluster.Machines.Count;
        var moves = new List<(int Partition, IReadOnlyList<int>? Replicas)>();
        for (var partition = 0; partition < Partitions; partition++)
        {
            var replicas = (await stage.PlaceOfAsync(partition)).Replicas;
            moves.Add((partition, [.. replicas.Select(id => id % count + 1)]));
        }

        stage.Log.Write("all partitions move to the next broker");
        await stage.Cluster.Admin.ReassignAsync(Workload.Topic, moves);
        foreach (var machine in stage.Cluster.Machines.Where(machine => machine.Id % 2 == 0))
            await stage.BreakAsync(new Restart(machine.Id), TimeSpan.FromSeconds(2));
        await stage.WaitAsync("the reassignment ends", Limit, state => moves.All(move => state.Partitions.Any(each =>
            each.Topic == Workload.Topic && each.Partition == move.Partition && each.Replicas.SequenceEqual(move.Replicas!))));
        await stage.ProgressAsync(1000, Limit);
    }
}

/// <summary>Kafka's <c>throttling_test</c>: a reassignment takes as long as its throttle says, and no less.</summary>
internal sealed class ThrottledReassignment() : Scenario("throttle", "a throttled reassignment takes its time")
{
    private const int BytesPerSecond = 2_000_000;
    private const int RecordBytes = 50_000;
    private const int SecondsMin = 12;
    private const double ShareMin = 0.9;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(240);

    public override TopicPlacement Topic => new(1, 2, [1, 2]);

    // Less than the throttle lets through, or it would never end.
    public override WriterLoad? Load => new(4, RecordBytes);

    public override async Task RunAsync(Stage stage)
    {
        // What is written while it moves has to be copied too, but the estimate leaves it out.
        await stage.ProgressAsync(SecondsMin * BytesPerSecond / RecordBytes, Limit);
        var rate = BytesPerSecond.ToString(CultureInfo.InvariantCulture);
        await stage.Cluster.Admin.ConfigureAsync(ConfigTarget.Topic, Workload.Topic, new Dictionary<string, string>
        {
            ["leader.replication.throttled.replicas"] = "*",
            ["follower.replication.throttled.replicas"] = "*",
        });
        foreach (var machine in stage.Cluster.Machines)
        {
            await stage.Cluster.Admin.ConfigureAsync(
                ConfigTarget.Broker, machine.Id.ToString(CultureInfo.InvariantCulture), new Dictionary<string, string>
                {
                    ["leader.replication.throttled.rate"] = rate,
                    ["follower.replication.throttled.rate"] = rate,
                });
        }

        var estimate = TimeSpan.FromSeconds((double)stage.Workload.Acknowledged * RecordBytes / BytesPerSecond);
        var started = stage.Log.Now;
        await stage.Cluster.Admin.ReassignAsync(Workload.Topic, [(0, [2, 3])]);
        await stage.WaitAsync("the reassignment ends", Limit, state => state.Partitions.Any(each =>
            each.Topic == Workload.Topic && each.Replicas.SequenceEqual([2, 3]) && each.InSync.Count == 2));
        var taken = stage.Log.Now - started;
        stage.Log.Write($"the reassignment took {taken.TotalSeconds:0.0} s, {estimate.TotalSeconds:0.0} s were due");
        Stage.Demand(
            taken >= ShareMin * estimate, $"the reassignment takes {estimate.TotalSeconds:0.0} s; it took {taken.TotalSeconds:0.0} s");
    }
}

/// <summary>
/// Kafka's <c>truncation_test</c>: the last in-sync replica dies with records that the one which then leads, uncleanly, does not have. The
/// consumers that had read them go on, and one that comes later sees the shorter history.
/// </summary>
internal sealed class UncleanElection() : Scenario("truncation", "a replica that is not in sync leads, and records are lost as asked for")
{
    private const int Records = 300;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public override int BrokersAlone => 2;

    public override TopicPlacement Topic => new(1, 2, [4, 5]);

    public override int InSyncMin => 1;

    public override IReadOnlyDictionary<string, string> TopicConfigs =>
        new Dictionary<string, string> { ["unclean.leader.election.enable"] = "true" };

    public override bool MayLose => true;

    // An idempotent producer notices that its records are gone, and gives up.
    public override IReadOnlyList<string>? Writers => ["kafka-python"];

    public override async Task RunAsync(Stage stage)
    {
        await stage.ProgressAsync(Records, Limit);
        var place = await stage.PlaceOfAsync(0);
        var (leader, follower) = (stage.Cluster[place.Leader], stage.Cluster[place.Replicas.First(id => id != place.Leader)]);
        await follower.StopAsync();
        await stage.WaitAsync("one replica is in sync", Limit, state => Place(state).InSync.Count == 1);
        await stage.ProgressAsync(Records, Limit);
        await stage.BreakAsync(new Kill(leader.Id), async () =>
        {
            await stage.WaitAsync("the partition has no leader", Limit, state => Place(state).Leader < 0);
            follower.Start();
            await stage.WaitAsync("the other replica leads", Limit, state => Place(state).Leader == follower.Id);
        });
        await stage.ProgressAsync(Records, Limit);

        static PartitionPlace Place(ClusterState state) => state.Partitions.First(each => each.Topic == Workload.Topic);
    }
}

/// <summary>A rolling restart under load, again and again: no client may see an error.</summary>
internal sealed class ControlledRestarts()
    : Scenario("rolling-restart", "every node is restarted in turn, three times; no client sees an error")
{
    private const int Rounds = 3;

    public override async Task RunAsync(Stage stage)
    {
        var before = CountErrors(stage);
        var everybody = stage.Cluster.Machines.Select(machine => machine.Id).ToList();
        for (var round = 0; round < Rounds; round++)
            await stage.BreakAsync(new RollingRestart(everybody), TimeSpan.FromSeconds(5));
        await stage.HealthAsync();
        var errors = CountErrors(stage) - before;
        Stage.Demand(errors == 0, $"no writer sees an error; they saw {errors}");
    }

    /// <summary>kafka-python sends everything once here: who does not send again has to see what a leader that goes answers.</summary>
    private static int CountErrors(Stage stage) =>
        stage.Workload.Writers.Where(writer => writer.Program.Library != "kafka-python").Sum(writer => writer.Errors.Count);
}
