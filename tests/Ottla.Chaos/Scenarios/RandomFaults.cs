using Ottla.Chaos.Faults;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Scenarios;

/// <summary>The usual run: faults that follow from the seed.</summary>
internal sealed class RandomFaults(ChaosOptions options) : Scenario("random", "faults that follow from the seed")
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    public override int Nodes => options.Nodes;

    public override TopicPlacement Topic => new(options.Partitions, options.Replication);

    public override int InSyncMin => Math.Min(2, options.Replication);

    public override bool HasCopies => options.HasCopies;

    public override async Task RunAsync(Stage stage)
    {
        var kinds = FindKinds(stage);
        var faults = FaultSchedule.Create(options, kinds);
        stage.Log.Write($"{faults.Count} faults of {string.Join(", ", kinds)} follow from seed {options.Seed}");
        var started = stage.Log.Now;
        foreach (var planned in faults)
        {
            await WaitUntilAsync(stage, started + planned.At);
            stage.Cluster.StartAll();
            if (!planned.Fault.NeedsWholeCluster || await IsWholeAsync(stage, planned))
                await stage.BreakAsync(planned.Fault, planned.Hold);
        }

        await WaitUntilAsync(stage, started + TimeSpan.FromSeconds(options.Seconds));
    }

    private List<string> FindKinds(Stage stage)
    {
        if (options.Faults?.FirstOrDefault(kind => !FaultSchedule.Kinds.Contains(kind)) is { } unknown)
            throw new UsageException($"there is no fault {unknown}: {string.Join(", ", FaultSchedule.Kinds)}");
        var hasDisks = stage.Cluster.Machines.All(machine => machine.Disks.All(disk => disk.IsReal));
        var possible = FaultSchedule.Kinds.Where(kind => hasDisks || !FaultSchedule.KindsOfDisks.Contains(kind)).ToList();
        if (options.Faults is null && !hasDisks)
            stage.Log.Write($"without {string.Join(", ", FaultSchedule.KindsOfDisks)}: disks that fail need root and a loop device");
        if (options.Replication == 1)
            possible.RemoveAll(FaultSchedule.KindsOfReplicas.Contains); // there is no other replica that has what they lose
        return [.. options.Faults?.Intersect(possible) ?? possible];
    }

    private static async Task<bool> IsWholeAsync(Stage stage, PlannedFault planned)
    {
        try
        {
            await stage.HealthAsync();
            return true;
        }
        catch (UnhealthyException e)
        {
            stage.Log.Write($"left out: {planned.Fault}: {e.Message}");
            return false;
        }
    }

    private static async Task WaitUntilAsync(Stage stage, TimeSpan time)
    {
        while (stage.Log.Now < time)
        {
            stage.WatchClients();
            var left = time - stage.Log.Now;
            await Task.Delay(left > Interval ? Interval : left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }
    }
}
