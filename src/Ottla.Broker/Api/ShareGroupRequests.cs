using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.StateMachines.Groups.Share;
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

    /// <summary>Checks who asks for records, or says something of them.</summary>
    /// <returns>The group and the member.</returns>
    /// <exception cref="ApiException">UNSUPPORTED_VERSION, INVALID_REQUEST, GROUP_AUTHORIZATION_FAILED.</exception>
    public static (string GroupId, string MemberId) Check(
        in RequestContext context, string? groupId, string? memberId, ClusterView cluster, Authorizer authorizer)
    {
        if (!AreEnabled(cluster))
            throw new ApiException(ErrorCode.UnsupportedVersion);
        if (groupId is null)
            throw new ApiException(ErrorCode.InvalidRequest);
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, groupId);
        return memberId is { Length: > 0 and <= ShareGroupMember.IdLengthMax }
            ? (groupId, memberId)
            : throw new ApiException(ErrorCode.InvalidRequest);
    }
}
