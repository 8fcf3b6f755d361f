using System.Globalization;
using System.Net;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Clusters;

/// <summary>The nodes of a cluster in a world, each on a host and a disk of its own. Lives for one run.</summary>
/// <remarks>The quorum is static. Node 1 lives on host 10.0.0.1, and so on.</remarks>
internal sealed class SimCluster
{
    /// <summary>Where brokers listen for each other.</summary>
    public const int ReplicationPort = 9094;

    private readonly int[] _controllers;
    private readonly int[] _brokers;
    private readonly IReadOnlyDictionary<string, string> _configs;

    /// <summary>Nodes that were never started.</summary>
    /// <param name="world">Where they live.</param>
    /// <param name="controllers">The ids of the controllers: the voters.</param>
    /// <param name="brokers">The ids of the brokers; a node may be both.</param>
    /// <param name="configs">What all of them are configured with besides.</param>
    /// <param name="powerLossPercent">Of a hundred kills of a node, how many take the power of its host.</param>
    /// <param name="gate">Says which sudden deaths the cluster must survive; null for all.</param>
    public SimCluster(
        World world, int[] controllers, int[] brokers, IReadOnlyDictionary<string, string> configs, int powerLossPercent = 0,
        IDeathGate? gate = null)
    {
        (_controllers, _brokers, _configs) = (controllers, brokers, configs);
        Nodes = controllers.Union(brokers).Order().ToDictionary(id => id, id => new SimNode(world, HostOf(id), ConfigsOf(id))
        {
            Id = id,
            Name = string.Create(CultureInfo.InvariantCulture, $"node{id}"),
            PowerLossPercent = powerLossPercent,
            Gate = gate,
        });
    }

    /// <summary>The nodes by their ids.</summary>
    public IReadOnlyDictionary<int, SimNode> Nodes { get; }

    /// <summary>The nodes that are brokers.</summary>
    public IEnumerable<SimNode> Brokers => _brokers.Select(id => Nodes[id]);

    /// <summary>The nodes that are controllers.</summary>
    public IEnumerable<SimNode> Controllers => _controllers.Select(id => Nodes[id]);

    /// <summary>The newest metadata that a node has published; null before there is any.</summary>
    public MetadataImage? NewestImage
    {
        get
        {
            MetadataImage? newest = null;
            foreach (var node in Nodes.Values)
            {
                if (node.Serving?.Shared.Metadata.Current is { Provenance.LastOffset: >= 0 } image
                    && (newest is null || image.Provenance.LastOffset > newest.Provenance.LastOffset))
                    newest = image;
            }

            return newest;
        }
    }

    /// <summary>Whether all nodes serve, follow one leader of the quorum, and all brokers are unfenced.</summary>
    public bool IsWhole =>
        Nodes.Values.All(node => node.Serving is not null)
        && Nodes.Values.Select(node => node.Serving!.Shared.Raft.KnownLeader.LeaderId).Distinct().ToList() is [>= 0]
        && Nodes.Values.All(
            node => node.Serving!.Shared.Metadata.Current.Cluster.Brokers.Values.Count(broker => !broker.Fenced) == _brokers.Length);

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
        var (isController, isBroker) = (_controllers.Contains(id), _brokers.Contains(id));
        var roles = new List<string>();
        var listeners = new List<string>();
        if (isBroker)
        {
            roles.Add("broker");
            listeners.Add($"PLAINTEXT://{HostOf(id)}:{SimNode.Port}");
            listeners.Add($"REPLICATION://{HostOf(id)}:{ReplicationPort}");
        }

        if (isController)
        {
            roles.Add("controller");
            listeners.Add($"CONTROLLER://{HostOf(id)}:{SimNode.ControllerPort}");
        }

        var configs = new Dictionary<string, string>
        {
            ["process.roles"] = string.Join(',', roles),
            ["node.id"] = id.ToString(CultureInfo.InvariantCulture),
            ["listeners"] = string.Join(',', listeners),
            ["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT,CONTROLLER:PLAINTEXT",
            ["inter.broker.listener.name"] = "REPLICATION",
            ["controller.listener.names"] = "CONTROLLER",
            ["controller.quorum.voters"] = string.Join(
                ',', _controllers.Select(voter => $"{voter}@{HostOf(voter)}:{SimNode.ControllerPort}")),
            ["initial.broker.registration.timeout.ms"] = "3600000", // faults may keep a broker out for long; giving up is tested elsewhere
        };
        foreach (var (name, value) in _configs)
            configs[name] = value;
        return configs;
    }
}
