using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Api;

/// <summary>LeaveGroup (key 13), versions 0 to 5: members leave, or an operator removes them.</summary>
/// <remarks>
/// From version 3 on a request names many members, also by their instance ids. Errors: GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, and
/// those of <see cref="CoordinatorHost{TCommand}"/>; per member (before version 3 of the whole request): UNKNOWN_MEMBER_ID,
/// FENCED_INSTANCE_ID.
/// </remarks>
internal sealed class LeaveGroupHandler(CoordinatorHost<GroupCommand> groups, Authorizer authorizer)
    : IApiHandler<LeaveGroupRequest, LeaveGroupResponse>
{
    public async ValueTask<LeaveGroupResponse?> HandleAsync(RequestContext context, LeaveGroupRequest request)
    {
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        return await groups.SubmitAsync(request.GroupId, new LeaveGroupCommand(GroupRequests.OriginOf(context), request));
    }
}
