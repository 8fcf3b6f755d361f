using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.Chaos.Faults;
using Ottla.Chaos.Judging;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos;

/// <summary>
/// What a run breaks, and sees of it: faults with their time and what they were to clients, and waits for what must come. Used by the run's
/// task; lives as long as the run.
/// </summary>
internal sealed class Stage(ChaosCluster cluster, Workload workload, CopyWorkload? copies, RunLog log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly List<FaultWindow> _windows = [];

    public ChaosCluster Cluster { get; } = cluster;

    public Workload Workload { get; } = workload;

    /// <summary>The copies in transactions; null when there are none.</summary>
    public CopyWorkload? Copies { get; } = copies;

    public RunLog Log { get; } = log;

    /// <summary>The faults there were.</summary>
    public IReadOnlyList<FaultWindow> Windows => _windows;

    /// <summary>Breaks something, and mends it after a time.</summary>
    public Task BreakAsync(Fault fault, TimeSpan hold) => BreakAsync(fault, () => Task.Delay(hold));

    /// <summary>Breaks something, and mends it when <paramref name="meanwhile"/> is done.</summary>
    public async Task BreakAsync(Fault fault, Func<Task> meanwhile)
    {
        IReadOnlyList<int> led = fault.Victim is { } victim && await Cluster.Admin.TryDescribeAsync() is { } state
            ? [.. state.Partitions.Where(each => each.Topic == Workload.Topic && each.Leader == victim).Select(each => each.Partition)]
            : [];
        CloseWindow();
        var number = _windows.Count + 1;
        Log.Write(string.Create(CultureInfo.InvariantCulture, $"fault {number}: {fault}"));
        var window = new FaultWindow(number, fault.ToString(), Log.Now, TimeSpan.MaxValue, led);
        _windows.Add(window);
        await fault.InjectAsync(Cluster);
        try
        {
            await meanwhile();
        }
        finally
        {
            await fault.HealAsync(Cluster); // what has not come true is found out about in a cluster that works
        }

        Log.Write(string.Create(CultureInfo.InvariantCulture, $"fault {number} is mended"));
    }

    /// <summary>Ends what counts as the time of the last fault.</summary>
    public void CloseWindow()
    {
        if (_windows.Count > 0 && _windows[^1].To == TimeSpan.MaxValue)
            _windows[^1] = _windows[^1] with { To = Log.Now };
    }

    /// <summary>Replaces clients that have ended.</summary>
    public void WatchClients()
    {
        Workload.Watch();
        Copies?.Watch();
    }

    /// <summary>Where a partition of the workload's topic is, as soon as somebody knows.</summary>
    public async Task<PartitionPlace> PlaceOfAsync(int partition)
    {
        PartitionPlace? place = null;
        await WaitAsync("a broker knows the partition", TimeSpan.FromSeconds(60), state =>
        {
            place = state.Partitions.FirstOrDefault(each => each.Topic == Workload.Topic && each.Partition == partition);
            return place is { Leader: > 0 };
        });
        return place!;
    }

    /// <summary>Waits until a broker sees the cluster so.</summary>
    public Task WaitAsync(string what, TimeSpan limit, Func<ClusterState, bool> condition) =>
        WaitAsync(what, limit, async () => await Cluster.Admin.TryDescribeAsync() is { } state && condition(state));

    /// <summary>Waits until more records are acknowledged.</summary>
    public Task ProgressAsync(int records, TimeSpan limit)
    {
        var target = Workload.Acknowledged + records;
        return WaitAsync($"{records} more records are acknowledged", limit, () => Task.FromResult(Workload.Acknowledged >= target));
    }

    /// <summary>Waits until all is as before the faults.</summary>
    public Task HealthAsync() => Cluster.WaitUntilHealthyAsync(TimeSpan.FromSeconds(120), "all is well again");

    /// <summary>Fails the scenario unless something is so.</summary>
    /// <exception cref="ScenarioException">It is not.</exception>
    public static void Demand(bool isSo, string what)
    {
        if (!isSo)
            throw new ScenarioException($"It is not so that {what}");
    }

    /// <summary>Waits until a condition holds.</summary>
    /// <exception cref="ScenarioException">It does not in time.</exception>
    public async Task WaitAsync(string what, TimeSpan limit, Func<Task<bool>> condition)
    {
        var deadline = Log.Now + limit;
        while (!await condition())
        {
            if (Log.Now > deadline)
                throw new ScenarioException($"Not within {limit.TotalSeconds} s: {what}");
            WatchClients();
            await Task.Delay(Interval);
        }
    }
}

/// <summary>What a scenario demands has not come true.</summary>
internal sealed class ScenarioException(string message) : Exception(message);
