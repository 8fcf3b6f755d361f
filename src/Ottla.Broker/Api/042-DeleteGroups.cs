using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using GroupResult = Ottla.Protocol.Messages.DeleteGroupsResponse.DeletableGroupResult;

namespace Ottla.Broker.Api;

/// <summary>DeleteGroups (key 42), versions 0 to 3: deletes groups of any kind that have no members, with their offsets.</summary>
/// <remarks>
/// The state of a share group is deleted first, by the share coordinators. Errors per group: GROUP_AUTHORIZATION_FAILED,
/// GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, the errors of share coordinators, and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class DeleteGroupsHandler(CoordinatorHost<GroupCommand> groups, ShareGroupState shareState, Authorizer authorizer)
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
            ? DeleteAsync(groupId)
            : ValueTask.FromException<GroupResult>(Authorizer.Refusal(ResourceType.Group));
        return deleted.OrFailed(
            error => new GroupResult { GroupId = groupId, ErrorCode = (short)error.Code, ErrorMessage = error.Message });
    }

    private async ValueTask<GroupResult> DeleteAsync(string groupId)
    {
        var partitions = await groups.SubmitAsync(groupId, new PrepareDeleteGroupCommand(groupId));
        var failed = await shareState.DeleteAsync(groupId, partitions);
        return failed.Count == 0
            ? await groups.SubmitAsync(groupId, new DeleteGroupCommand(groupId))
            : throw new ApiException(failed.First().Value.Code, failed.First().Value.Message);
    }
}
