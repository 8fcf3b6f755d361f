using Ottla.Kernel;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Clusters;

/// <summary>
/// What goes wrong in a cluster while its workload runs: nodes die, stop and come back, hosts lose power, networks are cut, connections
/// break.
/// </summary>
internal sealed class ClusterChaos(World world, SimCluster cluster)
{
    private const int QuietMsMax = 3_000;
    private const int DownMsMax = 15_000;
    private const int StepsToKillMax = 500;
    private const int FileOperationsToKillMax = 40;

    private readonly Prng _random = new(world.Random.NextUInt64());
    private readonly List<Task> _tasks = [];
    private readonly HashSet<SimNode> _reviving = [];

    /// <summary>Makes things go wrong for a time; afterwards the network is whole, and all nodes have been started.</summary>
    public async Task RunAsync(SimProcess director, TimeSpan duration)
    {
        var end = director.Clock.GetUtcNow() + duration;
        while (director.Clock.GetUtcNow() < end)
        {
            await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, QuietMsMax)));
            Strike(director);
            foreach (var node in cluster.Nodes.Values.Where(node => !node.IsRunning).ToList())
                Revive(director, node);
        }

        world.Scheduler.InterruptAfter(0, static () => { }); // no kill is left over
        world.Network.Heal();
        world.Network.Weather = world.Network.Weather with { StallsPerThousand = 0 };
        foreach (var node in cluster.Nodes.Values)
            node.KillAfterFileOperations(-1);
        foreach (var task in _tasks.ToList())
            await task; // stops and starts under way
        await cluster.StartAllAsync();
    }

    private void Strike(SimProcess director)
    {
        var node = Any();
        switch (_random.NextInt(9))
        {
            case 0 when node.Serving is not null:
                _tasks.Add(Watched(director, node.StopAsync()));
                break;
            case 1:
                node.Kill();
                break;
            case 2:
                world.Scheduler.InterruptAfter(_random.NextInt(StepsToKillMax), node.Kill);
                break;
            case 3:
                node.KillAfterFileOperations(_random.NextInt(FileOperationsToKillMax));
                break;
            case 4:
                CutOff(node);
                break;
            case 5:
                Cut(node, Any(), isOneWay: _random.NextChance(50));
                break;
            case 6:
                world.Tell("chaos", $"the network is whole");
                world.Network.Heal();
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

    private void CutOff(SimNode node)
    {
        foreach (var other in cluster.Nodes.Values.Where(other => other != node))
            Cut(node, other, isOneWay: false);
    }

    private void Cut(SimNode one, SimNode other, bool isOneWay)
    {
        if (one == other)
            return;
        world.Tell("chaos", $"cuts {one.Name} from {other.Name}{(isOneWay ? ", one way" : "")}");
        world.Network.Cut(one.EndPoint.Address, other.EndPoint.Address);
        if (!isOneWay)
            world.Network.Cut(other.EndPoint.Address, one.EndPoint.Address);
    }

    /// <summary>Starts a node that does not run, after a while; it may be killed again while it starts.</summary>
    private void Revive(SimProcess director, SimNode node)
    {
        if (_reviving.Add(node))
            _tasks.Add(Watched(director, ReviveAsync(director, node)));
    }

    private async Task ReviveAsync(SimProcess director, SimNode node)
    {
        await director.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, DownMsMax)));
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
