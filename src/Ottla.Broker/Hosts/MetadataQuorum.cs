using Ottla.Broker.Metadata;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <summary>The metadata log and the controller upon it, wired together. One per node.</summary>
public sealed class MetadataQuorum : IAsyncDisposable
{
    private readonly MetadataLoader _loader;

    private MetadataQuorum(RaftHost raft, ControllerHost controller, MetadataLoader loader)
    {
        Raft = raft;
        Controller = controller;
        _loader = loader;
    }

    /// <summary>The metadata log.</summary>
    public RaftHost Raft { get; }

    /// <summary>The controller.</summary>
    public ControllerHost Controller { get; }

    /// <summary>Opens the metadata log, and has the loader follow it, and with it the controller. The publishers are registered with the loader before.</summary>
    /// <exception cref="IOException">The disk fails.</exception>
    /// <exception cref="InvalidDataException">The files are corrupt.</exception>
    public static MetadataQuorum Start(BrokerConfig config, StorageIdentity identity, SupportedFeatures features, MetadataLoader loader, NodePlatform platform)
    {
        var loggers = platform.Loggers;
        var raft = RaftHost.Open(platform.FileSystem, RaftOptionsOf(config, identity, platform), platform.Time, loggers.CreateLogger(nameof(RaftHost)));
        var voters = raft.Quorum.VoterSet.Voters;
        if (voters.Any(voter => voter.Key.Id != identity.NodeId))
            throw new NodeStartException($"The metadata log names the voters {string.Join(", ", voters.Select(voter => voter.Key))}: this version runs as the only voter.");
        var settings = new ControllerSettings
        {
            NodeId = identity.NodeId,
            ClusterId = identity.ClusterId,
            Config = config,
            SupportedFeatures = features,
            KRaftVersion = raft.Quorum.KRaftVersion,
            VoterIds = [.. voters.Select(voter => voter.Key.Id)],
            Seed = platform.Seed,
        };
        var controller = new ControllerHost(settings, raft, raft.ReadBootstrap(), platform.Time, loggers.CreateLogger(nameof(ControllerHost)));
        loader.Register(controller);
        loader.Start(raft, new SnapshotGenerator(raft, SnapshotPolicy.From(config), platform.Time, loggers.CreateLogger(nameof(SnapshotGenerator))));
        return new MetadataQuorum(raft, controller, loader);
    }

    /// <summary>Ends the loader, which reads from the log, then the log.</summary>
    public async ValueTask DisposeAsync()
    {
        await _loader.DisposeAsync();
        await Raft.DisposeAsync();
    }

    private static RaftHostOptions RaftOptionsOf(BrokerConfig config, StorageIdentity identity, NodePlatform platform) => new()
    {
        LogDirectory = identity.MetadataDirectory,
        Raft = new RaftOptions
        {
            Local = new ReplicaKey(identity.NodeId, identity.MetadataDirectoryId),
            Endpoints = [.. ControllerEndpoints.Of(config)],
            ElectionTimeoutMs = config.ControllerQuorumElectionTimeoutMs,
            FetchTimeoutMs = config.ControllerQuorumFetchTimeoutMs,
            ElectionBackoffMaxMs = config.ControllerQuorumElectionBackoffMaxMs,
            RequestTimeoutMs = config.ControllerQuorumRequestTimeoutMs,
            RetryBackoffMs = config.ControllerQuorumRetryBackoffMs,
        },
        StaticVoters = new VoterSet(config.QuorumVoters.Select(voter => new Voter(
            new ReplicaKey(voter.Id, Uuid.Zero), [new RaftEndpoint(config.ControllerListenerNames[0], voter.Host, (ushort)voter.Port)]))),
        Seed = platform.Seed,
        SegmentBytes = config.MetadataLogSegmentBytes,
        SegmentMs = config.MetadataLogSegmentMs,
        RetentionBytesMax = config.MetadataMaxRetentionBytes,
        RetentionMs = config.MetadataMaxRetentionMs,
    };
}

/// <summary>Where a controller is reached, as it tells others.</summary>
internal static class ControllerEndpoints
{
    public static IEnumerable<RaftEndpoint> Of(BrokerConfig config) =>
        config.AdvertisedControllerListeners.Select(listener => new RaftEndpoint(listener.Name, listener.Host ?? "localhost", (ushort)listener.Port));
}
