using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using GroupResult = Ottla.Protocol.Messages.DeleteGroupsResponse.DeletableGroupResult;

namespace Ottla.Broker.Api;

/// <summary>DeleteGroups (key 42), versions 0 to 3: deletes groups of any kind that have no members, with their offsets.</summary>
/// <remarks>
/// Errors per group: GROUP_AUTHORIZATION_FAILED, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class DeleteGroupsHandler(CoordinatorHost<GroupCommand> groups, Authorizer authorizer)
    : IApiHandler<DeleteGroupsRequest, DeleteGroupsResponse>
{
    public async ValueTask<DeleteGroupsResponse?> HandleAsync(RequestContext context, DeleteGroupsRequest request) =>
        new()
        {
            Results = await request.GroupsNames.Distinct(StringComparer.Ordinal).Select(id => DeleteAsync(context, id)).InOrderAsync(),
        };

    private Task<GroupResult> DeleteAsync(in RequestContext context, string groupId)
    {
        var deleted = authorizer.Allows(context, AclOperation.Delete, ResourceType.Group, groupId)
            ? groups.SubmitAsync(groupId, new DeleteGroupCommand(groupId))
            : ValueTask.FromException<GroupResult>(Authorizer.Refusal(ResourceType.Group));
        return deleted.OrFailed(
            error => new GroupResult { GroupId = groupId, ErrorCode = (short)error.Code, ErrorMessage = error.Message });
    }
}
