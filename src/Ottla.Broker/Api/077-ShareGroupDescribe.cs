using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Share;
using DescribedGroup = Ottla.Protocol.Messages.ShareGroupDescribeResponse.DescribedGroup;

namespace Ottla.Broker.Api;

/// <summary>ShareGroupDescribe (key 77), version 1: the state, the members and the assignments of share groups (KIP-932).</summary>
/// <remarks>
/// Errors per group: UNSUPPORTED_VERSION where share.version is 0, GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED (a member has a
/// topic that the client may not see; then nothing else is told), INVALID_GROUP_ID, GROUP_ID_NOT_FOUND (also when it is of another kind),
/// and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class ShareGroupDescribeHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<ShareGroupDescribeRequest, ShareGroupDescribeResponse>
{
    /// <summary>About how long it takes to describe a group of a few hundred members.</summary>
    private const int MicrosecondsPerGroup = 100;

    /// <inheritdoc/>
    public int EstimateMicroseconds(RequestContext context, ShareGroupDescribeRequest request) =>
        request.GroupIds.Length * MicrosecondsPerGroup;

    public async ValueTask<ShareGroupDescribeResponse?> HandleAsync(RequestContext context, ShareGroupDescribeRequest request)
    {
        var described = await request.GroupIds.Distinct(StringComparer.Ordinal).Select(id => DescribeAsync(context, id)).InOrderAsync();
        if (request.IncludeAuthorizedOperations)
        {
            foreach (var group in described.Where(group => group.ErrorCode == (short)ErrorCode.None))
            {
                group.AuthorizedOperations =
                    authorizer.Operations(context, ResourceType.Group, group.GroupId, AuthorizedOperations.Group);
            }
        }

        return new ShareGroupDescribeResponse { Groups = described };
    }

    private Task<DescribedGroup> DescribeAsync(RequestContext context, string groupId) => SubmitAsync(context, groupId).OrFailed(
        error => new DescribedGroup { GroupId = groupId, ErrorCode = (short)error.Code, ErrorMessage = error.Message });

    private async ValueTask<DescribedGroup> SubmitAsync(RequestContext context, string groupId)
    {
        if (!ShareGroupRequests.AreEnabled(cluster))
            throw new ApiException(ErrorCode.UnsupportedVersion);
        authorizer.Require(context, AclOperation.Describe, ResourceType.Group, groupId);
        if (groupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var described = await groups.SubmitAsync(groupId, new ShareGroupDescribeCommand(groupId));
        if (authorizer.IsEnabled && TopicsOf(described).Any(topic => !authorizer.SeesTopic(context, topic)))
            throw new ApiException(ErrorCode.TopicAuthorizationFailed, GroupRequests.UnseenTopic);
        return described;
    }

    private static IEnumerable<string> TopicsOf(DescribedGroup group) => group.Members
        .SelectMany(member => member.Assignment.TopicPartitions).Select(assigned => assigned.TopicName).Distinct(StringComparer.Ordinal);
}
