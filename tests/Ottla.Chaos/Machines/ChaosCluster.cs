using System.Globalization;
using Ottla.Chaos.Network;

namespace Ottla.Chaos.Machines;

/// <summary>What a cluster is to be.</summary>
/// <param name="Combined">Nodes that are controller and broker: 1 and so on.</param>
/// <param name="BrokersAlone">Nodes behind them that are brokers only.</param>
/// <param name="Configs">Configs of all nodes.</param>
internal sealed record ClusterPlan(int Combined, int BrokersAlone, IReadOnlyDictionary<string, string> Configs);

/// <summary>
/// The machines of a run, and the network between them: made, formatted and started as an operator does. Lives as long as the run;
/// disposing it kills what runs. Namespaces and mounts are this process's own, and go with it.
/// </summary>
internal sealed class ChaosCluster : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <summary>Where <c>ip</c> keeps its names of namespaces: hidden from those of the machine outside, and of another run.</summary>
    internal const string Namespaces = "/run/netns";

    /// <summary>What ./dev chaos sets when it has given this process namespaces of its own for network, mounts and processes.</summary>
    private const string IsPrivateVariable = "OTTLA_CHAOS_PRIVATE";

    private readonly RunLog _log;

    private ChaosCluster(IReadOnlyList<Machine> machines, INetwork network, RunLog log)
    {
        Machines = machines;
        Network = network;
        _log = log;
        Admin = new ClusterAdmin(machines);
    }

    public IReadOnlyList<Machine> Machines { get; }

    /// <summary>The machine of a number.</summary>
    public Machine this[int id] => Machines[id - 1];

    public INetwork Network { get; }

    public ClusterAdmin Admin { get; }

    /// <summary>What clients are given as bootstrap servers.</summary>
    public string Bootstrap => string.Join(',', Machines.Select(
        machine => string.Create(CultureInfo.InvariantCulture, $"{machine.Address}:{Machine.ClientPort}")));

    /// <summary>Makes the machines, formats and starts them.</summary>
    public static async Task<ChaosCluster> StartAsync(ClusterPlan plan, string executable, string folder, RunLog log)
    {
        var isPrivate = Environment.GetEnvironmentVariable(IsPrivateVariable) is { Length: > 0 };
        if (!isPrivate)
            log.Write("without namespaces: the nodes are on loopback, behind proxies that do not know who connects");
        var machines = Enumerable.Range(1, plan.Combined + plan.BrokersAlone).Select(id =>
            new Machine(id, isController: id <= plan.Combined, folder, executable, log) { IsInNamespace = isPrivate }).ToList();
        var cluster = new ChaosCluster(machines, isPrivate ? ConnectByPackets(machines) : ConnectByProxies(machines), log);
        try
        {
            cluster.Format(executable, plan.Configs);
            foreach (var machine in machines)
                machine.Start();
            await cluster.WaitUntilHealthyAsync(StartLimit, "all brokers serve");
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts what does not run.</summary>
    public void StartAll()
    {
        foreach (var machine in Machines.Where(machine => !machine.IsRunning))
        {
            _log.Write($"{machine} is started");
            machine.Start();
        }
    }

    /// <summary>
    /// Waits until every broker says that all serve, and that every partition has a leader and all its replicas in sync.
    /// </summary>
    /// <exception cref="UnhealthyException">It does not come to that in time.</exception>
    public async Task WaitUntilHealthyAsync(TimeSpan limit, string why)
    {
        var started = _log.Now;
        Admin.Avoided = 0;
        foreach (var machine in Machines)
        {
            string? missing;
            while ((missing = await FindMissingAsync(machine)) is not null)
            {
                if (_log.Now - started > limit)
                    throw new UnhealthyException($"Not within {limit.TotalSeconds} s: {why}; {machine} says: {missing}");
                await Task.Delay(Pause);
            }
        }
    }

    private async Task<string?> FindMissingAsync(Machine machine) =>
        await Admin.TryDescribeAsync(machine) is { } state ? state.FindMissing(Machines.Count) : "no answer";

    /// <summary>Stops all nodes at once, as a cluster is stopped.</summary>
    public Task StopAllAsync() => Task.WhenAll(Machines.Where(machine => machine.IsRunning).Select(machine => machine.StopAsync()));

    public async ValueTask DisposeAsync()
    {
        foreach (var machine in Machines)
            await machine.KillAsync();
        await Admin.DisposeAsync();
        Network.Dispose();
    }

    /// <summary>Gives each machine a network namespace, and connects all with the clients' side, which is this process's own.</summary>
    private static PacketSwitch ConnectByPackets(IEnumerable<Machine> machines)
    {
        var network = new PacketSwitch();
        Directory.CreateDirectory(Namespaces);
        Tool.Run("mount", "-t", "tmpfs", "tmpfs", Namespaces);
        Tool.Run("ip", "link", "set", "lo", "up");
        foreach (var machine in machines)
        {
            Tool.Run("ip", "netns", "add", machine.Name);
            var device = TunDevice.Create(machine.Name);
            Tool.Run("ip", "link", "set", device.Name, "netns", machine.Name);
            Tool.Run("ip", "-n", machine.Name, "link", "set", "lo", "up");
            BringUp(device, machine.Address, "-n", machine.Name);
            network.Connect(machine.Id, device);
        }

        var clients = TunDevice.Create("clients");
        BringUp(clients, PacketSwitch.AddressOf(PacketSwitch.Clients));
        network.Connect(PacketSwitch.Clients, clients);
        return network;
    }

    private static ProxyNetwork ConnectByProxies(IEnumerable<Machine> machines)
    {
        var network = new ProxyNetwork();
        foreach (var machine in machines)
        {
            foreach (var port in machine.Ports)
                network.Connect(machine.Id, port);
        }

        return network;
    }

    private static void BringUp(TunDevice device, string address, params string[] where)
    {
        var bytes = TunDevice.PacketBytesMax.ToString(CultureInfo.InvariantCulture);
        Tool.Run("ip", [.. where, "address", "add", $"{address}/24", "dev", device.Name]);
        Tool.Run("ip", [.. where, "link", "set", device.Name, "mtu", bytes, "up"]);
    }

    private void Format(string executable, IReadOnlyDictionary<string, string> configs)
    {
        string Random() => Tool.Run(executable, "random-uuid").Trim();
        var clusterId = Random();
        var voters = string.Join(',', Machines.Where(machine => machine.IsController).Select(machine => string.Create(
            CultureInfo.InvariantCulture, $"{machine.Id}@{machine.Address}:{Machine.ControllerPort}:{Random()}")));
        foreach (var machine in Machines)
        {
            File.WriteAllLines(
                machine.ConfigurationFile, ConfigurationOf(machine, configs).Select(each => $"{each.Key}={each.Value}"));
            string[] quorum = machine.IsController ? ["--initial-controllers", voters] : [];
            machine.RunCommand(["format", "--cluster-id", clusterId, .. quorum]);
        }
    }

    private Dictionary<string, string> ConfigurationOf(Machine machine, IReadOnlyDictionary<string, string> configs)
    {
        string Listener(string name, string address, int port) =>
            string.Create(CultureInfo.InvariantCulture, $"{name}://{address}:{port}");
        string Listeners(string address) => Listener("PLAINTEXT", address, Machine.ClientPort)
            + "," + Listener("REPLICATION", address, Machine.ReplicationPort)
            + (machine.IsController ? "," + Listener("CONTROLLER", address, Machine.ControllerPort) : "");
        var controllers = Machines.Where(each => each.IsController).Select(each => $"{each.Address}:{Machine.ControllerPort}");
        var all = new Dictionary<string, string>
        {
            ["process.roles"] = machine.IsController ? "broker,controller" : "broker",
            ["node.id"] = machine.Id.ToString(CultureInfo.InvariantCulture),
            ["listeners"] = Listeners(machine.BindAddress),
            ["advertised.listeners"] = Listeners(machine.Address),
            ["inter.broker.listener.name"] = "REPLICATION",
            ["controller.listener.names"] = "CONTROLLER",
            ["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT,CONTROLLER:PLAINTEXT",
            ["controller.quorum.bootstrap.servers"] = string.Join(',', controllers),
            ["log.dirs"] = string.Join(',', machine.Disks.Select(disk => disk.Directory)),
            ["metadata.log.dir"] = machine.Disks[0].Directory,
            ["log.segment.bytes"] = "4194304",
            ["log.retention.ms"] = "-1",
            ["offsets.topic.num.partitions"] = "5",
            ["transaction.state.log.num.partitions"] = "5",
            ["auto.create.topics.enable"] = "false",
        };
        foreach (var (name, value) in configs)
            all[name] = value;
        return all;
    }
}

/// <summary>The cluster does not become whole.</summary>
internal sealed class UnhealthyException(string message) : Exception(message);
