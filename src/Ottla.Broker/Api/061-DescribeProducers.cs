using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using PartitionResponse = Ottla.Protocol.Messages.DescribeProducersResponse.PartitionResponse;
using TopicResponse = Ottla.Protocol.Messages.DescribeProducersResponse.TopicResponse;

namespace Ottla.Broker.Api;

/// <summary>DescribeProducers (key 61), version 0: the producers whose state partitions remember, and their open transactions.</summary>
/// <remarks>Errors: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER.</remarks>
internal sealed class DescribeProducersHandler(HostedTopics topics) : IApiHandler<DescribeProducersRequest, DescribeProducersResponse>
{
    public ValueTask<DescribeProducersResponse?> HandleAsync(RequestContext context, DescribeProducersRequest request)
    {
        var response = new DescribeProducersResponse
        {
            Topics = [.. request.Topics.Select(topic => new TopicResponse
            {
                Name = topic.Name,
                Partitions = [.. topic.PartitionIndexes.Select(partition => Answer(topics.Find(topic.Name)?.Find(partition), partition))],
            })],
        };
        return ValueTask.FromResult<DescribeProducersResponse?>(response);
    }

    private static PartitionResponse Answer(PartitionReplica? replica, int partition)
    {
        var error = replica?.CheckLeader(currentLeaderEpoch: -1) ?? ErrorCode.UnknownTopicOrPartition;
        return new PartitionResponse
        {
            PartitionIndex = partition,
            ErrorCode = (short)error,
            ActiveProducers = error != ErrorCode.None ? [] : [.. replica!.Log.ActiveProducers().Select(producer => new DescribeProducersResponse.ProducerState
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
}
