using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Share;

namespace Ottla.Broker.Api;

/// <summary>
/// ShareGroupHeartbeat (key 76), version 1: a member of a share group joins, reports, learns its assignment, and leaves (KIP-932).
/// </summary>
/// <remarks>
/// UNSUPPORTED_VERSION where share.version is 0. Other errors: GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED (of any topic that
/// the member names), INVALID_REQUEST, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, GROUP_MAX_SIZE_REACHED, GROUP_ID_NOT_FOUND, and those of
/// <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class ShareGroupHeartbeatHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse>
{
    public async ValueTask<ShareGroupHeartbeatResponse?> HandleAsync(RequestContext context, ShareGroupHeartbeatRequest request)
    {
        if (!ShareGroupRequests.AreEnabled(cluster))
            throw new ApiException(ErrorCode.UnsupportedVersion);
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        var topics = request.SubscribedTopicNames ?? [];
        if (!Array.TrueForAll(topics, topic => authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, topic)))
            return new ShareGroupHeartbeatResponse { ErrorCode = (short)ErrorCode.TopicAuthorizationFailed };
        return await groups.SubmitAsync(request.GroupId, new ShareGroupHeartbeatCommand(GroupRequests.OriginOf(context), request));
    }
}
