using System.Net;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Monitoring;
using Ottla.Broker.Peers;
using Ottla.Broker.Replicas;
using Ottla.Broker.Replicas.Fetching;
using Ottla.Broker.Server;
using Ottla.Broker.Shared;
using Ottla.Configuration;
using Ottla.Protocol;

namespace Ottla.Broker;

/// <summary>
/// A node: a broker, a controller, or both in one process. Read this first: it shows what there is and what depends on what.
/// </summary>
/// <remarks>
/// Starting goes from the disk to the network: <see cref="NodeStorage"/> opens directories and logs, the controller's listeners are bound,
/// <see cref="SharedNode"/> opens the metadata log, <see cref="ControllerRole"/> and <see cref="BrokerRole"/> are made upon it, the
/// metadata is
/// followed, the broker joins the cluster. Stopping goes back, part by part (<see cref="StartedParts"/>). One instance lives from
/// <see cref="StartAsync"/> to <see cref="StopAsync"/>; disposing without stopping leaves what a crash would leave.
/// </remarks>
public sealed class BrokerNode : IAsyncDisposable
{
    private readonly SharedNode _shared;
    private readonly StartedParts _parts;
    private readonly BrokerRole? _broker;
    private readonly ControllerRole? _controller;

    private BrokerNode(SharedNode shared, StartedParts parts, ControllerRole? controller, BrokerRole? broker)
    {
        _shared = shared;
        _parts = parts;
        _controller = controller;
        _broker = broker;
        shared.Metrics.Add(new RequestMetrics(() => Tables, shared.Time));
        shared.Metrics.Add(
            new ThreadMetrics(() => shared.Platform.Transport.Load, shared.Connections.HeavyRequests, shared.Time));
        shared.Metrics.Add(new ConnectionMetrics(
            () => [.. broker?.Connections ?? [], .. controller?.Connections ?? []],
            () => shared.Connections.Security.CertificateExpiries));
    }

    /// <summary>
    /// Completes with the reason when the node cannot go on: its metadata log or all its log directories are lost, background work failed,
    /// or the controller does not hear of a lost directory.
    /// </summary>
    public Task<Exception> Failure => _shared.Failure.Reason;

    /// <summary>Where it listens for clients, with the ports that were taken; empty on a node that is no broker.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints => _broker?.EndPoints ?? [];

    /// <summary>Where its controller listens, with the ports that were taken; empty on a node that is none.</summary>
    public IReadOnlyList<IPEndPoint> ControllerEndPoints => _controller?.EndPoints ?? [];

    /// <summary>Bytes of connections' buffers that were left to the garbage collector since the node began.</summary>
    public long ReleasedBufferBytes => _shared.Buffers.ReleasedBytes;

    /// <summary>What the node tells of itself.</summary>
    public MetricRegistry Metrics => _shared.Metrics;

    /// <summary>Why the node does not serve its role as it should; empty when it does.</summary>
    public IReadOnlyList<string> Complaints
    {
        get
        {
            var complaints = new List<string>();
            if (Failure.IsCompleted)
                complaints.Add("the node has failed and stops");
            if (_shared.Raft.KnownLeader.LeaderId < 0)
                complaints.Add("no active controller is known");
            if (_broker is not null && _shared.Metadata.Current.Cluster.Broker(_shared.Identity.NodeId) is not { Fenced: false })
                complaints.Add("the broker is fenced: the active controller does not hear of it");
            foreach (var directory in _shared.Logs.Directories.Where(directory => directory.IsOffline))
                complaints.Add($"log directory {directory.Path} has failed");
            return complaints;
        }
    }

    /// <summary>What is served on every listener of the broker.</summary>
    internal ApiTable Apis => Broker.Apis;

    /// <summary>What is served on every listener of the controller; null on a node that is none.</summary>
    internal ApiTable? ControllerApis => _controller?.Apis;

    /// <summary>The replicas of this node.</summary>
    internal HostedTopics Topics => Broker.Topics;

    /// <summary>What its replicas fetch, and from whom.</summary>
    internal IReadOnlyList<FollowedPartition> Followed => Broker.Fetchers.Followed;

    /// <summary>The coordinators on this node.</summary>
    internal IReadOnlyList<CoordinatorStatus> Coordinators => Broker.Coordinators;

    /// <summary>What both roles use.</summary>
    internal SharedNode Shared => _shared;

    private IEnumerable<ApiTable> Tables => new[] { _broker?.Apis, _controller?.Apis }.OfType<ApiTable>();

    private BrokerRole Broker => _broker ?? throw new InvalidOperationException("This node is no broker.");

    /// <summary>Starts a node; when this returns, it serves its role: a broker clients, a controller other nodes.</summary>
    /// <param name="config">The static configuration.</param>
    /// <param name="mayFormat">Whether log directories that are not formatted are formatted now (for development), or are an error.</param>
    /// <param name="platform">Disk, network, clock.</param>
    /// <param name="cancellation">Ends a start that is not wanted any more; what is on the disk is then as after a crash.</param>
    /// <exception cref="OperationCanceledException">The start was cancelled.</exception>
    /// <exception cref="ConfigException">The configuration asks for what is not there yet.</exception>
    /// <exception cref="NodeStartException">
    /// The directories do not fit the configuration, an address cannot be listened on, or no controller registers the broker in time.
    /// </exception>
    /// <exception cref="IOException">A disk fails.</exception>
    public static async Task<BrokerNode> StartAsync(
        BrokerConfig config, bool mayFormat, NodePlatform platform, CancellationToken cancellation = default)
    {
        NodeRequirements.Check(config);
        var loggers = platform.Loggers as LeveledLoggers ?? new LeveledLoggers(platform.Loggers, LogLevel.Trace);
        var parts = new StartedParts(loggers.CreateLogger(nameof(BrokerNode)));
        try
        {
            var storage = NodeStorage.Open(config, mayFormat, platform with { Loggers = loggers }, new NodeFailure(), parts, cancellation);
            var connections = ConnectionResources.Create(storage);
            var controllerServer = config.IsController
                ? NodeServer.Listen("controller", storage, connections, config.ControllerListeners, quotas: null)
                : null;
            var shared = await SharedNode.OpenAsync(storage, connections, ControllerRole.EndpointsOf(config, controllerServer));
            var controller = controllerServer is null ? null : ControllerRole.Create(shared, controllerServer);
            var channels = NodeChannels.Create(shared, controller?.Host);
            shared.EndBackgroundWorkHere();
            var broker = config.IsBroker ? BrokerRole.Create(shared, channels) : null;
            shared.FollowMetadata();
            shared.Background.StartLoop(
                "watching the quorum", new QuorumWatch(channels.Locator, shared.Time, loggers.CreateLogger(nameof(QuorumWatch))).RunAsync);
            controller?.Serve(channels);
            if (broker is not null)
                await broker.JoinAsync(cancellation);
            shared.WatchMetadata();
            return new BrokerNode(shared, parts, controller, broker);
        }
        catch (ApiException e)
        {
            await parts.AbandonAsync();
            throw new NodeStartException($"The controller refuses this broker: {e.Message}");
        }
        catch
        {
            await parts.AbandonAsync();
            throw;
        }
    }

    /// <summary>
    /// Stops in order: leaves the cluster, answers the requests under way, ends what runs beside them, hands the quorum over, flushes, and
    /// marks the directories clean.
    /// </summary>
    public Task StopAsync() => _parts.StopAsync();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await _parts.AbandonAsync();
}
