using Ottla.Broker.Metadata;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>What the handlers of requests about share groups have in common.</summary>
internal static class ShareGroupRequests
{
    /// <summary>The error of a partition that does not exist.</summary>
    public static readonly ApiError UnknownPartition =
        new(ErrorCode.UnknownTopicOrPartition, "This server does not host this topic-partition.");

    /// <summary>Whether the cluster's features allow share groups (KIP-932).</summary>
    public static bool AreEnabled(ClusterView cluster) => cluster.Image.Features.LevelOf(Feature.ShareVersion) >= 1;
}
