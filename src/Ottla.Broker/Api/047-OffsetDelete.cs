using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using PartitionRequest = Ottla.Protocol.Messages.OffsetDeleteRequest.OffsetDeleteRequestPartition;
using PartitionResponse = Ottla.Protocol.Messages.OffsetDeleteResponse.OffsetDeleteResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.OffsetDeleteRequest.OffsetDeleteRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.OffsetDeleteResponse.OffsetDeleteResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>OffsetDelete (key 47), version 0: deletes a group's offsets of topics that no member consumes.</summary>
/// <remarks>
/// Errors: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP (a classic group whose members do not say what they consume), and those of
/// <see cref="CoordinatorHost{TCommand}"/>. Per partition: UNKNOWN_TOPIC_OR_PARTITION, GROUP_SUBSCRIBED_TO_TOPIC.
/// </remarks>
internal sealed class OffsetDeleteHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<OffsetDeleteRequest, OffsetDeleteResponse>
{
    private static readonly OffsetMessages<TopicRequest, PartitionRequest, TopicResponse> Messages = new(
        topic => (topic.Name, Uuid.Zero, topic.Partitions),
        partition => partition.PartitionIndex,
        (topic, known) => new TopicRequest { Name = topic.Name, Partitions = known },
        (topic, errors) => new TopicResponse
        {
            Name = topic.Name,
            Partitions = [.. errors.Select(error => new PartitionResponse { PartitionIndex = error.Index, ErrorCode = error.ErrorCode })],
        });

    public async ValueTask<OffsetDeleteResponse?> HandleAsync(RequestContext context, OffsetDeleteRequest request)
    {
        authorizer.Require(context, AclOperation.Delete, ResourceType.Group, request.GroupId);
        if (request.GroupId.Length == 0)
            throw new ApiException(ErrorCode.InvalidGroupId);
        var partitions = new OffsetPartitions<TopicRequest, PartitionRequest, TopicResponse>(
            Messages, cluster.Image, byId: false, request.Topics,
            name => authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, name));
        request.Topics = partitions.Known;
        var errors = await groups.SubmitAsync(request.GroupId, new OffsetDeleteCommand(request));
        return new OffsetDeleteResponse { Topics = partitions.Answer(errors) };
    }
}
