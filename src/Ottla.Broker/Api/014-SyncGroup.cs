using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Api;

/// <summary>SyncGroup (key 14), versions 0 to 5: the group's leader sends the assignment. The members get theirs when it has.</summary>
/// <remarks>
/// From version 5 on the request must name the protocol. Errors: GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, INCONSISTENT_GROUP_PROTOCOL,
/// REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class SyncGroupHandler(CoordinatorHost<GroupCommand> groups, Authorizer authorizer)
    : IApiHandler<SyncGroupRequest, SyncGroupResponse>
{
    public async ValueTask<SyncGroupResponse?> HandleAsync(RequestContext context, SyncGroupRequest request)
    {
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        return await groups.SubmitAsync(request.GroupId, new SyncGroupCommand(GroupRequests.OriginOf(context), request));
    }
}
