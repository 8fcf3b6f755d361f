using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using PartitionResponse = Ottla.Protocol.Messages.DeleteRecordsResponse.DeleteRecordsPartitionResult;
using TopicResponse = Ottla.Protocol.Messages.DeleteRecordsResponse.DeleteRecordsTopicResult;

namespace Ottla.Broker.Api;

/// <summary>
/// DeleteRecords (key 21), versions 0 to 2: advances the log start offset of partitions; -1 deletes all that is committed.
/// </summary>
/// <remarks>
/// Errors: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, OFFSET_OUT_OF_RANGE beyond the high watermark, POLICY_VIOLATION where
/// records are only compacted, INVALID_TOPIC_EXCEPTION for internal topics.
/// </remarks>
internal sealed class DeleteRecordsHandler(HostedTopics topics, LeaderHints leaders)
    : IApiHandler<DeleteRecordsRequest, DeleteRecordsResponse>
{
    public ValueTask<DeleteRecordsResponse?> HandleAsync(RequestContext context, DeleteRecordsRequest request)
    {
        var response = new DeleteRecordsResponse
        {
            Topics = [.. request.Topics.Select(topic => new TopicResponse
            {
                Name = topic.Name,
                Partitions = [.. topic.Partitions.Select(partition =>
                {
                    var replica = topics.Find(topic.Name)?.Find(partition.PartitionIndex);
                    var outcome = replica is null
                        ? new DeleteRecordsOutcome(leaders.ErrorForMissing(topic.Name, partition.PartitionIndex), -1)
                        : TopicNames.IsInternal(topic.Name)
                            ? new DeleteRecordsOutcome(ErrorCode.InvalidTopicException, -1)
                            : replica.DeleteRecordsBefore(partition.Offset);
                    return new PartitionResponse { PartitionIndex = partition.PartitionIndex, LowWatermark = outcome.LowWatermark,
                        ErrorCode = (short)outcome.ErrorCode };
                })],
            })],
        };
        return ValueTask.FromResult<DeleteRecordsResponse?>(response);
    }
}
