using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using PartitionResponse = Ottla.Protocol.Messages.DescribeProducersResponse.PartitionResponse;
using TopicResponse = Ottla.Protocol.Messages.DescribeProducersResponse.TopicResponse;

namespace Ottla.Broker.Api;

/// <summary>DescribeProducers (key 61), version 0: the producers whose state partitions remember, and their open transactions.</summary>
/// <remarks>Errors, for each partition: INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.</remarks>
internal sealed class DescribeProducersHandler(HostedTopics topics, LeaderHints leaders) : IApiHandler<DescribeProducersRequest, DescribeProducersResponse>
{
    public ValueTask<DescribeProducersResponse?> HandleAsync(RequestContext context, DescribeProducersRequest request)
    {
        var response = new DescribeProducersResponse
        {
            Topics = [.. request.Topics.Select(topic => new TopicResponse
            {
                Name = topic.Name,
                Partitions = [.. topic.PartitionIndexes.Select(partition => Answer(topic.Name, partition))],
            })],
        };
        return ValueTask.FromResult<DescribeProducersResponse?>(response);
    }

    private PartitionResponse Answer(string topic, int partition)
    {
        if (TopicNames.ReasonInvalid(topic) is { } reason)
            return Failed(partition, ErrorCode.InvalidTopicException, $"Topic name is invalid: {reason}");
        if (topics.Find(topic)?.Find(partition) is not { } replica)
            return Failed(partition, leaders.ErrorForMissing(usesTopicIds: false, topic, Uuid.Zero, partition));
        if (replica.CheckLeader(currentLeaderEpoch: -1) is not ErrorCode.None and var error)
            return Failed(partition, error);
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
