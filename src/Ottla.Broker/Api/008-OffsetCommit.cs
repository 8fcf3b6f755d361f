using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using PartitionRequest = Ottla.Protocol.Messages.OffsetCommitRequest.OffsetCommitRequestPartition;
using PartitionResponse = Ottla.Protocol.Messages.OffsetCommitResponse.OffsetCommitResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.OffsetCommitRequest.OffsetCommitRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.OffsetCommitResponse.OffsetCommitResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>OffsetCommit (key 8), versions 2 to 10: stores how far a group has read, and answers when that is committed.</summary>
/// <remarks>
/// Version 10 names topics by id. In versions 2 to 4 the client may say how long the broker keeps the offsets. Topics and partitions that
/// do not exist fail alone; an error of the group is the error of every other partition. Errors per partition: UNKNOWN_TOPIC_OR_PARTITION,
/// UNKNOWN_TOPIC_ID (v10), OFFSET_METADATA_TOO_LARGE, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS,
/// GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED, STALE_MEMBER_EPOCH, GROUP_ID_NOT_FOUND (v9+), UNSUPPORTED_VERSION (a member of
/// the consumer protocol, below v9), and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class OffsetCommitHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<OffsetCommitRequest, OffsetCommitResponse>
{
    private const short FirstVersionWithTopicIds = 10;

    private static readonly OffsetMessages<TopicRequest, PartitionRequest, TopicResponse> Messages = new(
        topic => (topic.Name, topic.TopicId, topic.Partitions),
        partition => partition.PartitionIndex,
        (topic, known) => new TopicRequest { Name = topic.Name, TopicId = topic.Id, Partitions = known },
        (topic, errors) => new TopicResponse
        {
            Name = topic.Name,
            TopicId = topic.TopicId,
            Partitions = [.. errors.Select(error => new PartitionResponse { PartitionIndex = error.Index, ErrorCode = error.ErrorCode })],
        });

    public async ValueTask<OffsetCommitResponse?> HandleAsync(RequestContext context, OffsetCommitRequest request)
    {
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        var partitions = new OffsetPartitions<TopicRequest, PartitionRequest, TopicResponse>(
            Messages, cluster.Image, byId: context.ApiVersion >= FirstVersionWithTopicIds, request.Topics,
            name => authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, name));
        request.Topics = partitions.Known;
        IReadOnlyList<ErrorCode> errors = [];
        if (partitions.KnownCount > 0)
        {
            var command = new OffsetCommitCommand(GroupRequests.OriginOf(context), request);
            errors = await groups.SubmitAsync(request.GroupId, command).OrFailed(error => partitions.FailKnown(error.Code));
        }

        return new OffsetCommitResponse { Topics = partitions.Answer(errors) };
    }
}
