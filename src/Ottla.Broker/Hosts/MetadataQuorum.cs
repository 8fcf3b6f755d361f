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
    /// <exception cref="NodeStartException">This node can never lead the metadata log, and would wait for ever.</exception>
    public static async Task<MetadataQuorum> StartAsync(BrokerConfig config, StorageIdentity identity, SupportedFeatures features, MetadataLoader loader, NodePlatform platform)
    {
        var loggers = platform.Loggers;
        var raft = RaftHost.Open(platform.FileSystem, RaftOptionsOf(config, identity, platform), platform.Time, loggers.CreateLogger(nameof(RaftHost)));
        var voters = raft.Quorum.VoterSet.Voters;
        if (ReasonNotToLead([.. voters.Select(voter => voter.Key)], identity) is { } reason)
        {
            await raft.DisposeAsync();
            throw new NodeStartException(reason);
        }

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

    /// <summary>Why a node that runs as the only voter cannot be it; null when it can.</summary>
    private static string? ReasonNotToLead(IReadOnlyList<ReplicaKey> voters, StorageIdentity identity)
    {
        var directory = identity.MetadataDirectory;
        if (voters.Count == 0)
        {
            return $"The metadata log in {directory} has no voters, so no controller can start. If the directory was formatted for static voters, set "
                + $"controller.quorum.voters={identity.NodeId}@host:port. If it is new, format it with --standalone. If its metadata log was lost, restore it.";
        }

        if (voters.Any(voter => voter.Id != identity.NodeId))
            return $"The metadata log in {directory} names the voters {string.Join(", ", voters)}: this version runs as the only voter.";
        return voters[0].DirectoryId is var named && named != Uuid.Zero && named != identity.MetadataDirectoryId
            ? $"The metadata log in {directory} names node {identity.NodeId} with the directory.id {named} as its voter, but the meta.properties "
                + $"there has {identity.MetadataDirectoryId}: restore the meta.properties that belongs to this log."
            : null;
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
