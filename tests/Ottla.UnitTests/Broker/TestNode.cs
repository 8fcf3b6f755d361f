using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Broker.Replicas;
using Ottla.Broker.Telemetry;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Storage.Files;

namespace Ottla.UnitTests.Broker;

/// <summary>A whole node in memory: its disk, its network and its clock are the test's. Made and disposed by one test.</summary>
internal sealed class TestNode : IAsyncDisposable
{
    /// <summary>Bounds every wait: reached only when something hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private const ulong Seed = 42;
    private const string ClockJumpMs = "2147483647";

    private readonly Dictionary<string, string> _configs;
    private readonly ILoggerFactory _loggers;
    private BrokerNode? _node;
    private string? _unwritable;

    private TestNode(Dictionary<string, string> configs, ILoggerFactory? loggers)
    {
        _configs = configs;
        _loggers = loggers ?? NullLoggerFactory.Instance;
    }

    public TestClock Clock { get; } = new();

    public InMemoryTransport Network { get; } = new();

    public InMemoryFileSystem Disk { get; private set; } = null!;

    public BrokerNode Node => _node!;

    private IClientMetricsSink? ClientMetrics { get; init; }

    /// <summary>Starts a node on an empty disk, configured as for development but for <paramref name="configs"/>.</summary>
    public static Task<TestNode> StartAsync(params (string Name, string Value)[] configs) => StartOnAsync(null, configs);

    /// <summary>As <see cref="StartAsync(ValueTuple{string, string}[])"/>, and clients may push their metrics.</summary>
    public static Task<TestNode> StartAsync(IClientMetricsSink clientMetrics, params (string Name, string Value)[] configs) =>
        StartOnAsync(null, null, configs, clientMetrics);

    /// <summary>As <see cref="StartAsync(ValueTuple{string, string}[])"/>, and logs.</summary>
    public static Task<TestNode> StartAsync(ILoggerFactory loggers, params (string Name, string Value)[] configs) =>
        StartOnAsync(null, loggers, configs);

    /// <summary>Starts a node on a disk with something on it; null for an empty one.</summary>
    public static Task<TestNode> StartOnAsync(InMemoryFileSystem? disk, params (string Name, string Value)[] configs) =>
        StartOnAsync(disk, null, configs);

    private static async Task<TestNode> StartOnAsync(InMemoryFileSystem? disk, ILoggerFactory? loggers,
        (string Name, string Value)[] configs, IClientMetricsSink? clientMetrics = null)
    {
        var all = new Dictionary<string, string>
        {
            ["log.dirs"] = "/data",
            ["broker.session.timeout.ms"] = ClockJumpMs, // a test moves the clock by hours at once, and no heartbeat comes in between
        };
        foreach (var (name, value) in configs)
            all[name] = value;
        var node = new TestNode(all, loggers) { ClientMetrics = clientMetrics };
        node.Disk = disk ?? new InMemoryFileSystem(node.Clock);
        await node.RunUpAsync();
        return node;
    }

    /// <summary>Starts a node with one topic.</summary>
    public static async Task<(TestNode Node, TestConnection Client, Uuid TopicId)> StartWithTopicAsync(
        string topic, params (string Name, string Value)[] configs)
    {
        var node = await StartAsync(configs);
        var client = await node.ConnectAsync();
        return (node, client, await client.CreateTopicAsync(topic));
    }

    /// <summary>Connects to a listener of the node.</summary>
    /// <param name="listener">Its index.</param>
    /// <param name="from">The client's address.</param>
    public async Task<TestConnection> ConnectAsync(int listener = 0, IPAddress? from = null)
    {
        var network = from is null ? Network : Network.ForHost(from);
        return new TestConnection(await network.ConnectAsync(Node.EndPoints[listener], default));
    }

    /// <summary>The replica of a partition.</summary>
    public PartitionReplica Replica(string topic, int partition = 0) => Node.Topics.Find(topic)!.Find(partition)!;

    /// <summary>Says whether records can be written to a partition: if not, it is refused as on a full disk, over restarts too.</summary>
    public void SetWritable(string partition, bool isWritable)
    {
        _unwritable = isWritable ? null : partition;
        Disk.Fault = isWritable ? null : RefuseWrites;
    }

    /// <summary>Stops in order and starts again.</summary>
    /// <param name="meanwhile">What happens to the disk in between.</param>
    public async Task RestartAsync(Action<InMemoryFileSystem>? meanwhile = null)
    {
        await StopAsync();
        meanwhile?.Invoke(Disk);
        await RunUpAsync();
    }

    /// <summary>Stops in order.</summary>
    public async Task StopAsync()
    {
        var node = _node!;
        _node = null;
        await node.StopAsync().WaitAsync(Patience);
        await node.DisposeAsync().AsTask().WaitAsync(Patience);
    }

    /// <summary>Starts again on the disk as it is at this moment, as after a crash.</summary>
    public async Task CrashAsync()
    {
        Disk = Disk.Clone(); // what the old node still does to its own disk is lost
        if (_unwritable is not null)
            Disk.Fault = RefuseWrites;
        await _node!.DisposeAsync().AsTask().WaitAsync(Patience);
        await RunUpAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_node is not null)
            await _node.DisposeAsync().AsTask().WaitAsync(Patience);
    }

    private DiskFullException? RefuseWrites(FileOperation operation, string path) =>
        operation == FileOperation.Write && path.EndsWith(".log", StringComparison.Ordinal)
        && path.Contains($"/{_unwritable}/", StringComparison.Ordinal)
            ? new DiskFullException("There is no room for this partition.") : null;

    private async Task RunUpAsync()
    {
        var platform = new NodePlatform(Disk, Network, Clock, _loggers, Seed) { ClientMetrics = ClientMetrics };
        _node = await BrokerNode.StartAsync(BrokerConfig.LoadDevMode([], _configs), mayFormat: true, platform).WaitAsync(Patience);
    }
}
