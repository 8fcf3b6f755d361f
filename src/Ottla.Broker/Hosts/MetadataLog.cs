using Ottla.Broker.Directories;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <summary>Opens the metadata log as a node's configuration and its directories say.</summary>
internal static class MetadataLog
{
    /// <summary>Opens it. A single voter leads when this completes.</summary>
    /// <exception cref="IOException">The disk fails.</exception>
    /// <exception cref="InvalidDataException">The files are corrupt.</exception>
    /// <exception cref="NodeStartException">This node can never lead the metadata log, and would wait for ever.</exception>
    public static async Task<RaftHost> OpenAsync(BrokerConfig config, StorageIdentity identity, NodePlatform platform)
    {
        var raft = RaftHost.Open(platform.FileSystem, RaftOptionsOf(config, identity, platform), platform.Time, platform.Loggers.CreateLogger(nameof(RaftHost)));
        if (ReasonNotToLead([.. raft.Quorum.VoterSet.Voters.Select(voter => voter.Key)], identity) is not { } reason)
            return raft;
        await raft.DisposeAsync();
        throw new NodeStartException(reason);
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
