using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using DescribedGroup = Ottla.Protocol.Messages.DescribeGroupsResponse.DescribedGroup;

namespace Ottla.Broker.Api;

/// <summary>DescribeGroups (key 15), versions 0 to 6: the state and the members of classic groups.</summary>
/// <remarks>
/// A group that does not exist, or is of another kind, has the state Dead: GROUP_ID_NOT_FOUND from version 6 on, no error before. Other
/// errors per group: GROUP_AUTHORIZATION_FAILED, and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class DescribeGroupsHandler(CoordinatorHost<GroupCommand> groups, Authorizer authorizer)
    : IApiHandler<DescribeGroupsRequest, DescribeGroupsResponse>
{
    private const short FirstVersionWithOperations = 3;
    private const short FirstVersionWithGroupIdNotFound = 6;
    private const string Dead = "Dead";

    /// <summary>About how long it takes to describe a group of a few hundred members.</summary>
    private const int MicrosecondsPerGroup = 100;

    /// <inheritdoc/>
    public int EstimateMicroseconds(RequestContext context, DescribeGroupsRequest request) => request.Groups.Length * MicrosecondsPerGroup;

    public async ValueTask<DescribeGroupsResponse?> HandleAsync(RequestContext context, DescribeGroupsRequest request)
    {
        var described = await request.Groups.Distinct(StringComparer.Ordinal).Select(id => DescribeAsync(context, id)).InOrderAsync();
        foreach (var group in described)
        {
            if (group.ErrorCode == (short)ErrorCode.GroupIdNotFound)
            {
                group.GroupState = Dead;
                if (context.ApiVersion < FirstVersionWithGroupIdNotFound)
                    (group.ErrorCode, group.ErrorMessage) = ((short)ErrorCode.None, null);
            }

            if (request.IncludeAuthorizedOperations && context.ApiVersion >= FirstVersionWithOperations
                && group.ErrorCode == (short)ErrorCode.None)
            {
                group.AuthorizedOperations =
                    authorizer.Operations(context, ResourceType.Group, group.GroupId, AuthorizedOperations.Group);
            }
        }

        return new DescribeGroupsResponse { Groups = described };
    }

    private Task<DescribedGroup> DescribeAsync(in RequestContext context, string groupId)
    {
        var described = authorizer.Allows(context, AclOperation.Describe, ResourceType.Group, groupId)
            ? groups.SubmitAsync(groupId, new DescribeGroupCommand(groupId))
            : ValueTask.FromException<DescribedGroup>(Authorizer.Refusal(ResourceType.Group));
        return described.OrFailed(
            error => new DescribedGroup { GroupId = groupId, ErrorCode = (short)error.Code, ErrorMessage = error.Message });
    }
}
