using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.Chaos.Faults;
using Ottla.Chaos.Judging;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos;

/// <summary>One run from an empty folder to its verdict: a cluster, clients, faults, everything mended, and the judge.</summary>
internal sealed class ChaosRun(ChaosOptions options, string executable, string folder, RunLog log)
{
    private static readonly TimeSpan HealLimit = TimeSpan.FromSeconds(120);

    private readonly List<FaultWindow> _windows = [];

    /// <summary>Runs.</summary>
    /// <returns>What was found that must not be.</returns>
    public async Task<IReadOnlyList<string>> RunAsync()
    {
        var programs = FindPrograms();
        await using var cluster = await ChaosCluster.StartAsync(options.Nodes, executable, folder, Configs(), log);
        var faults = FaultSchedule.Create(options, FindKinds(cluster));
        log.Write($"{options.Nodes} nodes serve; {faults.Count} faults follow from seed {options.Seed}");
        var topicConfigs = new Dictionary<string, string> { ["min.insync.replicas"] = Text(InSyncMin) };
        await cluster.Admin.CreateTopicAsync(Workload.Topic, options.Partitions, options.Replication, topicConfigs);
        var workload = new Workload(options, folder, cluster.Bootstrap, log);
        workload.Start(programs);
        await workload.WaitUntilAllWorkAsync();
        log.Write($"{workload.Writers.Count} writers and {workload.Readers.Count} readers work");

        var anomalies = new List<string>();
        await BreakAsync(cluster, workload, faults);
        cluster.StartAll();
        try
        {
            await cluster.WaitUntilHealthyAsync(HealLimit, "all is well after the last fault");
            log.Write("all is well again");
        }
        catch (UnhealthyException e)
        {
            anomalies.Add(e.Message);
        }

        await workload.StopWritersAsync();
        log.Write($"{workload.Acknowledged} records are acknowledged");
        workload.StartReaderAlone();
        await workload.FinishReadersAsync(await cluster.Admin.EndOffsetsAsync(Workload.Topic, options.Partitions));
        await cluster.StopAllAsync();
        log.Write(string.Create(
            CultureInfo.InvariantCulture,
            $"all nodes are stopped; the network delivered {cluster.Network.Counts.Delivered} packets and lost {cluster.Network.Counts.Lost}"));
        anomalies.AddRange(Judge.Find(workload, cluster, options.Partitions, Path.Combine(folder, "history.jsonl")));
        log.Write($"service:\n{new ServiceReport(workload, options.Partitions, _windows)}");
        foreach (var disk in cluster.Machines.SelectMany(machine => machine.Disks))
            disk.Dispose(options.KeepsData || anomalies.Count > 0);
        return anomalies;
    }

    private int InSyncMin => Math.Min(2, options.Replication);

    private Dictionary<string, string> Configs()
    {
        var configs = new Dictionary<string, string>
        {
            ["default.replication.factor"] = Text(options.Replication),
            ["min.insync.replicas"] = Text(InSyncMin),
            ["offsets.topic.replication.factor"] = Text(options.Replication),
            ["transaction.state.log.replication.factor"] = Text(options.Replication),
            ["transaction.state.log.min.isr"] = Text(InSyncMin),
        };
        foreach (var (name, value) in options.Configs)
            configs[name] = value;
        return configs;
    }

    private List<ClientProgram> FindPrograms()
    {
        var programs = new List<ClientProgram>();
        foreach (var program in (options.Clients ?? ClientProgram.Libraries).SelectMany(ClientProgram.Of))
        {
            if (program.FindMissing() is not { } missing)
                programs.Add(program);
            else if (options.Clients is null)
                log.Write($"without {program.Name}: {missing} (tests/Ottla.SystemTests/install-clients.sh installs the clients)");
            else
                throw new UsageException($"{program.Name} cannot be used: {missing}");
        }

        return programs.Count > 0 ? programs : throw new UsageException("no client is installed: run tests/Ottla.SystemTests/install-clients.sh");
    }

    private List<string> FindKinds(ChaosCluster cluster)
    {
        if (options.Faults?.FirstOrDefault(kind => !FaultSchedule.Kinds.Contains(kind)) is { } unknown)
            throw new UsageException($"there is no fault {unknown}: {string.Join(", ", FaultSchedule.Kinds)}");
        var hasDisks = cluster.Machines.All(machine => machine.Disks.All(disk => disk.IsReal));
        var possible = FaultSchedule.Kinds.Where(kind => hasDisks || !FaultSchedule.KindsOfDisks.Contains(kind)).ToList();
        if (options.Faults is null && !hasDisks)
            log.Write($"without {string.Join(", ", FaultSchedule.KindsOfDisks)}: disks that fail need root and a loop device");
        if (options.Replication == 1)
            possible.RemoveAll(kind => kind is "power" or "dir-fail"); // there is no other replica that has what they lose
        return [.. options.Faults?.Intersect(possible) ?? possible];
    }

    private async Task BreakAsync(ChaosCluster cluster, Workload workload, List<PlannedFault> faults)
    {
        var started = log.Now;
        foreach (var planned in faults)
        {
            await WaitUntilAsync(started + planned.At);
            workload.Watch();
            cluster.StartAll();
            if (!planned.Fault.NeedsWholeCluster || await IsWholeAsync(cluster, planned))
                await BreakAsync(cluster, planned);
        }

        await WaitUntilAsync(started + TimeSpan.FromSeconds(options.Seconds));
        CloseWindow();
        workload.Watch();
    }

    private async Task BreakAsync(ChaosCluster cluster, PlannedFault planned)
    {
        var fault = planned.Fault;
        IReadOnlyList<int> led = fault.Victim is { } victim && await cluster.Admin.TryDescribeAsync() is { } state
            ? [.. state.Partitions.Where(each => each.Topic == Workload.Topic && each.Leader == victim).Select(each => each.Partition)]
            : [];
        CloseWindow();
        log.Write($"fault {planned.Number}: {fault}");
        var from = log.Now;
        await fault.InjectAsync(cluster);
        await Task.Delay(planned.Hold);
        await fault.HealAsync(cluster);
        log.Write($"fault {planned.Number} is mended");
        _windows.Add(new FaultWindow(planned.Number, fault.ToString(), from, log.Now, TimeSpan.MaxValue, led));
    }

    /// <summary>The window of the last fault ends where the next begins.</summary>
    private void CloseWindow()
    {
        if (_windows.Count > 0 && _windows[^1].To == TimeSpan.MaxValue)
            _windows[^1] = _windows[^1] with { To = log.Now };
    }

    private async Task<bool> IsWholeAsync(ChaosCluster cluster, PlannedFault planned)
    {
        try
        {
            await cluster.WaitUntilHealthyAsync(HealLimit, "all is well");
            return true;
        }
        catch (UnhealthyException e)
        {
            log.Write($"fault {planned.Number} is left out ({planned.Fault}): {e.Message}");
            return false;
        }
    }

    private async Task WaitUntilAsync(TimeSpan time)
    {
        if (time - log.Now is var wait && wait > TimeSpan.Zero)
            await Task.Delay(wait);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
