using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using PartitionResponse = Ottla.Protocol.Messages.DeleteRecordsResponse.DeleteRecordsPartitionResult;
using TopicResponse = Ottla.Protocol.Messages.DeleteRecordsResponse.DeleteRecordsTopicResult;

namespace Ottla.Broker.Api;

/// <summary>
/// DeleteRecords (key 21), versions 0 to 2: advances the log start offset of partitions; -1 deletes all committed records.
/// </summary>
/// <remarks>
/// Waits up to timeout_ms until the replicas on live brokers have followed, and answers with the low watermark: the least of their log
/// start offsets. Errors: TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER (also when the leader changes
/// meanwhile), OFFSET_OUT_OF_RANGE beyond the high watermark, POLICY_VIOLATION where records are only compacted, INVALID_TOPIC_EXCEPTION
/// for internal topics, KAFKA_STORAGE_ERROR, REQUEST_TIMED_OUT (the records are deleted here, and the others follow).
/// </remarks>
internal sealed class DeleteRecordsHandler(HostedTopics topics, LeaderHints leaders, Authorizer authorizer, TimeProvider time)
    : IApiHandler<DeleteRecordsRequest, DeleteRecordsResponse>
{
    public async ValueTask<DeleteRecordsResponse?> HandleAsync(RequestContext context, DeleteRecordsRequest request)
    {
        var deadline = Instant.Now(time).AddMilliseconds(request.TimeoutMs);
        var open = new List<(PartitionResponse Response, LowWatermarkWait Wait)>();
        var response = new DeleteRecordsResponse
        {
            Topics = [.. request.Topics.Select(topic => new TopicResponse
            {
                Name = topic.Name,
                Partitions = authorizer.Allows(context, AclOperation.Delete, ResourceType.Topic, topic.Name)
                    ? [.. topic.Partitions.Select(partition => Delete(topic.Name, partition.PartitionIndex, partition.Offset, open))]
                    : [.. topic.Partitions.Select(partition => Refused(partition.PartitionIndex))],
            })],
        };
        using var counted = topics.Waits.CountDeletion();
        foreach (var (partition, wait) in open)
        {
            var (error, lowWatermark) = await wait.WaitAsync(deadline, time, context.Connection.Closing);
            var (topic, index) = (wait.Replica.Partition.Topic, wait.Replica.Partition.Partition);
            if (error == ErrorCode.NotLeaderOrFollower && topics.Find(topic)?.Find(index) is null)
                error = leaders.ErrorForMissing(topic, index); // the topic was deleted meanwhile
            (partition.ErrorCode, partition.LowWatermark) = ((short)error, lowWatermark);
        }

        return response;
    }

    private static PartitionResponse Refused(int partition) =>
        new() { PartitionIndex = partition, LowWatermark = -1, ErrorCode = (short)ErrorCode.TopicAuthorizationFailed };

    /// <summary>Deletes the records here.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="partition">The partition.</param>
    /// <param name="offset">What the client asks for.</param>
    /// <param name="open">Receives what has to be waited for.</param>
    private PartitionResponse Delete(
        string topic, int partition, long offset, List<(PartitionResponse Response, LowWatermarkWait Wait)> open)
    {
        var replica = topics.Find(topic)?.Find(partition);
        var missing = replica is null ? leaders.ErrorForMissing(topic, partition) : ErrorCode.None;
        var outcome = missing == ErrorCode.UnknownTopicOrPartition ? new DeleteRecordsOutcome(missing, -1)
            : TopicNames.IsInternal(topic) ? new DeleteRecordsOutcome(ErrorCode.InvalidTopicException, -1)
            : replica?.DeleteRecordsBefore(offset) ?? new DeleteRecordsOutcome(missing, -1);
        var response = new PartitionResponse
        {
            PartitionIndex = partition,
            LowWatermark = outcome.LowWatermark,
            ErrorCode = (short)outcome.ErrorCode,
        };
        if (outcome.ErrorCode == ErrorCode.None)
            open.Add((response, new LowWatermarkWait(replica!, offset == -1 ? outcome.LowWatermark : offset)));
        return response;
    }
}
