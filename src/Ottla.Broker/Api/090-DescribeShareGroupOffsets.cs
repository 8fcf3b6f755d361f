using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Hosts.Share;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;
using GroupRequest = Ottla.Protocol.Messages.DescribeShareGroupOffsetsRequest.DescribeShareGroupOffsetsRequestGroup;
using GroupResponse = Ottla.Protocol.Messages.DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseGroup;
using PartitionResponse = Ottla.Protocol.Messages.DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.DescribeShareGroupOffsetsRequest.DescribeShareGroupOffsetsRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>
/// DescribeShareGroupOffsets (key 90), versions 0 to 1: where share groups are in their partitions, and from version 1 on the lag: how many
/// records are not done with (KIP-1226).
/// </summary>
/// <remarks>
/// Without topics all partitions of which the group has state are described. A partition without state, or whose state cannot be read, has
/// the start offset -1 and the lag -1, and no error; so has a group that does not exist, or is of another kind. Errors per group:
/// UNSUPPORTED_VERSION where share.version is 0, GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, and those of
/// <see cref="CoordinatorHost{TCommand}"/>. Per partition: TOPIC_AUTHORIZATION_FAILED, and the errors of a leader that does not say where
/// the partition ends.
/// </remarks>
internal sealed class DescribeShareGroupOffsetsHandler(
    CoordinatorHost<GroupCommand> groups, IShareStateStore states, LatestOffsets ends, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse>
{
    private const long Unknown = -1;

    public async ValueTask<DescribeShareGroupOffsetsResponse?> HandleAsync(
        RequestContext context, DescribeShareGroupOffsetsRequest request) => new()
        {
            Groups = await Task.WhenAll(request.Groups.Select(group => DescribeAsync(context, group).OrFailed(
                error => new GroupResponse { GroupId = group.GroupId, ErrorCode = (short)error.Code, ErrorMessage = error.Message }))),
        };

    private async ValueTask<GroupResponse> DescribeAsync(RequestContext context, GroupRequest group)
    {
        if (!ShareGroupRequests.AreEnabled(cluster))
            throw new ApiException(ErrorCode.UnsupportedVersion);
        authorizer.Require(context, AclOperation.Describe, ResourceType.Group, group.GroupId);
        if (group.GroupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var topics = group.Topics ?? await TopicsOfAsync(context, group.GroupId);
        var isKnown = topics.ToLookup(topic => cluster.Image.Topics.Find(topic.TopicName) is not null);
        return new GroupResponse
        {
            GroupId = group.GroupId,
            Topics = await Task.WhenAll(isKnown[true].Concat(isKnown[false]).Select(topic => DescribeAsync(context, group.GroupId, topic))),
        };
    }

    /// <summary>The partitions of which a group has state, of topics that the client may see.</summary>
    private async ValueTask<TopicRequest[]> TopicsOfAsync(RequestContext context, string groupId)
    {
        var partitions = await groups.SubmitAsync(groupId, new ListShareStateCommand(groupId));
        var named =
            from partition in partitions
            group partition.Partition by cluster.Image.Topics.Find(partition.TopicId)?.Name into topic
            where topic.Key is not null && authorizer.Sees(context, AclOperation.Describe, ResourceType.Topic, topic.Key)
            select new TopicRequest { TopicName = topic.Key, Partitions = [.. topic] };
        return [.. named];
    }

    private async Task<TopicResponse> DescribeAsync(RequestContext context, string groupId, TopicRequest topic)
    {
        if (!authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, topic.TopicName))
        {
            var refused = Authorizer.Refusal(ResourceType.Topic).Error;
            return new TopicResponse
            {
                TopicName = topic.TopicName,
                Partitions = [.. topic.Partitions.Select(partition => Failed(partition, refused))],
            };
        }

        var known = cluster.Image.Topics.Find(topic.TopicName);
        return new TopicResponse
        {
            TopicName = topic.TopicName,
            TopicId = known?.Id ?? Uuid.Zero,
            Partitions = await Task.WhenAll(topic.Partitions.Select(partition => DescribeAsync(groupId, known, partition).OrFailed(
                error => Failed(partition, error)))),
        };
    }

    private async ValueTask<PartitionResponse> DescribeAsync(string groupId, TopicImage? topic, int partition)
    {
        var state = topic?.Partition(partition) is null
            ? ShareState.None
            : await ReadAsync(new SharePartitionKey(groupId, topic.Id, partition));
        var hasLag = state.StartOffset != ShareState.UnsetStartOffset && state.DeliveryCompleteCount != ShareState.UnsetCompleteCount;
        return new PartitionResponse
        {
            PartitionIndex = partition,
            StartOffset = state.StartOffset,
            LeaderEpoch = state.LeaderEpoch,
            Lag = hasLag
                ? await ends.OfAsync(new TopicPartition(topic!.Name, partition)) - state.StartOffset - state.DeliveryCompleteCount
                : Unknown,
        };
    }

    private async ValueTask<ShareState> ReadAsync(SharePartitionKey key)
    {
        try
        {
            return await states.ReadSummaryAsync(new ReadShareStateSummaryCommand(key));
        }
        catch (ApiException)
        {
            return ShareState.None; // as Kafka tells it: there is no offset
        }
    }

    private static PartitionResponse Failed(int partition, ApiError error) => new()
    {
        PartitionIndex = partition,
        StartOffset = Unknown,
        Lag = Unknown,
        ErrorCode = (short)error.Code,
        ErrorMessage = error.Message,
    };
}
