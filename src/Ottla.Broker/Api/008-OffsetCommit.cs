using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using PartitionResponse = Ottla.Protocol.Messages.OffsetCommitResponse.OffsetCommitResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.OffsetCommitRequest.OffsetCommitRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.OffsetCommitResponse.OffsetCommitResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>OffsetCommit (key 8), versions 2 to 10: keeps how far a group has come, answered once it is written.</summary>
/// <remarks>
/// Version 10 names topics by id. Versions 2 to 4 may say how long the offsets are kept. Topics and partitions that do not exist fail
/// alone; what the coordinator says of the group is said of every other partition. Errors per partition: UNKNOWN_TOPIC_OR_PARTITION,
/// UNKNOWN_TOPIC_ID (v10), OFFSET_METADATA_TOO_LARGE, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS,
/// STALE_MEMBER_EPOCH, GROUP_ID_NOT_FOUND (v9+), UNSUPPORTED_VERSION (a member of the consumer protocol, below v9), and those of
/// <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class OffsetCommitHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster)
    : IApiHandler<OffsetCommitRequest, OffsetCommitResponse>
{
    private const short FirstVersionWithTopicIds = 10;

    public async ValueTask<OffsetCommitResponse?> HandleAsync(RequestContext context, OffsetCommitRequest request)
    {
        var partitions = new OffsetPartitions(cluster.Image, byId: context.ApiVersion >= FirstVersionWithTopicIds);
        var topics = request.Topics;
        request.Topics = [.. topics.Select(topic => Known(partitions, topic)).OfType<TopicRequest>()];
        IReadOnlyList<ErrorCode> known = [];
        if (partitions.KnownCount > 0)
        {
            var command = new OffsetCommitCommand(GroupRequests.OriginOf(context), request);
            known = await groups.SubmitAsync(request.GroupId, command).OrFailed(error => partitions.FailKnown(error.Code));
        }

        var errors = partitions.Errors(known);
        return new OffsetCommitResponse { Topics = [.. topics.Select(topic => Answer(topic, errors))] };
    }

    /// <summary>What the coordinator is asked about a topic; null for nothing.</summary>
    private static TopicRequest? Known(OffsetPartitions partitions, TopicRequest topic)
    {
        var known = partitions.Add(topic.Name, topic.TopicId, topic.Partitions, partition => partition.PartitionIndex, out var found);
        return known.Length > 0 ? new TopicRequest { Name = found!.Name, TopicId = found.Id, Partitions = known } : null;
    }

    private static TopicResponse Answer(TopicRequest topic, Queue<ErrorCode> errors) => new()
    {
        Name = topic.Name,
        TopicId = topic.TopicId,
        Partitions =
        [
            .. topic.Partitions.Select(partition =>
                new PartitionResponse { PartitionIndex = partition.PartitionIndex, ErrorCode = (short)errors.Dequeue() }),
        ],
    };
}
