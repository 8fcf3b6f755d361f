using Ottla.Broker.Directories;
using Ottla.Broker.Peers;
using Ottla.Broker.Security;
using Ottla.Broker.Shared;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <summary>Opens the metadata log as a node's configuration and its directories say.</summary>
internal static class MetadataLog
{
    /// <summary>Makes the way of the metadata quorum to other nodes; nothing is connected yet.</summary>
    public static RaftNetwork CreateNetwork(NodeStorage storage, ConnectionResources connections)
    {
        var (config, platform) = (storage.Config, storage.Platform);
        var options = new RaftNetworkOptions
        {
            NodeId = storage.Identity.NodeId,
            ClusterId = storage.Identity.ClusterId,
            ListenerName = config.ControllerListenerNames[0],
            RequestTimeout = TimeSpan.FromMilliseconds(config.ControllerQuorumRequestTimeoutMs),
            DetectsProcessEnd = config.QuorumElectionOnProcessEndEnable,
            Security = connections.Security.ToOthers(config.ControllerListenerNames[0], ClientLogins.ControllerMechanism),
            Seed = platform.Seed,
        };
        return new RaftNetwork(
            platform.Transport, connections.Buffers, options, platform.Time, platform.Loggers.CreateLogger(nameof(RaftNetwork)));
    }

    /// <summary>Opens it. A single voter leads when this completes; others look for a leader from now on.</summary>
    /// <param name="storage">The node's configuration, directories and network.</param>
    /// <param name="endpoints">Where this node's controller is reached; empty on a node that is none.</param>
    /// <param name="network">The way to other nodes.</param>
    /// <exception cref="IOException">The disk fails.</exception>
    /// <exception cref="InvalidDataException">The files are corrupt.</exception>
    /// <exception cref="NodeStartException">This node would wait for ever: it can never lead, and nobody else is named.</exception>
    public static async Task<RaftHost> OpenAsync(NodeStorage storage, IReadOnlyList<RaftEndpoint> endpoints, RaftNetwork network)
    {
        var (config, platform) = (storage.Config, storage.Platform);
        var raft = RaftHost.Open(
            platform.FileSystem, RaftOptionsOf(config, storage.Identity, endpoints, platform.Seed), platform.Time,
            platform.Loggers.CreateLogger(nameof(RaftHost)), network);
        IReadOnlyList<ReplicaKey> voters = [.. raft.Quorum.VoterSet.Voters.Select(voter => voter.Key)];
        if (ReasonToWaitForever(config, voters, storage.Identity, endpoints) is not { } reason)
            return raft;
        await raft.DisposeAsync();
        throw new NodeStartException(reason);
    }

    /// <summary>Why a node without others to ask can never lead; null when it can, or when there are others.</summary>
    private static string? ReasonToWaitForever(
        BrokerConfig config, IReadOnlyList<ReplicaKey> voters, StorageIdentity identity, IReadOnlyList<RaftEndpoint> endpoints)
    {
        var directory = identity.MetadataDirectory;
        if (voters.Count == 0 && config.QuorumBootstrapServers.All(IsThisNode))
        {
            return $"The metadata log in {directory} has no voters, so no controller can start. If the directory was formatted for static "
                + "voters, set "
                + $"controller.quorum.voters={identity.NodeId}@host:port. If it is new, format it with --standalone. If its metadata log "
                    + "was lost, restore it.";
        }

        return voters is [var only] && only.Id == identity.NodeId && only.DirectoryId != Uuid.Zero
            && only.DirectoryId != identity.MetadataDirectoryId
            ? $"The metadata log in {directory} names node {identity.NodeId} with the directory.id {only.DirectoryId} as its voter, but "
                + "the meta.properties "
                + $"there has {identity.MetadataDirectoryId}: restore the meta.properties that belongs to this log."
            : null;

        bool IsThisNode(HostPort server) => endpoints.Any(endpoint => endpoint.Host == server.Host && endpoint.Port == server.Port);
    }

    private static RaftHostOptions RaftOptionsOf(
        BrokerConfig config, StorageIdentity identity, IReadOnlyList<RaftEndpoint> endpoints, ulong seed) => new()
        {
            LogDirectory = identity.MetadataDirectory,
            Raft = new RaftOptions
            {
                Local = new ReplicaKey(identity.NodeId, identity.MetadataDirectoryId),
                Endpoints = endpoints,
                ListenerName = config.ControllerListenerNames[0],
                CanBecomeVoter = config.IsController,
                BootstrapServers = [
                .. config.QuorumBootstrapServers.Select((server, index) => RaftNode.Bootstrap(index, server.Host, server.Port))],
                AutoJoin = config.ControllerQuorumAutoJoinEnable,
                ElectionTimeoutMs = config.ControllerQuorumElectionTimeoutMs,
                FetchTimeoutMs = config.ControllerQuorumFetchTimeoutMs,
                ElectionBackoffMaxMs = config.ControllerQuorumElectionBackoffMaxMs,
                RequestTimeoutMs = config.ControllerQuorumRequestTimeoutMs,
                RetryBackoffMs = config.ControllerQuorumRetryBackoffMs,
                FetchBytesMax = config.ControllerQuorumFetchMaxBytes,
                FetchSnapshotBytesMax = config.ControllerQuorumFetchSnapshotMaxBytes,
            },
            StaticVoters = new VoterSet(config.QuorumVoters.Select(voter => new Voter(
                new ReplicaKey(voter.Id, Uuid.Zero),
                [new RaftEndpoint(config.ControllerListenerNames[0], voter.Host, (ushort)voter.Port)]))),
            Seed = seed,
            AppendLingerMs = config.IsSet("controller.quorum.append.linger.ms") ? config.ControllerQuorumAppendLingerMs : 0,
            SegmentBytes = config.MetadataLogSegmentBytes,
            SegmentMs = config.MetadataLogSegmentMs,
            RetentionBytesMax = config.MetadataMaxRetentionBytes,
            RetentionMs = config.MetadataMaxRetentionMs,
        };
}
