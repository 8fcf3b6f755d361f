using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using PartitionResponse = Ottla.Protocol.Messages.DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition;
using TopicResponse = Ottla.Protocol.Messages.DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic;

namespace Ottla.Broker.Api;

/// <summary>
/// DescribeTopicPartitions (key 75), version 0: topics in order of their names, page by page, with their eligible leader replicas
/// (KIP-966).
/// </summary>
/// <remarks>
/// No topics named: all. A page has at most response_partition_limit partitions, and never more than max.request.partition.size.limit; the
/// cursor says where the next begins. Errors: INVALID_REQUEST for all topics when the cursor points at a topic that is not asked for, or
/// before partition 0; per topic TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION. Partitions have no
/// errors: without a leader that the client reaches, the leader is -1.
/// </remarks>
internal sealed class DescribeTopicPartitionsHandler(ClusterView cluster, Func<BrokerConfig> config, Authorizer authorizer)
    : IApiHandler<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>
{
    /// <inheritdoc/>
    /// <remarks>Each page of all topics sorts the names of all topics.</remarks>
    public int EstimateMicroseconds(RequestContext context, DescribeTopicPartitionsRequest request) =>
        Math.Min(config().MaxRequestPartitionSizeLimit, request.ResponsePartitionLimit)
            + (request.Topics.Length > 0 ? request.Topics.Length : cluster.Image.Topics.ById.Count);

    public ValueTask<DescribeTopicPartitionsResponse?> HandleAsync(RequestContext context, DescribeTopicPartitionsRequest request)
    {
        var isAll = request.Topics.Length == 0;
        if (request.Cursor is { } cursor && (cursor.PartitionIndex < 0
            || (!isAll && request.Topics.All(topic => topic.Name != cursor.TopicName))))
        {
            return ValueTask.FromResult<DescribeTopicPartitionsResponse?>(
                new DescribeTopicPartitionsResponse
                {
                    Topics = [.. request.Topics.Select(topic =>
                    Failed(topic.Name, ErrorCode.InvalidRequest))]
                });
        }

        var image = cluster.Image;
        var names = (isAll ? image.Topics.ByName.Keys : request.Topics.Select(topic => topic.Name).Distinct())
            .Where(name => request.Cursor is null || string.CompareOrdinal(name, request.Cursor.TopicName) >= 0)
            .Order(StringComparer.Ordinal).ToList();
        var unseen = authorizer.IsEnabled ? names.Where(name => !MayDescribe(context, name, isAll)).ToHashSet(StringComparer.Ordinal) : [];
        names.RemoveAll(unseen.Contains);
        var room = Math.Max(Math.Min(config().MaxRequestPartitionSizeLimit, request.ResponsePartitionLimit), 1);
        var page = Page(context, image, names, request.Cursor, room);
        if (!isAll && unseen.Count > 0)
            page.Topics = [.. page.Topics, .. unseen.Select(Unseen)];
        return ValueTask.FromResult<DescribeTopicPartitionsResponse?>(page);
    }

    private bool MayDescribe(in RequestContext context, string name, bool isAll) => isAll
        ? authorizer.Sees(context, AclOperation.Describe, ResourceType.Topic, name)
        : authorizer.Allows(context, AclOperation.Describe, ResourceType.Topic, name);

    /// <summary>A topic that the client may not see: whether it exists is not told.</summary>
    private static TopicResponse Unseen(string name) => new() { Name = name, ErrorCode = (short)ErrorCode.TopicAuthorizationFailed };

    private DescribeTopicPartitionsResponse Page(
        RequestContext context, MetadataImage image, IEnumerable<string> names, DescribeTopicPartitionsRequest.CursorData? cursor, int room)
    {
        var response = new DescribeTopicPartitionsResponse();
        var topics = new List<TopicResponse>();
        foreach (var name in names)
        {
            if (room == 0)
            {
                response.NextCursor = new DescribeTopicPartitionsResponse.Cursor { TopicName = name, PartitionIndex = 0 };
                break;
            }

            if (image.Topics.Find(name) is not { } topic)
            {
                var missing = Failed(
                    name, TopicNames.ReasonInvalid(name) is null ? ErrorCode.UnknownTopicOrPartition : ErrorCode.InvalidTopicException);
                missing.TopicAuthorizedOperations = OperationsOn(context, name);
                topics.Add(missing);
                continue;
            }

            var count = topic.Partitions.Length;
            var first = cursor?.TopicName == name ? Math.Min(cursor.PartitionIndex, count) : 0;
            var last = first + Math.Min(room, count - first);
            topics.Add(Describe(context, image, topic, first, last));
            room -= last - first;
            if (last < count)
            {
                response.NextCursor = new DescribeTopicPartitionsResponse.Cursor { TopicName = name, PartitionIndex = last };
                break;
            }
        }

        response.Topics = [.. topics];
        return response;
    }

    private int OperationsOn(in RequestContext context, string name) =>
        authorizer.Operations(context, ResourceType.Topic, name, AuthorizedOperations.Topic);

    private static TopicResponse Failed(string name, ErrorCode error) =>
        new()
        {
            Name = name,
            ErrorCode = (short)error,
            IsInternal = TopicNames.IsInternal(name),
            TopicAuthorizedOperations = AuthorizedOperations.Topic
        };

    private TopicResponse Describe(RequestContext context, MetadataImage image, TopicImage topic, int first, int last) => new()
    {
        Name = topic.Name,
        TopicId = topic.Id,
        IsInternal = TopicNames.IsInternal(topic.Name),
        TopicAuthorizedOperations = OperationsOn(context, topic.Name),
        Partitions =
        [
            .. Enumerable.Range(first, last - first).Select(index =>
            {
                var partition = topic.Partitions[index];
                return new PartitionResponse
                {
                    PartitionIndex = index,
                    LeaderId = ClusterView.LeaderOf(image, partition, context.Connection.ListenerName),
                    LeaderEpoch = partition.LeaderEpoch,
                    ReplicaNodes = [.. partition.Replicas],
                    IsrNodes = [.. partition.Isr],
                    EligibleLeaderReplicas = [.. partition.EligibleLeaderReplicas], // never null: admin clients do not expect it
                    LastKnownElr = [.. partition.LastKnownElr],
                    OfflineReplicas = ClusterView.OfflineReplicas(image, partition, context.Connection.ListenerName),
                };
            }),
        ],
    };
}
