using Ottla.Broker.Metadata;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using PartitionResponse = Ottla.Protocol.Messages.DescribeProducersResponse.PartitionResponse;
using TopicResponse = Ottla.Protocol.Messages.DescribeProducersResponse.TopicResponse;

namespace Ottla.Broker.Api;

/// <summary>DescribeProducers (key 61), version 0: the producers that partitions keep state of, and their open transactions.</summary>
/// <remarks>
/// Any replica answers, not only the leader. Errors, for each partition: INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED,
/// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER (this broker has no replica), KAFKA_STORAGE_ERROR.
/// </remarks>
internal sealed class DescribeProducersHandler(HostedTopics topics, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<DescribeProducersRequest, DescribeProducersResponse>
{
    public ValueTask<DescribeProducersResponse?> HandleAsync(RequestContext context, DescribeProducersRequest request)
    {
        var response = new DescribeProducersResponse
        {
            Topics = [.. request.Topics.Select(topic => new TopicResponse
            {
                Name = topic.Name,
                Partitions = [.. topic.PartitionIndexes.Distinct().Select(partition => Answer(context, topic.Name, partition))],
            })],
        };
        return ValueTask.FromResult<DescribeProducersResponse?>(response);
    }

    private PartitionResponse Answer(in RequestContext context, string topic, int partition)
    {
        if (TopicNames.ReasonInvalid(topic) is { } reason)
            return Failed(partition, ErrorCode.InvalidTopicException, reason);
        if (!authorizer.Allows(context, AclOperation.Read, ResourceType.Topic, topic))
            return Failed(partition, ErrorCode.TopicAuthorizationFailed, Authorizer.TextOf(ResourceType.Topic));
        if (cluster.Image.Topics.Find(topic) is not { } known)
            return Failed(partition, ErrorCode.UnknownTopicOrPartition, "This server does not host this topic-partition.");
        if (topics.Find(topic)?.Find(partition) is not { } replica)
            return Failed(partition, known.Partition(partition) is null ? ErrorCode.UnknownTopicOrPartition
                : topics.IsOffline(topic, partition) ? ErrorCode.KafkaStorageError : ErrorCode.NotLeaderOrFollower);
        if (replica.Log.IsOffline)
            return Failed(partition, ErrorCode.KafkaStorageError);
        return new PartitionResponse
        {
            PartitionIndex = partition,
            ActiveProducers = [.. replica.Log.ActiveProducers().Select(producer => new DescribeProducersResponse.ProducerState
            {
                ProducerId = producer.ProducerId,
                ProducerEpoch = producer.ProducerEpoch,
                LastSequence = producer.LastSequence,
                LastTimestamp = producer.LastTimestampMs,
                CoordinatorEpoch = producer.CoordinatorEpoch,
                CurrentTxnStartOffset = producer.CurrentTransactionStartOffset,
            })],
        };
    }

    private static PartitionResponse Failed(int partition, ErrorCode error, string? message = null) =>
        new() { PartitionIndex = partition, ErrorCode = (short)error, ErrorMessage = message };
}
