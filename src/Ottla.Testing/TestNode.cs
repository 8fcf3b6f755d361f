using System.Net;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Storage.Files;

namespace Ottla.Testing;

/// <summary>A node of a test broker: started, stopped, killed, and started again on its disk, which is in memory.</summary>
/// <param name="id">Its node id.</param>
/// <param name="host">Its address in the network of the nodes.</param>
/// <param name="configs">Its configs.</param>
/// <param name="network">The network of the nodes, which is in memory.</param>
/// <param name="clock">The clock of all nodes.</param>
/// <param name="loggers">Takes its log; null for none.</param>
internal sealed class TestNode(
    int id, IPAddress host, IReadOnlyDictionary<string, string> configs, InMemoryTransport network, TestClock clock,
    ILoggerFactory? loggers)
{
    private InMemoryFileSystem _disk = new(clock);
    private HostTransport? _transport;
    private BrokerNode? _node;

    public int Id => id;

    public IPAddress Host => host;

    public bool IsRunning => _node is not null;

    public async Task StartAsync(string clusterId, CancellationToken cancellation)
    {
        if (_node is not null)
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Node {id} runs already."));
        _transport = new HostTransport(network.ForHost(host));
        var platform = new NodePlatform(_disk, _transport, clock, loggers ?? NullLoggerFactory.Instance, Uuid.NewRandom().Low);
        var config = BrokerConfig.LoadDevMode([KeyValuePair.Create("CLUSTER_ID", clusterId)], configs);
        _node = await BrokerNode.StartAsync(config, mayFormat: true, platform, cancellation);
    }

    /// <summary>Stops it in order.</summary>
    public async Task StopAsync()
    {
        var node = Take();
        await node.StopAsync();
        await node.DisposeAsync();
    }

    /// <summary>Its process dies; what it wrote stays.</summary>
    public async Task KillAsync()
    {
        var node = Take();
        _disk = _disk.Clone(); // what the old node still does to its own disk is lost
        await _transport!.CutAsync();
        await node.DisposeAsync();
    }

    private BrokerNode Take()
    {
        var node = _node ?? throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Node {id} does not run."));
        _node = null;
        return node;
    }
}
