using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Api;

/// <summary>Heartbeat (key 12), versions 0 to 4: a member of a classic group is alive, and learns of rebalances.</summary>
/// <remarks>
/// While the coordinator loads its groups, every heartbeat succeeds. Errors: GROUP_AUTHORIZATION_FAILED, REBALANCE_IN_PROGRESS,
/// ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, INVALID_GROUP_ID, and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class HeartbeatHandler(CoordinatorHost<GroupCommand> groups, Authorizer authorizer)
    : IApiHandler<HeartbeatRequest, HeartbeatResponse>
{
    public async ValueTask<HeartbeatResponse?> HandleAsync(RequestContext context, HeartbeatRequest request)
    {
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        return await groups.SubmitAsync(request.GroupId, new HeartbeatCommand(GroupRequests.OriginOf(context), request));
    }

    /// <inheritdoc/>
    public ErrorCode ErrorFor(short version, ErrorCode error) => error == ErrorCode.CoordinatorLoadInProgress ? ErrorCode.None : error;
}
