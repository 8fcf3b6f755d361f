using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Api;

/// <summary>ListGroups (key 16), versions 0 to 5: the groups whose coordinator is this broker.</summary>
/// <remarks>
/// A client that may not describe the cluster sees the groups that it may describe. From version 4 on a client may ask for certain states,
/// from version 5 on for certain types, in upper or lower case. Errors: COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE.
/// </remarks>
internal sealed class ListGroupsHandler(CoordinatorHost<GroupCommand> groups, Authorizer authorizer)
    : IApiHandler<ListGroupsRequest, ListGroupsResponse>
{
    public async ValueTask<ListGroupsResponse?> HandleAsync(RequestContext context, ListGroupsRequest request)
    {
        var command = new ListGroupsCommand(request.StatesFilter, request.TypesFilter);
        var listed = await groups.SubmitToAllAsync(command);
        var seesAll = authorizer.Sees(context, AclOperation.Describe, ResourceType.Cluster, AclBinding.ClusterName);
        return new ListGroupsResponse
        {
            Groups =
            [
                .. listed.SelectMany(each => each)
                    .Where(group => seesAll || authorizer.Sees(context, AclOperation.Describe, ResourceType.Group, group.GroupId)),
            ],
        };
    }
}
