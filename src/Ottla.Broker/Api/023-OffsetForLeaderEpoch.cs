using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using PartitionRequest = Ottla.Protocol.Messages.OffsetForLeaderEpochRequest.OffsetForLeaderPartition;
using PartitionResponse = Ottla.Protocol.Messages.OffsetForLeaderEpochResponse.EpochEndOffset;
using TopicResponse = Ottla.Protocol.Messages.OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult;

namespace Ottla.Broker.Api;

/// <summary>
/// OffsetForLeaderEpoch (key 23), versions 2 to 4: where a leader epoch ends, for consumers that check for truncation (KIP-320).
/// </summary>
/// <remarks>
/// The answer for an unknown epoch is epoch -1 and offset -1. Errors: TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION,
/// NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, KAFKA_STORAGE_ERROR.
/// </remarks>
internal sealed class OffsetForLeaderEpochHandler(HostedTopics topics, LeaderHints leaders, Authorizer authorizer)
    : IApiHandler<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>
{
    public ValueTask<OffsetForLeaderEpochResponse?> HandleAsync(RequestContext context, OffsetForLeaderEpochRequest request)
    {
        var isBroker = authorizer.Sees(context, AclOperation.ClusterAction, ResourceType.Cluster, AclBinding.ClusterName);
        var response = new OffsetForLeaderEpochResponse
        {
            Topics = [.. request.Topics.Select(topic => new TopicResponse
            {
                Topic = topic.Topic,
                Partitions = isBroker || authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, topic.Topic)
                    ? [.. topic.Partitions.Select(partition => Answer(topic.Topic, partition))]
                    : [.. topic.Partitions.Select(Refused)],
            })],
        };
        return ValueTask.FromResult<OffsetForLeaderEpochResponse?>(response);
    }

    private static PartitionResponse Refused(PartitionRequest request) =>
        new() { Partition = request.Partition, ErrorCode = (short)ErrorCode.TopicAuthorizationFailed };

    private PartitionResponse Answer(string topic, PartitionRequest request)
    {
        var replica = topics.Find(topic)?.Find(request.Partition);
        var error = replica?.CheckLeader(request.CurrentLeaderEpoch) ?? leaders.ErrorForMissing(topic, request.Partition);
        var answer = new PartitionResponse { Partition = request.Partition, ErrorCode = (short)error };
        if (error == ErrorCode.None)
            (answer.LeaderEpoch, answer.EndOffset) = replica!.Log.EndOffsetForEpoch(request.LeaderEpoch);
        return answer;
    }
}
