using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using PartitionResponse = Ottla.Protocol.Messages.OffsetDeleteResponse.OffsetDeleteResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.OffsetDeleteRequest.OffsetDeleteRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.OffsetDeleteResponse.OffsetDeleteResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>OffsetDelete (key 47), version 0: forgets offsets of topics that nobody in the group consumes.</summary>
/// <remarks>
/// Errors: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP (a classic group whose members do not say what they consume), and those of
/// <see cref="CoordinatorHost{TCommand}"/>. Per partition: UNKNOWN_TOPIC_OR_PARTITION, GROUP_SUBSCRIBED_TO_TOPIC.
/// </remarks>
internal sealed class OffsetDeleteHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster) : IApiHandler<OffsetDeleteRequest, OffsetDeleteResponse>
{
    public async ValueTask<OffsetDeleteResponse?> HandleAsync(RequestContext context, OffsetDeleteRequest request)
    {
        var topics = new List<TopicRequest>();
        var pending = new List<PartitionResponse>();
        var response = new OffsetDeleteResponse { Topics = [.. request.Topics.Select(topic => Check(topic, topics, pending))] };
        if (request.GroupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var command = new OffsetDeleteCommand(new OffsetDeleteRequest { GroupId = request.GroupId, Topics = [.. topics] });
        var answer = await groups.SubmitAsync<OffsetDeleteResponse>(request.GroupId, command);
        var index = 0;
        foreach (var partition in answer.Topics.SelectMany(topic => topic.Partitions))
            pending[index++].ErrorCode = partition.ErrorCode;
        return response;
    }

    private TopicResponse Check(TopicRequest topic, List<TopicRequest> topics, List<PartitionResponse> pending)
    {
        var found = CommittedTopics.Find(cluster.Image, byId: false, topic.Name, Uuid.Zero, out var error);
        var answers = CommittedTopics.Answer(found, error, topic.Partitions, partition => partition.PartitionIndex, Answer, pending, out var known);
        if (known.Length > 0)
            topics.Add(new TopicRequest { Name = topic.Name, Partitions = known });
        return new TopicResponse { Name = topic.Name, Partitions = answers };
    }

    private static PartitionResponse Answer(int partition, ErrorCode error) => new() { PartitionIndex = partition, ErrorCode = (short)error };
}
