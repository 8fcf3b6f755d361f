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
internal sealed class OffsetDeleteHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster)
    : IApiHandler<OffsetDeleteRequest, OffsetDeleteResponse>
{
    public async ValueTask<OffsetDeleteResponse?> HandleAsync(RequestContext context, OffsetDeleteRequest request)
    {
        if (request.GroupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var partitions = new OffsetPartitions(cluster.Image, byId: false);
        var topics = request.Topics;
        request.Topics = [.. topics.Select(topic => Known(partitions, topic)).OfType<TopicRequest>()];
        var errors = partitions.Errors(await groups.SubmitAsync(request.GroupId, new OffsetDeleteCommand(request)));
        return new OffsetDeleteResponse { Topics = [.. topics.Select(topic => Answer(topic, errors))] };
    }

    private static TopicRequest? Known(OffsetPartitions partitions, TopicRequest topic)
    {
        var known = partitions.Add(topic.Name, Uuid.Zero, topic.Partitions, partition => partition.PartitionIndex, out var _);
        return known.Length > 0 ? new TopicRequest { Name = topic.Name, Partitions = known } : null;
    }

    private static TopicResponse Answer(TopicRequest topic, Queue<ErrorCode> errors) => new()
    {
        Name = topic.Name,
        Partitions =
        [
            .. topic.Partitions.Select(partition =>
                new PartitionResponse { PartitionIndex = partition.PartitionIndex, ErrorCode = (short)errors.Dequeue() }),
        ],
    };
}
