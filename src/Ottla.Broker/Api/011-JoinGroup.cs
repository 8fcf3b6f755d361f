using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Api;

/// <summary>
/// JoinGroup (key 11), versions 0 to 9: a member joins, or joins again. The answer comes when the group's next generation begins.
/// </summary>
/// <remarks>
/// From version 4 on the first answer to a new member is its id (MEMBER_ID_REQUIRED), from version 5 on a member may be static. Errors:
/// GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, UNKNOWN_MEMBER_ID, INCONSISTENT_GROUP_PROTOCOL,
/// FENCED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED, INVALID_REQUEST (a name of more than 32 KB), and those of <see
/// cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class JoinGroupHandler(CoordinatorHost<GroupCommand> groups, Authorizer authorizer)
    : IApiHandler<JoinGroupRequest, JoinGroupResponse>
{
    private const short FirstVersionWithNullProtocol = 7;

    public async ValueTask<JoinGroupResponse?> HandleAsync(RequestContext context, JoinGroupRequest request)
    {
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        var command = new JoinGroupCommand(GroupRequests.OriginOf(context), request);
        var response = await groups.SubmitAsync(request.GroupId, command);
        response.ProtocolName = context.ApiVersion < FirstVersionWithNullProtocol ? response.ProtocolName ?? ""
            : response.ProtocolName is "" ? null : response.ProtocolName;
        return response;
    }
}
