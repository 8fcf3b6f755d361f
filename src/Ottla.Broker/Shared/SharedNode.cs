using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Monitoring;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Shared;

/// <summary>
/// What the controller and the broker of a node share: the storage, the metadata log, and the loader that follows the log.
/// </summary>
/// <remarks>Lives as long as the node.</remarks>
internal sealed class SharedNode
{
    private readonly NodeStorage _storage;

    private SharedNode(NodeStorage storage, ConnectionResources connections, RaftHost raft, IReadOnlyList<RaftEndpoint> controllerEndpoints)
    {
        _storage = storage;
        Connections = connections;
        connections.Security.Follow(() => Metadata.Current);
        Raft = raft;
        ControllerEndpoints = controllerEndpoints;
        Background = new BackgroundWork(Failure.Report, Loggers.CreateLogger(nameof(BackgroundWork)));
        Loader = new MetadataLoader(Metadata, Loggers.CreateLogger(nameof(MetadataLoader)));
        Loader.Register(storage.EffectiveConfig);
        Metrics.Add(new QuorumMetrics(raft, Metadata));
        Quotas = new ClientQuotas(
            Config.QuotaWindowNum, Config.QuotaWindowSizeSeconds * 1000L, Config.ControllerQuotaWindowNum,
            Config.ControllerQuotaWindowSizeSeconds * 1000L, Time);
        Loader.Register(Quotas);
        Authorizer = Authorizer.Create(AuthorizerSettings.From(Config), Loggers.CreateLogger(nameof(Authorizer)), Time);
        if (Authorizer.IsEnabled)
        {
            Parts.Add("ending the authorizer's log", Authorizer.Dispose);
            Loader.Register(Authorizer);
        }
    }

    /// <inheritdoc cref="NodeStorage.Platform"/>
    public NodePlatform Platform => _storage.Platform;

    public TimeProvider Time => Platform.Time;

    /// <inheritdoc cref="NodeStorage.Loggers"/>
    public LeveledLoggers Loggers => _storage.Loggers;

    /// <inheritdoc cref="NodeStorage.EffectiveConfig"/>
    public BrokerConfig Config => _storage.Config;

    /// <inheritdoc cref="NodeStorage.Failure"/>
    public NodeFailure Failure => _storage.Failure;

    /// <inheritdoc cref="NodeStorage.Parts"/>
    public StartedParts Parts => _storage.Parts;

    /// <inheritdoc cref="NodeStorage.Logs"/>
    public LogManager Logs => _storage.Logs;

    /// <inheritdoc cref="NodeStorage.Identity"/>
    public StorageIdentity Identity => _storage.Identity;

    /// <inheritdoc cref="NodeStorage.BrokerEpoch"/>
    public BrokerEpoch BrokerEpoch => _storage.BrokerEpoch;

    /// <summary>The node's storage.</summary>
    public NodeStorage Storage => _storage;

    /// <summary>The resources that all connections share.</summary>
    public ConnectionResources Connections { get; }

    /// <summary>Lends the buffers of all connections.</summary>
    public BufferPool Buffers => Connections.Buffers;

    /// <summary>The loops of both roles.</summary>
    public BackgroundWork Background { get; }

    /// <summary>The metadata log.</summary>
    public RaftHost Raft { get; }

    /// <summary>The endpoints of this node's controller; empty on a node without that role.</summary>
    public IReadOnlyList<RaftEndpoint> ControllerEndpoints { get; }

    /// <summary>What both roles tell of themselves.</summary>
    public MetricRegistry Metrics { get; } = new();

    /// <summary>The committed metadata.</summary>
    public MetadataCache Metadata { get; } = new();

    /// <summary>Follows the metadata log, when both roles have registered their publishers.</summary>
    public MetadataLoader Loader { get; }

    /// <summary>What clients may use, and have used here.</summary>
    public ClientQuotas Quotas { get; }

    /// <summary>Says what the senders of requests may do, on the listeners of both roles.</summary>
    public Authorizer Authorizer { get; }

    /// <summary>Opens the metadata log.</summary>
    /// <param name="storage">The node's storage.</param>
    /// <param name="connections">The resources that all connections share.</param>
    /// <param name="controllerEndpoints">The endpoints of this node's controller; empty on a node without that role.</param>
    /// <exception cref="NodeStartException">This node can never take part in the metadata log.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    public static async Task<SharedNode> OpenAsync(
        NodeStorage storage, ConnectionResources connections, IReadOnlyList<RaftEndpoint> controllerEndpoints)
    {
        var network = MetadataLog.CreateNetwork(storage, connections);
        storage.Parts.Add("closing the connections of the metadata quorum", () => network.DisposeAsync().AsTask());
        var raft = await MetadataLog.OpenAsync(storage, controllerEndpoints, network);
        storage.Parts.Add("closing the metadata log", () => raft.DisposeAsync().AsTask());
        var shared = new SharedNode(storage, connections, raft, controllerEndpoints);
        storage.Parts.Add("ending the metadata loader", () => shared.Loader.DisposeAsync().AsTask());
        return shared;
    }

    /// <summary>Makes a stop end the background work before the parts added so far, because the work uses them.</summary>
    public void EndBackgroundWorkHere() => Parts.Add("ending the background work", StopBackgroundAsync);

    /// <summary>Begins to follow the metadata log: from now on the loader calls the publishers and the controller.</summary>
    public void FollowMetadata() =>
        Loader.Start(Raft, new SnapshotGenerator(Raft, SnapshotPolicy.From(Config), Time, Loggers.CreateLogger(nameof(SnapshotGenerator))));

    /// <summary>Completes when the node cannot start any more.</summary>
    public Task WhenBroken => TaskWaiting.FirstOf(TaskWaiting.FirstOf(Failure.Reason, Loader.Failure), Raft.Completion);

    /// <summary>
    /// Stops the node when the metadata log or its loader fails. Called when the node is up: until then the start itself watches them.
    /// </summary>
    public void WatchMetadata()
    {
        // The loader logs why it cannot follow the log, and this is how the node learns of it.
        Background.StartLoop("following the metadata", async stopping => throw await Loader.Failure.UntilCanceled(stopping));
        Background.StartLoop("the metadata log", stopping => Raft.Completion.UntilCanceled(stopping));
    }

    private async Task StopBackgroundAsync()
    {
        await Background.StopAsync();
        Background.Dispose();
    }
}
