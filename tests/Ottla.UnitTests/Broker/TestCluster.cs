using System.Globalization;
using System.Net;
using Ottla.Broker;
using Ottla.Configuration;
using Ottla.Network.Transport;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;
using Ottla.Testing;
using Ottla.UnitTests.Peers;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// Several whole nodes in memory: one network, one clock that runs fast, a disk and a host for each. Made and disposed by one test.
/// </summary>
/// <remarks>
/// The quorum is a static one. Node 1 lives on host 10.0.0.1, and so on; brokers listen on port 9092, controllers on 9093.
/// </remarks>
internal sealed class TestCluster : IAsyncDisposable
{
    /// <summary>Bounds every wait: reached only when something hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private const string ClusterId = "4L6g3nShT-eMCtK--X86sw";

    /// <summary>How far the clock goes with each step, of which there is one in a real millisecond at most.</summary>
    private const int StepMs = 3;

    private readonly InMemoryTransport _network = new();
    private readonly CancellationTokenSource _disposed = new();
    private readonly (string Name, string Value)[] _configs;
    private readonly Task _pump;
    private ulong _seed = 42;

    /// <summary>Nodes that were never started.</summary>
    /// <param name="controllers">The ids of the controllers.</param>
    /// <param name="brokers">The ids of the brokers; a node may be both.</param>
    /// <param name="configs">What all of them are configured with besides.</param>
    public TestCluster(int[] controllers, int[] brokers, params (string Name, string Value)[] configs)
    {
        _configs = configs;
        Controllers = controllers;
        Brokers = brokers;
        Nodes = controllers.Union(brokers).Order().ToDictionary(id => id, id => new Member(this, id));
        _pump = PumpAsync();
    }

    public TestClock Clock { get; } = new();

    /// <summary>The network, for clients that connect themselves.</summary>
    public ITransport Network => _network;

    public IReadOnlyList<int> Controllers { get; }

    public IReadOnlyList<int> Brokers { get; }

    /// <summary>The nodes by their ids.</summary>
    public IReadOnlyDictionary<int, Member> Nodes { get; }

    /// <summary>Takes what nodes say to controllers; null when no test asks.</summary>
    public FrameRecorder? Recorder { get; init; }

    /// <summary>What all nodes log from warnings on.</summary>
    public WarningLoggers Log { get; } = new();

    /// <summary>Three nodes that are both.</summary>
    public static Task<TestCluster> StartCombinedAsync(params (string Name, string Value)[] configs) =>
        StartAsync([1, 2, 3], [1, 2, 3], configs);

    /// <summary>Starts all nodes at once.</summary>
    public static async Task<TestCluster> StartAsync(int[] controllers, int[] brokers, params (string Name, string Value)[] configs)
    {
        var cluster = new TestCluster(controllers, brokers, configs);
        await cluster.StartAsync(cluster.Nodes.Keys);
        return cluster;
    }

    /// <summary>Starts nodes at once, in an order.</summary>
    public async Task StartAsync(IEnumerable<int> ids)
    {
        var starts = ids.Select(id => Nodes[id].StartAsync()).ToList();
        foreach (var start in starts)
            await start;
    }

    /// <summary>The id of the active controller, once all nodes that run agree on it, and it runs: one that was killed is not it.</summary>
    public async Task<int> ActiveControllerAsync()
    {
        var active = -1;
        await Waiting.UntilAsync(() =>
        {
            var leaders = Nodes.Values.Where(node => node.IsRunning).Select(node => node.Node.Shared.Raft.KnownLeader).Distinct().ToList();
            var ids = leaders.Select(leader => (leader.LeaderId, leader.Epoch)).Distinct().ToList();
            active = ids is [var only] && Nodes.TryGetValue(only.LeaderId, out var leader) && leader.IsRunning ? only.LeaderId : -1;
            return active >= 0;
        });
        return active;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Nodes.Values)
            await node.KillAsync();
        await _disposed.CancelAsync();
        await _pump;
        _disposed.Dispose();
    }

    private async Task PumpAsync()
    {
        while (!_disposed.IsCancellationRequested)
        {
            Clock.AdvanceMs(StepMs);
            await Task.Delay(1); // the nodes' tasks have to keep up with their clock
        }
    }

    /// <summary>One node: started, stopped, killed, and started again on its disk.</summary>
    internal sealed class Member
    {
        private readonly TestCluster _cluster;
        private readonly Dictionary<string, string> _values;
        private HostTransport? _transport;
        private BrokerNode? _node;

        public Member(TestCluster cluster, int id)
        {
            _cluster = cluster;
            Id = id;
            Disk = new InMemoryFileSystem(cluster.Clock);
            var (isController, isBroker) = (cluster.Controllers.Contains(id), cluster.Brokers.Contains(id));
            string[] roles = [.. isBroker ? ["broker"] : Array.Empty<string>(), .. isController ? ["controller"] : Array.Empty<string>()];
            string[] listeners = [
                .. isBroker ? [$"PLAINTEXT://{Host}:9092"] : Array.Empty<string>(), .. isController ? [$"CONTROLLER://{Host}:9093"]
                : Array.Empty<string>()];
            _values = new Dictionary<string, string>
            {
                ["process.roles"] = string.Join(',', roles),
                ["node.id"] = id.ToString(CultureInfo.InvariantCulture),
                ["listeners"] = string.Join(',', listeners),
                ["controller.listener.names"] = "CONTROLLER",
                ["controller.quorum.voters"] = string.Join(',', cluster.Controllers.Select(voter => $"{voter}@10.0.0.{voter}:9093")),
                ["log.dirs"] = "/data",
            };
            foreach (var (name, value) in cluster._configs)
                _values[name] = value;
        }

        public int Id { get; }

        public string Host => $"10.0.0.{Id}";

        public InMemoryFileSystem Disk { get; private set; }

        public bool IsRunning => _node is not null;

        public BrokerNode Node => _node!;

        /// <summary>The metadata that the node has published.</summary>
        public MetadataImage Image => Node.Shared.Metadata.Current;

        /// <summary>Sets a config for the next start.</summary>
        public void Configure(string name, string value) => _values[name] = value;

        /// <summary>Starts it on its disk; completes when it serves.</summary>
        public async Task StartAsync(CancellationToken cancellation = default)
        {
            ITransport network = _cluster._network.ForHost(IPAddress.Parse(Host));
            if (_cluster.Recorder is { } recorder)
                network = new RecordingTransport(network, Id, recorder, port: 9093);
            _transport = new HostTransport(network);
            var platform = new NodePlatform(Disk, _transport, _cluster.Clock, _cluster.Log, _cluster._seed++);
            var config = BrokerConfig.LoadDevMode([KeyValuePair.Create("CLUSTER_ID", ClusterId)], _values);
            _node = await BrokerNode.StartAsync(config, mayFormat: true, platform, cancellation)
                .WaitAsync(Patience, CancellationToken.None);
        }

        /// <summary>Stops it in order.</summary>
        public async Task StopAsync()
        {
            var node = _node!;
            _node = null;
            await node.StopAsync().WaitAsync(Patience);
            await node.DisposeAsync().AsTask().WaitAsync(Patience);
        }

        /// <summary>It is cut off from the others for good, and goes on by itself until it is killed.</summary>
        public Task CutAsync() => _transport!.CutAsync();

        /// <summary>Its process dies; what it wrote stays.</summary>
        public async Task KillAsync()
        {
            if (_node is not { } node)
                return;
            _node = null;
            Disk = Disk.Clone(); // what the old process still does to its own disk is lost
            await _transport!.CutAsync();
            await node.DisposeAsync().AsTask().WaitAsync(Patience);
        }

        /// <summary>Connects a client to the broker.</summary>
        public Task<TestConnection> ConnectAsync() => ConnectAsync(9092);

        /// <summary>Connects a client to the controller.</summary>
        public Task<TestConnection> ConnectToControllerAsync() => ConnectAsync(9093);

        private async Task<TestConnection> ConnectAsync(int port) =>
            new(await _cluster._network.ConnectAsync(new IPEndPoint(IPAddress.Parse(Host), port), default));
    }
}
