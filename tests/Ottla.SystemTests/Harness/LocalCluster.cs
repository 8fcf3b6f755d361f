using System.Globalization;
using System.Text;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Harness;

/// <summary>
/// A cluster as an operator makes it: nodes formatted with the same list of initial controllers, each a process with free ports and a
/// folder of its own. Owned by one test. Disposing it kills all nodes and removes the folders (unless OTTLA_KEEP_DATA is set).
/// </summary>
public sealed class LocalCluster : IAsyncDisposable
{
    /// <summary>How long a cluster may take from the start of its processes until all serve: a bound for what hangs.</summary>
    public static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private readonly List<ClusterNode> _nodes = [];

    private LocalCluster()
    {
    }

    public IReadOnlyList<ClusterNode> Nodes => _nodes;

    public IEnumerable<ClusterNode> Brokers => _nodes.Where(node => node.BrokerPort is not null);

    public IEnumerable<ClusterNode> Controllers => _nodes.Where(node => node.ControllerPort is not null);

    /// <summary>What clients are given as bootstrap servers.</summary>
    public string Bootstrap => string.Join(',', Brokers.Select(node => $"127.0.0.1:{node.BrokerPort}"));

    /// <summary>What tools are given as bootstrap controllers.</summary>
    public string BootstrapControllers => string.Join(',', Controllers.Select(node => $"127.0.0.1:{node.ControllerPort}"));

    private string Folder { get; } = Directory.CreateTempSubdirectory("ottla-system-test-").FullName;

    /// <summary>Nodes that are controllers and brokers, 1 and so on.</summary>
    /// <param name="count">How many.</param>
    /// <param name="settings">Configs of all nodes.</param>
    /// <param name="settingsOf">More configs of a node.</param>
    /// <param name="formatOptions">More arguments of <c>ottla format</c>.</param>
    public static Task<LocalCluster> FormatCombinedAsync(
        int count, IReadOnlyDictionary<string, string>? settings = null,
        Func<ClusterNode, IReadOnlyDictionary<string, string>>? settingsOf = null, params string[] formatOptions) =>
        FormatAsync(Enumerable.Range(1, count).Select(id => (id, true, true)), settings, settingsOf, formatOptions);

    /// <summary>Brokers 1 and so on, and controllers 101 and so on.</summary>
    public static Task<LocalCluster> FormatSeparateAsync(
        int controllers, int brokers, IReadOnlyDictionary<string, string>? settings = null,
        Func<ClusterNode, IReadOnlyDictionary<string, string>>? settingsOf = null, params string[] formatOptions) =>
        FormatAsync(
            [
                .. Enumerable.Range(101, controllers).Select(id => (id, IsBroker: false, IsController: true)),
                .. Enumerable.Range(1, brokers).Select(id => (id, IsBroker: true, IsController: false)),
            ],
            settings, settingsOf, formatOptions);

    /// <summary>Nodes on directories that are there already.</summary>
    /// <param name="nodes">Id, ports, and the folder whose <c>data</c> it is.</param>
    /// <param name="settings">Configs of all nodes.</param>
    public static LocalCluster On(
        IEnumerable<(int Id, int BrokerPort, int ControllerPort, string Folder)> nodes, IReadOnlyDictionary<string, string> settings)
    {
        var cluster = new LocalCluster();
        foreach (var (id, brokerPort, controllerPort, folder) in nodes)
            cluster._nodes.Add(new ClusterNode(id, brokerPort, controllerPort, folder));
        cluster.WriteConfigurations(settings);
        return cluster;
    }

    /// <summary>Adds a node that is formatted to join later.</summary>
    public ClusterNode AddFolder(int id, bool isBroker, bool isController, IReadOnlyDictionary<string, string>? settings = null)
    {
        var node = NewNode(id, isBroker, isController);
        _nodes.Add(node);
        WriteConfiguration(node, settings ?? new Dictionary<string, string>());
        return node;
    }

    /// <summary>Starts all nodes and waits until all serve.</summary>
    public async Task StartAsync()
    {
        foreach (var node in _nodes)
            node.Start();
        await WaitUntilAllServeAsync();
    }

    /// <summary>Waits until every running broker is in the metadata that every running broker gives.</summary>
    public async Task WaitUntilAllServeAsync()
    {
        var expected = Brokers.Where(node => node.IsRunning).Select(node => node.Id).Order().ToList();
        await WaitAsync($"the brokers {string.Join(", ", expected)} serve", StartLimit, async () =>
        {
            foreach (var node in Brokers.Where(node => node.IsRunning))
            {
                if (await ClusterClient.TryMetadataAsync(node.BrokerPort!.Value) is not { } metadata
                    || !expected.All(id => metadata.Brokers.ContainsKey(id)))
                    return false;
            }

            return true;
        });
    }

    /// <summary>Awaits a condition; a node that has ended meanwhile, and the deadline, fail the test with what the nodes wrote.</summary>
    public async Task WaitAsync(string what, TimeSpan limit, Func<Task<bool>> condition)
    {
        var running = _nodes.Where(node => node.IsRunning).ToList();
        try
        {
            await Until.TrueAsync(what, limit, () =>
            {
                if (running.Find(node => !node.IsRunning) is { } ended)
                    throw new InvalidOperationException($"{ended} has ended:\n{ended.Output}");
                return condition();
            });
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"{exception.Message}\n{Outputs()}");
        }
    }

    /// <summary>The node that leads the quorum, as a running broker says; null while none does.</summary>
    public async Task<ClusterNode?> FindActiveControllerAsync()
    {
        foreach (var broker in Brokers.Where(node => node.IsRunning))
        {
            if (await ClusterClient.TryQuorumLeaderAsync(broker.BrokerPort!.Value) is { } id
                && _nodes.Find(node => node.Id == id) is { IsRunning: true } leader)
                return leader;
        }

        return null;
    }

    /// <summary>Waits for a leader of the quorum that runs.</summary>
    public async Task<ClusterNode> ActiveControllerAsync()
    {
        ClusterNode? active = null;
        await WaitAsync("there is an active controller", StartLimit, async () => (active = await FindActiveControllerAsync()) is not null);
        return active!;
    }

    /// <summary>The last that every node wrote.</summary>
    public string Outputs()
    {
        var text = new StringBuilder();
        foreach (var node in _nodes)
            text.Append(CultureInfo.InvariantCulture, $"--- {node}{(node.IsRunning ? "" : " (not running)")}\n{node.Output}\n");
        return text.ToString();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes.Where(node => node.IsRunning))
            await node.KillAsync();
        if (Environment.GetEnvironmentVariable("OTTLA_KEEP_DATA") is null)
            Directory.Delete(Folder, recursive: true);
    }

    private static async Task<LocalCluster> FormatAsync(
        IEnumerable<(int Id, bool IsBroker, bool IsController)> nodes, IReadOnlyDictionary<string, string>? settings,
        Func<ClusterNode, IReadOnlyDictionary<string, string>>? settingsOf, string[] formatOptions)
    {
        var cluster = new LocalCluster();
        foreach (var (id, isBroker, isController) in nodes)
            cluster._nodes.Add(cluster.NewNode(id, isBroker, isController));
        foreach (var node in cluster._nodes)
            cluster.WriteConfiguration(node, settings ?? new Dictionary<string, string>(), settingsOf?.Invoke(node));
        var clusterId = await RandomUuidAsync();
        var voters = new List<string>();
        foreach (var node in cluster.Controllers)
        {
            var directoryId = await RandomUuidAsync();
            voters.Add(string.Create(CultureInfo.InvariantCulture, $"{node.Id}@127.0.0.1:{node.ControllerPort}:{directoryId}"));
        }

        foreach (var node in cluster.Nodes)
        {
            string[] quorum = node.ControllerPort is null ? [] : ["--initial-controllers", string.Join(',', voters)];
            (await node.RunAsync(["format", "--cluster-id", clusterId, .. quorum, .. formatOptions])).OrFail();
        }

        return cluster;
    }

    private static async Task<string> RandomUuidAsync() =>
        Encoding.UTF8.GetString((await ClientTool.RunAsync(RepositoryPaths.BrokerExecutable, ["random-uuid"])).OrFail().Output).Trim();

    private ClusterNode NewNode(int id, bool isBroker, bool isController) => new(
        id,
        isBroker ? BrokerProcess.FindFreePort() : null,
        isController ? BrokerProcess.FindFreePort() : null,
        Directory.CreateDirectory(Path.Combine(Folder, $"node{id}")).FullName);

    private void WriteConfigurations(IReadOnlyDictionary<string, string> settings)
    {
        foreach (var node in _nodes)
            WriteConfiguration(node, settings);
    }

    private void WriteConfiguration(
        ClusterNode node, IReadOnlyDictionary<string, string> settings, IReadOnlyDictionary<string, string>? ofNode = null)
    {
        var listeners = new List<string>();
        var roles = new List<string>();
        if (node.BrokerPort is { } brokerPort)
        {
            roles.Add("broker");
            listeners.Add($"PLAINTEXT://127.0.0.1:{brokerPort}");
        }

        if (node.ControllerPort is { } controllerPort)
        {
            roles.Add("controller");
            listeners.Add($"CONTROLLER://127.0.0.1:{controllerPort}");
        }

        var all = new Dictionary<string, string>
        {
            ["process.roles"] = string.Join(',', roles),
            ["node.id"] = node.Id.ToString(CultureInfo.InvariantCulture),
            ["controller.quorum.bootstrap.servers"] = BootstrapControllers,
            ["controller.listener.names"] = "CONTROLLER",
            ["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            ["listeners"] = string.Join(',', listeners),
            ["log.dirs"] = node.DataDirectory,
            ["offsets.topic.replication.factor"] = "1",
            ["transaction.state.log.replication.factor"] = "1",
            ["transaction.state.log.min.isr"] = "1",
            ["group.initial.rebalance.delay.ms"] = "0",
            ["log.retention.ms"] = "-1",
        };
        foreach (var (name, value) in settings.Concat(ofNode ?? new Dictionary<string, string>()))
            all[name] = value;
        File.WriteAllLines(node.ConfigurationFile, all.Select(each => $"{each.Key}={each.Value}"));
    }
}
