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
/// Version 10 names topics by id. Versions 2 to 4 may say how long the offsets are kept. Topics and partitions that do not exist fail alone; what the
/// coordinator says of the group is said of every other partition. Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID (v10),
/// OFFSET_METADATA_TOO_LARGE, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH, GROUP_ID_NOT_FOUND (v9+),
/// UNSUPPORTED_VERSION (a member of the consumer protocol, below v9), and those of <see cref="CoordinatorHost{TCommand}"/>.
/// </remarks>
internal sealed class OffsetCommitHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster) : IApiHandler<OffsetCommitRequest, OffsetCommitResponse>
{
    private const short FirstVersionWithTopicIds = 10;

    public async ValueTask<OffsetCommitResponse?> HandleAsync(RequestContext context, OffsetCommitRequest request)
    {
        var topics = new List<TopicRequest>();
        var pending = new List<PartitionResponse>();
        var response = new OffsetCommitResponse { Topics = [.. request.Topics.Select(topic => Check(context, topic, topics, pending))] };
        if (topics.Count == 0)
            return response;
        try
        {
            request.Topics = [.. topics];
            var answer = await groups.SubmitAsync<OffsetCommitResponse>(request.GroupId, new OffsetCommitCommand(GroupRequests.OriginOf(context), request));
            var index = 0;
            foreach (var partition in answer.Topics.SelectMany(topic => topic.Partitions))
                pending[index++].ErrorCode = partition.ErrorCode;
        }
        catch (ApiException e)
        {
            foreach (var partition in pending)
                partition.ErrorCode = (short)e.Error.Code;
        }

        return response;
    }

    /// <summary>Answers what can be answered of a topic here, and gives the rest to the coordinator.</summary>
    private TopicResponse Check(RequestContext context, TopicRequest topic, List<TopicRequest> topics, List<PartitionResponse> pending)
    {
        var found = CommittedTopics.Find(cluster.Image, context.ApiVersion >= FirstVersionWithTopicIds, topic.Name, topic.TopicId, out var error);
        var answers = CommittedTopics.Answer(found, error, topic.Partitions, partition => partition.PartitionIndex, Answer, pending, out var known);
        if (known.Length > 0)
            topics.Add(new TopicRequest { Name = found!.Name, TopicId = found.Id, Partitions = known });
        return new TopicResponse { Name = topic.Name, TopicId = topic.TopicId, Partitions = answers };
    }

    private static PartitionResponse Answer(int partition, ErrorCode error) => new() { PartitionIndex = partition, ErrorCode = (short)error };
}
