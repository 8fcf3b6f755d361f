using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Upkeep;

namespace Ottla.Broker.Shared;

/// <summary>What the controller and the broker of a node use together: its storage, the metadata log and what follows it.</summary>
/// <remarks>Lives as long as the node.</remarks>
internal sealed class SharedNode
{
    private readonly NodeStorage _storage;

    private SharedNode(NodeStorage storage, ConnectionResources connections, RaftHost raft, IReadOnlyList<RaftEndpoint> controllerEndpoints)
    {
        _storage = storage;
        Connections = connections;
        Raft = raft;
        ControllerEndpoints = controllerEndpoints;
        Background = new BackgroundWork(Failure.Report, Loggers.CreateLogger(nameof(BackgroundWork)));
        Loader = new MetadataLoader(Metadata, Loggers.CreateLogger(nameof(MetadataLoader)));
        Loader.Register(storage.EffectiveConfig);
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

    /// <summary>What all connections share.</summary>
    public ConnectionResources Connections { get; }

    /// <summary>Lends the buffers of all connections.</summary>
    public BufferPool Buffers => Connections.Buffers;

    /// <summary>The loops of both roles.</summary>
    public BackgroundWork Background { get; }

    /// <summary>The metadata log.</summary>
    public RaftHost Raft { get; }

    /// <summary>Where this node's controller is reached; empty on a node that is none.</summary>
    public IReadOnlyList<RaftEndpoint> ControllerEndpoints { get; }

    /// <summary>The committed metadata.</summary>
    public MetadataCache Metadata { get; } = new();

    /// <summary>Follows the metadata log, once both roles have registered what must follow it.</summary>
    public MetadataLoader Loader { get; }

    /// <summary>Opens the metadata log.</summary>
    /// <param name="storage">The node's storage.</param>
    /// <param name="connections">What all connections share.</param>
    /// <param name="controllerEndpoints">Where this node's controller is reached; empty on a node that is none.</param>
    /// <exception cref="NodeStartException">This node can never take part in the metadata log.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    public static async Task<SharedNode> OpenAsync(
        NodeStorage storage, ConnectionResources connections, IReadOnlyList<RaftEndpoint> controllerEndpoints)
    {
        var network = MetadataLog.CreateNetwork(storage, connections.Buffers);
        storage.Parts.Add("closing the connections of the metadata quorum", () => network.DisposeAsync().AsTask());
        var raft = await MetadataLog.OpenAsync(storage, controllerEndpoints, network);
        storage.Parts.Add("closing the metadata log", () => raft.DisposeAsync().AsTask());
        var shared = new SharedNode(storage, connections, raft, controllerEndpoints);
        storage.Parts.Add("ending the metadata loader", () => shared.Loader.DisposeAsync().AsTask());
        return shared;
    }

    /// <summary>Has the background work end before what was added to the parts until now: it uses that.</summary>
    public void EndBackgroundWorkHere() => Parts.Add("ending the background work", StopBackgroundAsync);

    /// <summary>Begins to follow the metadata log: from here on publishers and controller are called.</summary>
    public void FollowMetadata() =>
        Loader.Start(Raft, new SnapshotGenerator(Raft, SnapshotPolicy.From(Config), Time, Loggers.CreateLogger(nameof(SnapshotGenerator))));

    /// <summary>Completes when the node cannot start any more.</summary>
    public Task WhenBroken => TaskWaiting.FirstOf(TaskWaiting.FirstOf(Failure.Reason, Loader.Failure), Raft.Completion);

    /// <summary>
    /// Has the node fail when the metadata log or its loader does. Once the node is up: until then the start itself looks.
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
