using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Groups;
using PartitionResponse = Ottla.Protocol.Messages.TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition;
using TopicRequest = Ottla.Protocol.Messages.TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic;
using TopicResponse = Ottla.Protocol.Messages.TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>TxnOffsetCommit (key 28), versions 0 to 6: offsets that count when the transaction is committed.</summary>
/// <remarks>
/// Version 3 names the group's member, version 6 names topics by id (KIP-1319). Errors per partition, as of OffsetCommit: UNKNOWN_TOPIC_OR_PARTITION,
/// UNKNOWN_TOPIC_ID (v6), OFFSET_METADATA_TOO_LARGE, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION (below v6 also for STALE_MEMBER_EPOCH and GROUP_ID_NOT_FOUND),
/// FENCED_INSTANCE_ID, INVALID_GROUP_ID, INVALID_PRODUCER_EPOCH, and those of <see cref="CoordinatorHost{TCommand}"/>, of which versions 0 and 1 do not know
/// COORDINATOR_LOAD_IN_PROGRESS.
/// </remarks>
internal sealed class TxnOffsetCommitHandler(CoordinatorHost<GroupCommand> groups, ClusterView cluster) : IApiHandler<TxnOffsetCommitRequest, TxnOffsetCommitResponse>
{
    private const short FirstVersionWithLoadInProgress = 2;
    private const short FirstVersionWithTopicIds = 6;

    public async ValueTask<TxnOffsetCommitResponse?> HandleAsync(RequestContext context, TxnOffsetCommitRequest request)
    {
        var topics = new List<TopicRequest>();
        var pending = new List<PartitionResponse>();
        var response = new TxnOffsetCommitResponse { Topics = [.. request.Topics.Select(topic => Check(context, topic, topics, pending))] };
        if (topics.Count == 0)
            return response;
        try
        {
            if (request.GroupId.Length == 0)
                throw new ApiException(ErrorCode.InvalidGroupId);
            request.Topics = [.. topics];
            var answer = await groups.SubmitAsync<TxnOffsetCommitResponse>(request.GroupId, new TxnOffsetCommitCommand(GroupRequests.OriginOf(context), request));
            var index = 0;
            foreach (var partition in answer.Topics.SelectMany(topic => topic.Partitions))
                pending[index++].ErrorCode = partition.ErrorCode;
        }
        catch (ApiException e)
        {
            var isKnown = e.Error.Code != ErrorCode.CoordinatorLoadInProgress || context.ApiVersion >= FirstVersionWithLoadInProgress;
            foreach (var partition in pending)
                partition.ErrorCode = (short)(isKnown ? e.Error.Code : ErrorCode.CoordinatorNotAvailable);
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
