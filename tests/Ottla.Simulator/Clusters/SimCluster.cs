using System.Globalization;
using System.Net;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Clusters;

/// <summary>The nodes of a cluster in a world, each on a host and a disk of its own. Lives for one run.</summary>
/// <remarks>The quorum is static. Node 1 lives on host 10.0.0.1, and so on.</remarks>
internal sealed class SimCluster
{
    private readonly ClusterConditions _conditions;

    /// <summary>Nodes that were never started.</summary>
    public SimCluster(World world, ClusterConditions conditions)
    {
        _conditions = conditions;
        Nodes = conditions.Controllers.Union(conditions.Brokers).Order()
            .ToDictionary(id => id, id => new SimNode(world, HostOf(id), ConfigsOf(id))
            {
                Name = string.Create(CultureInfo.InvariantCulture, $"node{id}"),
                PowerLossPercent = conditions.PowerLossPercent,
            });
    }

    /// <summary>The nodes by their ids.</summary>
    public IReadOnlyDictionary<int, SimNode> Nodes { get; }

    /// <summary>The nodes that are brokers.</summary>
    public IEnumerable<SimNode> Brokers => _conditions.Brokers.Select(id => Nodes[id]);

    /// <summary>Starts the nodes that do not run, all at once: alone, none of them may have a quorum.</summary>
    public async Task StartAllAsync()
    {
        foreach (var start in Nodes.Values.Where(node => !node.IsRunning).Select(node => node.StartAsync()).ToList())
            await start;
    }

    /// <summary>The host of a node.</summary>
    public static IPAddress HostOf(int id) => new([10, 0, 0, (byte)id]);

    private Dictionary<string, string> ConfigsOf(int id)
    {
        var (isController, isBroker) = (_conditions.Controllers.Contains(id), _conditions.Brokers.Contains(id));
        var roles = new List<string>();
        var listeners = new List<string>();
        if (isBroker)
        {
            roles.Add("broker");
            listeners.Add($"PLAINTEXT://{HostOf(id)}:{SimNode.Port}");
        }

        if (isController)
        {
            roles.Add("controller");
            listeners.Add($"CONTROLLER://{HostOf(id)}:{SimNode.ControllerPort}");
        }

        return new Dictionary<string, string>
        {
            ["process.roles"] = string.Join(',', roles),
            ["node.id"] = id.ToString(CultureInfo.InvariantCulture),
            ["listeners"] = string.Join(',', listeners),
            ["controller.listener.names"] = "CONTROLLER",
            ["controller.quorum.voters"] = string.Join(
                ',', _conditions.Controllers.Select(voter => $"{voter}@{HostOf(voter)}:{SimNode.ControllerPort}")),
            ["initial.broker.registration.timeout.ms"] = "3600000", // faults may keep a broker out for long; giving up is tested elsewhere
            ["metadata.log.max.record.bytes.between.snapshots"] = _conditions.SnapshotBytes.ToString(CultureInfo.InvariantCulture),
            ["metadata.max.retention.bytes"] = "20000", // old snapshots go, so that those who lag behind must fetch one
        };
    }
}
