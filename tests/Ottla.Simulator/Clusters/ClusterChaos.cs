using Ottla.Kernel;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Clusters;

/// <summary>
/// What goes wrong in a cluster while its workload runs: nodes die, stop and come back, hosts lose power, networks are cut, connections
/// break, disks fail.
/// </summary>
/// <param name="world">Where.</param>
/// <param name="cluster">Whose nodes.</param>
/// <param name="faults">What may happen; each as likely as any other.</param>
internal sealed class ClusterChaos(World world, SimCluster cluster, IReadOnlyList<ClusterFault> faults)
{
    private const int DownMsMax = 15_000;
    private const int PauseMsMax = 15_000;
    private const int DiskTroubleMsMax = 10_000;
    private const int CutMsMax = 20_000;
    private const int SlowMsMax = 500;
    private const int StepsToKillMax = 500;
    private const int FileOperationsToKillMax = 40;
    private const int DiskBytesLeftMax = 4_000;

    private readonly Prng _random = new(world.Random.NextUInt64());
    private readonly List<Task> _tasks = [];
    private readonly HashSet<SimNode> _reviving = [];
    private bool _isRolling;

    /// <summary>How long it is quiet between two faults, at most.</summary>
    public int QuietMsMax { get; init; } = 3_000;

    /// <summary>The log directories of each node, for those that fail.</summary>
    public IReadOnlyList<string> Directories { get; init; } = [];

    /// <summary>Makes things go wrong for a time; afterwards the network is whole, and all nodes have been started.</summary>
    public async Task RunAsync(SimProcess director, TimeSpan duration)
    {
        var end = director.Clock.GetUtcNow() + duration;
        var isCut = false;
        while (director.Clock.GetUtcNow() < end)
        {
            await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, QuietMsMax)));
            var fault = faults[_random.NextInt(faults.Count)];
            Strike(director, fault);
            if (fault is ClusterFault.Cut or ClusterFault.CutListener or ClusterFault.CutOff or ClusterFault.SlowLink && !isCut)
            {
                isCut = true;
                _tasks.Add(Watched(director, HealLaterAsync()));
            }

            foreach (var node in cluster.Nodes.Values.Where(node => !node.IsRunning).ToList())
                Revive(director, node);
        }

        await EndAsync(director);

        async Task HealLaterAsync()
        {
            await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, CutMsMax)));
            Heal();
            isCut = false;
        }
    }

    private async Task EndAsync(SimProcess director)
    {
        world.Scheduler.InterruptAfter(0, static () => { }); // no kill is left over
        Heal();
        world.Network.Weather = world.Network.Weather with { StallsPerThousand = 0 };
        foreach (var node in cluster.Nodes.Values)
        {
            node.KillAfterFileOperations(-1);
            node.Resume();
            node.HealDisk();
        }

        while (_tasks.Exists(task => !task.IsCompleted)) // stops and starts under way
        {
            foreach (var node in cluster.Nodes.Values.Where(node => !node.IsRunning).ToList())
                Revive(director, node); // a start may wait for a node that has just been stopped
            await director.Delay(TimeSpan.FromMilliseconds(100));
        }

        await Task.WhenAll(_tasks);
        await cluster.StartAllAsync();
        foreach (var node in cluster.Nodes.Values.Where(node => node.IsDiskInTrouble).ToList())
        {
            while (node.Gate?.MayDie(node) == false)
                await director.Delay(TimeSpan.FromMilliseconds(100));
            await node.StopAsync(); // a directory that failed is looked at again only by a new process
            await node.StartAsync();
        }
    }

    private void Strike(SimProcess director, ClusterFault fault)
    {
        var node = Any();
        switch (fault)
        {
            case ClusterFault.Stop:
                Stop(director, node);
                break;
            case ClusterFault.Kill:
                node.Kill();
                break;
            case ClusterFault.KillSoon:
                world.Scheduler.InterruptAfter(_random.NextInt(StepsToKillMax), node.Kill);
                break;
            case ClusterFault.KillAtFileOperation:
                node.KillAfterFileOperations(_random.NextInt(FileOperationsToKillMax));
                break;
            case ClusterFault.Pause when node.IsRunning && !node.IsPaused:
                _tasks.Add(Watched(director, PauseAsync(director, node)));
                break;
            case ClusterFault.CutOff:
                foreach (var other in cluster.Nodes.Values.Where(other => other != node))
                    Cut(node, other, isOneWay: false);
                break;
            case ClusterFault.Cut:
                Cut(node, Any(), isOneWay: _random.NextChance(50));
                break;
            case ClusterFault.CutListener:
                Cut(node, Any(), isOneWay: _random.NextChance(50), AnyPort());
                break;
            case ClusterFault.SlowLink:
                Slow(node, Any());
                break;
            case ClusterFault.FailDirectory when MayHaveTrouble(node):
                node.FailDirectory(Directories[_random.NextInt(Directories.Count)], isOnce: _random.NextChance(50));
                _tasks.Add(Watched(director, ReplaceAsync(director, node)));
                break;
            case ClusterFault.FillDisk when MayHaveTrouble(node):
                node.FillDisk(_random.NextInt(DiskBytesLeftMax));
                _tasks.Add(Watched(director, MakeRoomAsync(director, node)));
                break;
            case ClusterFault.RollingRestart when !_isRolling:
                _tasks.Add(Watched(director, RollAsync(director)));
                break;
            default:
                world.Network.ResetAny();
                break;
        }
    }

    private SimNode Any()
    {
        var nodes = cluster.Nodes.Values.ToList();
        return nodes[_random.NextInt(nodes.Count)];
    }

    private int AnyPort() => _random.NextInt(3) switch
    {
        0 => SimNode.Port,
        1 => SimNode.ControllerPort,
        _ => SimCluster.ReplicationPort,
    };

    private void Heal()
    {
        world.Tell("chaos", $"the network is whole");
        world.Network.Heal();
    }

    private void Cut(SimNode one, SimNode other, bool isOneWay, int port = SimNetwork.AnyPort)
    {
        if (one == other)
            return;
        var (way, where) = (isOneWay ? ", one way" : "", port == SimNetwork.AnyPort ? "" : $", port {port}");
        world.Tell("chaos", $"cuts {one.Name} from {other.Name}{way}{where}");
        world.Network.Cut(one.EndPoint.Address, other.EndPoint.Address, port);
        if (!isOneWay)
            world.Network.Cut(other.EndPoint.Address, one.EndPoint.Address, port);
    }

    private void Slow(SimNode one, SimNode other)
    {
        if (one == other)
            return;
        var delayMsMax = _random.NextInt(1, SlowMsMax);
        world.Tell("chaos", $"the way from {one.Name} to {other.Name} takes up to {delayMsMax} ms");
        world.Network.Slow(one.EndPoint.Address, other.EndPoint.Address, delayMsMax);
        world.Network.Slow(other.EndPoint.Address, one.EndPoint.Address, delayMsMax);
    }

    private async Task PauseAsync(SimProcess director, SimNode node)
    {
        node.Pause();
        await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, PauseMsMax)));
        node.Resume();
    }

    /// <summary>What a disk in trouble has may be out of reach as after a death.</summary>
    private static bool MayHaveTrouble(SimNode node) =>
        node is { IsRunning: true, IsDiskInTrouble: false } && node.Gate?.MayDie(node) != false;

    private async Task MakeRoomAsync(SimProcess director, SimNode node)
    {
        await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, DiskTroubleMsMax)));
        node.HealDisk();
    }

    /// <summary>Somebody notices the failed directory, and restarts the node on a disk that works.</summary>
    private async Task ReplaceAsync(SimProcess director, SimNode node)
    {
        await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, DiskTroubleMsMax)));
        Stop(director, node);
    }

    private void Stop(SimProcess director, SimNode node)
    {
        if (node is { Serving: not null, IsPaused: false } && node.Gate?.MayDie(node) != false)
            _tasks.Add(Watched(director, node.StopAsync()));
    }

    private async Task RollAsync(SimProcess director)
    {
        _isRolling = true;
        world.Tell("chaos", $"a rolling restart begins");
        foreach (var node in cluster.Nodes.Values)
        {
            if (node is not { Serving: not null, IsPaused: false } || node.Gate?.MayDie(node) == false)
                continue;
            await node.StopAsync();
            if (_reviving.Add(node))
                await ReviveAsync(director, node, afterMsMax: 500);
            while (node.IsRunning && node.Serving is null)
                await director.Delay(TimeSpan.FromMilliseconds(100));
        }

        _isRolling = false;
    }

    /// <summary>Starts a node that does not run, after a while; it may be killed again while it starts.</summary>
    private void Revive(SimProcess director, SimNode node)
    {
        if (_reviving.Add(node))
            _tasks.Add(Watched(director, ReviveAsync(director, node, DownMsMax)));
    }

    private async Task ReviveAsync(SimProcess director, SimNode node, int afterMsMax)
    {
        await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, afterMsMax)));
        _reviving.Remove(node);
        if (!node.IsRunning)
            await node.StartAsync();
    }

    private static Task Watched(SimProcess director, Task task)
    {
        director.Watch(task);
        return task;
    }
}
