using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using GroupRequest = Ottla.Protocol.Messages.OffsetFetchRequest.OffsetFetchRequestGroup;
using GroupResponse = Ottla.Protocol.Messages.OffsetFetchResponse.OffsetFetchResponseGroup;
using PartitionResponse = Ottla.Protocol.Messages.OffsetFetchResponse.OffsetFetchResponsePartitions;
using TopicRequest = Ottla.Protocol.Messages.OffsetFetchRequest.OffsetFetchRequestTopics;
using TopicResponse = Ottla.Protocol.Messages.OffsetFetchResponse.OffsetFetchResponseTopics;

namespace Ottla.Broker.Api;

/// <summary>OffsetFetch (key 9), versions 1 to 10: how far groups have read.</summary>
/// <remarks>
/// Null topics ask for all offsets of the group (v2+). Version 7 may ask for stable offsets only, version 8 for several groups, version 9
/// names the member, version 10 names topics by id: an answer with all offsets then leaves out deleted topics. A partition without a
/// committed offset has the offset -1. Errors per group (v1: of each partition): UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, and those of
/// <see cref="CoordinatorHost{TCommand}"/>, but with NOT_COORDINATOR instead of COORDINATOR_NOT_AVAILABLE, on which old consumers do not
/// retry, and GROUP_AUTHORIZATION_FAILED. Per partition: TOPIC_AUTHORIZATION_FAILED, UNSTABLE_OFFSET_COMMIT, UNKNOWN_TOPIC_ID (v10).
/// </remarks>
internal sealed class OffsetFetchHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<OffsetFetchRequest, OffsetFetchResponse>
{
    private const short FirstVersionWithGroupError = 2;
    private const short FirstVersionWithGroups = 8;
    private const short FirstVersionWithTopicIds = 10;
    private const long NoOffset = -1;

    public async ValueTask<OffsetFetchResponse?> HandleAsync(RequestContext context, OffsetFetchRequest request)
    {
        if (context.ApiVersion < FirstVersionWithGroups)
            return ToOldResponse(await FetchAsync(context, ToGroup(request), request.RequireStable));
        return new OffsetFetchResponse
        {
            Groups = await request.Groups.Select(group => FetchAsync(context, group, request.RequireStable))
            .InOrderAsync()
        };
    }

    private Task<GroupResponse> FetchAsync(RequestContext context, GroupRequest group, bool requireStable) =>
        FetchOfAsync(context, group, requireStable).OrFailed(error => Failed(context, group, error.Code));

    /// <summary>Asks the group's coordinator.</summary>
    /// <exception cref="ApiException">The coordinator gives no offsets of the group.</exception>
    private async ValueTask<GroupResponse> FetchOfAsync(RequestContext context, GroupRequest group, bool requireStable)
    {
        authorizer.Require(context, AclOperation.Describe, ResourceType.Group, group.GroupId);
        var usesIds = context.ApiVersion >= FirstVersionWithTopicIds;
        var refused = new List<TopicResponse>();
        var asked = group.Topics is null || (!usesIds && !authorizer.IsEnabled) ? group : Split(context, group, usesIds, refused);
        var response = await groups.SubmitAsync(group.GroupId, new OffsetFetchCommand(asked, requireStable));
        if (group.Topics is null && authorizer.IsEnabled)
            response.Topics = [.. response.Topics.Where(topic => authorizer.SeesTopic(context, topic.Name))];
        if (group.Topics is null && usesIds)
            response.Topics = [.. response.Topics.Where(HasId)];
        else if (refused.Count > 0)
            response.Topics = [.. response.Topics, .. refused];
        return response;
    }

    private static GroupResponse Failed(RequestContext context, GroupRequest group, ErrorCode error)
    {
        if (error == ErrorCode.CoordinatorNotAvailable)
            error = ErrorCode.NotCoordinator;
        return context.ApiVersion >= FirstVersionWithGroupError
            ? new GroupResponse { GroupId = group.GroupId, ErrorCode = (short)error }
            : new GroupResponse { GroupId = group.GroupId, Topics = [.. group.Topics!.Select(topic => Failed(topic, error))] };
    }

    /// <summary>
    /// Replaces the ids of the group's topics by names, and puts topics aside that have unknown ids or that the client may not see.
    /// </summary>
    private GroupRequest Split(in RequestContext context, GroupRequest group, bool usesIds, List<TopicResponse> refused)
    {
        var topics = new List<TopicRequest>();
        foreach (var topic in group.Topics!)
        {
            var name = usesIds ? cluster.Image.Topics.Find(topic.TopicId)?.Name : topic.Name;
            if (name is null)
                refused.Add(Failed(topic, ErrorCode.UnknownTopicId));
            else if (!authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, name))
                refused.Add(Failed(topic, ErrorCode.TopicAuthorizationFailed));
            else
                topics.Add(new TopicRequest { Name = name, TopicId = topic.TopicId, PartitionIndexes = topic.PartitionIndexes });
        }

        return new GroupRequest
        {
            GroupId = group.GroupId,
            MemberId = group.MemberId,
            MemberEpoch = group.MemberEpoch,
            Topics = [.. topics]
        };
    }

    /// <summary>Sets the id of a topic; false when the topic does not exist any more.</summary>
    private bool HasId(TopicResponse topic)
    {
        if (topic.TopicId == Uuid.Zero)
            topic.TopicId = cluster.Image.Topics.Find(topic.Name)?.Id ?? Uuid.Zero;
        return topic.TopicId != Uuid.Zero;
    }

    private static TopicResponse Failed(TopicRequest topic, ErrorCode error) => new()
    {
        Name = topic.Name,
        TopicId = topic.TopicId,
        Partitions = [
            .. topic.PartitionIndexes.Select(
                partition => new PartitionResponse { PartitionIndex = partition, CommittedOffset = NoOffset, ErrorCode = (short)error })],
    };

    private static GroupRequest ToGroup(OffsetFetchRequest request) => new()
    {
        GroupId = request.GroupId,
        Topics = request.Topics is { } topics
            ? [.. topics.Select(topic => new TopicRequest { Name = topic.Name, PartitionIndexes = topic.PartitionIndexes })] : null,
    };

    private static OffsetFetchResponse ToOldResponse(GroupResponse group) => new()
    {
        ErrorCode = group.ErrorCode,
        Topics =
        [
            .. group.Topics.Select(topic => new OffsetFetchResponse.OffsetFetchResponseTopic
            {
                Name = topic.Name,
                Partitions =
                [
                    .. topic.Partitions.Select(partition => new OffsetFetchResponse.OffsetFetchResponsePartition
                    {
                        PartitionIndex = partition.PartitionIndex,
                        CommittedOffset = partition.CommittedOffset,
                        CommittedLeaderEpoch = partition.CommittedLeaderEpoch,
                        Metadata = partition.Metadata,
                        ErrorCode = partition.ErrorCode,
                    }),
                ],
            }),
        ],
    };
}
