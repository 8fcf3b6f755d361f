using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using PartitionResponse = Ottla.Protocol.Messages.DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition;
using TopicResponse = Ottla.Protocol.Messages.DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>DescribeTopicPartitions (key 75), version 0: topics in order of their names, page by page, with their eligible leader replicas (KIP-966).</summary>
/// <remarks>
/// No topics named: all. A page has at most response_partition_limit partitions, and never more than max.request.partition.size.limit; the cursor says where the next begins.
/// Errors: INVALID_REQUEST for a cursor that is none; per topic UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION; per partition LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND.
/// </remarks>
internal sealed class DescribeTopicPartitionsHandler(ClusterView cluster, Func<BrokerConfig> config) : IApiHandler<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>
{
    public ValueTask<DescribeTopicPartitionsResponse?> HandleAsync(RequestContext context, DescribeTopicPartitionsRequest request)
    {
        var image = cluster.Image;
        var room = Math.Max(Math.Min(config().MaxRequestPartitionSizeLimit, request.ResponsePartitionLimit), 1);
        var isAll = request.Topics.Length == 0;
        var names = (isAll ? image.Topics.ByName.Keys : request.Topics.Select(topic => topic.Name).Distinct()).Order(StringComparer.Ordinal);
        var response = new DescribeTopicPartitionsResponse();
        var topics = new List<TopicResponse>();
        foreach (var name in names.Where(name => request.Cursor is null || string.CompareOrdinal(name, request.Cursor.TopicName) >= 0))
        {
            var first = request.Cursor is { } cursor && cursor.TopicName == name ? Math.Max(cursor.PartitionIndex, 0) : 0;
            if (image.Topics.Find(name) is not { } topic)
            {
                // A topic that a cursor points to may be deleted between two pages: then the next topic follows.
                if (!isAll)
                    topics.Add(new TopicResponse { Name = name, ErrorCode = (short)(TopicNames.ReasonInvalid(name) is null ? ErrorCode.UnknownTopicOrPartition : ErrorCode.InvalidTopicException) });
                continue;
            }

            if (room == 0)
            {
                response.NextCursor = new DescribeTopicPartitionsResponse.Cursor { TopicName = name, PartitionIndex = first };
                break;
            }

            var last = Math.Min(topic.Partitions.Length, first + room);
            topics.Add(Describe(context, image, topic, first, last));
            room -= Math.Max(last - first, 0);
            if (last < topic.Partitions.Length)
            {
                response.NextCursor = new DescribeTopicPartitionsResponse.Cursor { TopicName = name, PartitionIndex = last };
                break;
            }
        }

        response.Topics = [.. topics];
        return ValueTask.FromResult<DescribeTopicPartitionsResponse?>(response);
    }

    private static TopicResponse Describe(RequestContext context, MetadataImage image, TopicImage topic, int first, int last) => new()
    {
        Name = topic.Name,
        TopicId = topic.Id,
        IsInternal = TopicNames.IsInternal(topic.Name),
        TopicAuthorizedOperations = AuthorizedOperations.Topic,
        Partitions =
        [
            .. Enumerable.Range(first, Math.Max(last - first, 0)).Select(index =>
            {
                var partition = topic.Partitions[index];
                return new PartitionResponse
                {
                    ErrorCode = (short)ClusterView.ErrorOf(image, partition, context.Connection.ListenerName, knowsListenerNotFound: true),
                    PartitionIndex = index,
                    LeaderId = partition.Leader,
                    LeaderEpoch = partition.LeaderEpoch,
                    ReplicaNodes = [.. partition.Replicas],
                    IsrNodes = [.. partition.Isr],
                    EligibleLeaderReplicas = [.. partition.EligibleLeaderReplicas], // never null: admin clients do not expect it
                    LastKnownElr = [.. partition.LastKnownElr],
                    OfflineReplicas = ClusterView.OfflineReplicas(image, partition),
                };
            }),
        ],
    };
}
