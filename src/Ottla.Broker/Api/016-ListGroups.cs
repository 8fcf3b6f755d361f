using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Api;

/// <summary>ListGroups (key 16), versions 0 to 5: the groups whose coordinator is this broker.</summary>
/// <remarks>
/// From version 4 on a client may ask for certain states, from version 5 on for certain types, in upper or lower case. Errors:
/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE.
/// </remarks>
internal sealed class ListGroupsHandler(CoordinatorHost<GroupCommand> groups) : IApiHandler<ListGroupsRequest, ListGroupsResponse>
{
    public async ValueTask<ListGroupsResponse?> HandleAsync(RequestContext context, ListGroupsRequest request)
    {
        var command = new ListGroupsCommand(request.StatesFilter, request.TypesFilter);
        var listed = await groups.SubmitToAllAsync(command);
        return new ListGroupsResponse { Groups = [.. listed.SelectMany(each => each)] };
    }
}
