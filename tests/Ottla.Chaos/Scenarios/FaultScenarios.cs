using Ottla.Chaos.Faults;
using Ottla.Chaos.Machines;
using Ottla.Chaos.Network;

namespace Ottla.Chaos.Scenarios;

/// <summary>
/// Kafka's <c>round_trip_fault_test</c>: records go round while a broker is cut off, a broker hangs, and all links are slow; and again once
/// the clients were cut off.
/// </summary>
internal sealed class RoundTrips() : Scenario("round-trip", "a broker is cut off, then hangs, the clients are cut off, the links are slow")
{
    private const int Records = 1000;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    public override int BrokersAlone => 1;

    public override TopicPlacement Topic => new(1, 3, [1, 2, 3]);

    public override async Task RunAsync(Stage stage)
    {
        await stage.ProgressAsync(Records, Limit);
        var leader = (await stage.PlaceOfAsync(0)).Leader;
        await stage.BreakAsync(new Cut([new(leader, null), new(null, leader)]), () => stage.ProgressAsync(Records, Limit));
        await stage.HealthAsync();
        leader = (await stage.PlaceOfAsync(0)).Leader;
        await stage.BreakAsync(new Pause(leader), () => stage.ProgressAsync(Records, Limit));
        await stage.HealthAsync();
        await stage.BreakAsync(new Cut([new(PacketSwitch.Clients, null), new(null, PacketSwitch.Clients)]), TimeSpan.FromSeconds(30));
        await stage.ProgressAsync(Records, Limit);
        await stage.BreakAsync(
            new Cut([new(null, null, null, new SlowLink(TimeSpan.FromMilliseconds(100), 3_000_000 / 8))]),
            () => stage.ProgressAsync(Records, Limit));
        await stage.HealthAsync();
    }
}

/// <summary>The leader of a partition is killed fifty times: how long until a record is acknowledged by the next one?</summary>
internal sealed class Failovers()
    : Scenario("failover", "the leader of a partition is killed, fifty times, and the time to the next record is taken")
{
    private const int Kills = 50;
    private const int Records = 50;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public override TopicPlacement Topic => new(1, 3);

    public override async Task RunAsync(Stage stage)
    {
        for (var kill = 0; kill < Kills; kill++)
        {
            await stage.HealthAsync();
            await stage.ProgressAsync(Records, Limit);
            await stage.BreakAsync(new Kill((await stage.PlaceOfAsync(0)).Leader), () => stage.ProgressAsync(Records, Limit));
        }
    }
}

/// <summary>
/// Kafka's <c>transactions_test</c> and <c>group_mode_transactions_test</c>: copies in transactions by the members of a group, while
/// brokers and copiers are restarted and killed.
/// </summary>
internal sealed class BouncedCopies() : Scenario("transactions", "copies are exact while brokers and copiers are stopped and killed")
{
    private const int KillsOfCopiers = 12;

    private static readonly TimeSpan Between = TimeSpan.FromSeconds(4);

    public override bool HasCopies => true;

    public override async Task RunAsync(Stage stage)
    {
        foreach (var isClean in new[] { true, false })
        {
            foreach (var machine in stage.Cluster.Machines)
            {
                await stage.BreakAsync(isClean ? new Stop(machine.Id) : new Kill(machine.Id), Between);
                await stage.HealthAsync();
            }
        }

        for (var kill = 0; kill < KillsOfCopiers && stage.Copies is { } copies; kill++)
        {
            await copies.KillCopierAsync(kill);
            stage.Log.Write("a copier is killed");
            copies.Watch();
            await Task.Delay(Between);
        }
    }
}

/// <summary>All scenarios by name.</summary>
internal static class ScenarioCatalog
{
    public static IReadOnlyList<Scenario> All { get; } =
    [
        new LeaderFailures(), new CutFollower(), new EligibleLeaders(), new FailingDirectories(), new BouncedReassignment(),
        new ThrottledReassignment(), new UncleanElection(), new ControlledRestarts(), new RoundTrips(), new Failovers(),
        new BouncedCopies(),
    ];
}
