using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>The cluster and its brokers (DescribeCluster, KIP-700).</summary>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="ControllerId">The broker that clients take for the controller; null when there is none.</param>
/// <param name="Brokers">The brokers by id.</param>
/// <param name="AuthorizedOperations">What the caller may do with the cluster; null when that was not asked for.</param>
public sealed record ClusterDescription(
    string ClusterId, int? ControllerId, IReadOnlyList<BrokerDescription> Brokers, IReadOnlySet<AclOperation>? AuthorizedOperations);

/// <summary>A broker.</summary>
/// <param name="Id">Its node id.</param>
/// <param name="Host">Where it listens.</param>
/// <param name="Port">The port there.</param>
/// <param name="Rack">Its rack; null when it has none.</param>
/// <param name="IsFenced">Whether it has fallen silent; shown when fenced brokers are asked for (KIP-1073).</param>
public sealed record BrokerDescription(int Id, string Host, int Port, string? Rack, bool IsFenced);

/// <summary>The versions that a node has of an API (KIP-35).</summary>
/// <param name="ApiKey">The API, by its number.</param>
/// <param name="Minimum">The oldest version.</param>
/// <param name="Maximum">The newest version.</param>
public readonly record struct ApiVersion(short ApiKey, short Minimum, short Maximum);

/// <summary>A range of levels of a feature.</summary>
/// <param name="Minimum">The lowest.</param>
/// <param name="Maximum">The highest.</param>
public readonly record struct FeatureRange(short Minimum, short Maximum);

/// <summary>The features of the cluster (KIP-584).</summary>
/// <param name="Finalized">The levels that are in force, by feature.</param>
/// <param name="FinalizedEpoch">Counts their changes; null when the cluster does not say.</param>
/// <param name="Supported">The levels that the node that answered can work at, by feature.</param>
public sealed record FeatureMetadata(
    IReadOnlyDictionary<string, FeatureRange> Finalized, long? FinalizedEpoch, IReadOnlyDictionary<string, FeatureRange> Supported);

/// <summary>How a feature's level may change.</summary>
public enum FeatureUpgradeType : sbyte
{
    /// <summary>Upwards alone.</summary>
    Upgrade = 1,

    /// <summary>Downwards, where no data is lost.</summary>
    SafeDowngrade = 2,

    /// <summary>Downwards, also where data is lost.</summary>
    UnsafeDowngrade = 3,
}

/// <summary>A new level of a feature.</summary>
/// <param name="MaxVersionLevel">The level; 0 removes the feature.</param>
/// <param name="UpgradeType">In which direction it may change.</param>
public readonly record struct FeatureUpdate(short MaxVersionLevel, FeatureUpgradeType UpgradeType = FeatureUpgradeType.Upgrade);

/// <summary>The quorum of controllers (DescribeQuorum, KIP-836).</summary>
/// <param name="LeaderId">The active controller.</param>
/// <param name="LeaderEpoch">Its epoch.</param>
/// <param name="HighWatermark">The offset up to which a majority has the metadata log.</param>
/// <param name="Voters">The voters.</param>
/// <param name="Observers">The nodes that follow the log and do not vote.</param>
/// <param name="Nodes">Where voters listen, by id; empty when the cluster is too old to say (KIP-853).</param>
public sealed record QuorumDescription(
    int LeaderId, int LeaderEpoch, long HighWatermark, IReadOnlyList<QuorumReplica> Voters, IReadOnlyList<QuorumReplica> Observers,
    IReadOnlyDictionary<int, IReadOnlyList<RaftVoterEndpoint>> Nodes);

/// <summary>A replica of the metadata log.</summary>
/// <param name="Id">Its node id.</param>
/// <param name="DirectoryId">The id of its directory; <see cref="Uuid.Zero"/> when it is not known (KIP-853).</param>
/// <param name="LogEndOffset">The end of its log; -1 when it is not known.</param>
/// <param name="LastFetch">When it last fetched; null when that is not known.</param>
/// <param name="LastCaughtUp">When it last had all records; null when that is not known.</param>
public sealed record QuorumReplica(int Id, Uuid DirectoryId, long LogEndOffset, DateTimeOffset? LastFetch, DateTimeOffset? LastCaughtUp);

/// <summary>Where a controller listens.</summary>
/// <param name="Listener">The listener's name.</param>
/// <param name="Host">The host.</param>
/// <param name="Port">The port.</param>
public sealed record RaftVoterEndpoint(string Listener, string Host, int Port);
