using Ottla.Client.Admins;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    /// <summary>The most partitions of a page; the cluster may send fewer.</summary>
    private const int DescribePagePartitions = 2000;

    private const short FirstMetadataWithIds = 12;

    /// <inheritdoc/>
    public async Task<AdminResults<string, TopicDescription>> DescribeTopicsAsync(
        IEnumerable<string> topics, bool includeAuthorizedOperations = false, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(topics);
        string[] names = [.. topics.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (names.Length == 0)
            return Results<string, TopicDescription>([]); // no name at all would ask for every topic
        using var deadline = new CallDeadline(_client.Options.ApiTimeout, _client.Options.TimeProvider, cancellation);
        var results = new Dictionary<string, AdminResult<TopicDescription>>();
        try
        {
            await DescribePagesAsync(names, includeAuthorizedOperations, results, deadline.Token);
        }
        catch (KafkaException e) when (e.ErrorCode == ErrorCode.UnsupportedVersion)
        {
            return await DescribeByMetadataAsync(names, includeAuthorizedOperations, cancellation);
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            Fail(ErrorCode.RequestTimedOut, deadline.TimedOut("Describing topics", null, null).Message);
        }
        catch (KafkaException e)
        {
            Fail(e.ErrorCode, e.Message);
        }

        Fail(ErrorCode.UnknownServerError, "The answer does not name the topic");
        return Results(results);

        void Fail(ErrorCode error, string message)
        {
            foreach (var name in names.Where(name => !results.ContainsKey(name)))
                results[name] = new AdminResult<TopicDescription>(error, message);
        }
    }

    /// <inheritdoc/>
    public async Task<AdminResults<Uuid, TopicDescription>> DescribeTopicsAsync(
        IEnumerable<Uuid> topicIds, bool includeAuthorizedOperations = false, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(topicIds);
        return Results(await Items.RunAsync(
            new ItemCall<Uuid, TopicDescription, MetadataRequest, MetadataResponse>
            {
                IsRetriable = error => error == ErrorCode.LeaderNotAvailable,
                Request = (version, ids, _) => version >= FirstMetadataWithIds
                    ? new MetadataRequest
                    {
                        Topics = [.. ids.Select(id => new MetadataRequest.MetadataRequestTopic { TopicId = id, Name = null })],
                        AllowAutoTopicCreation = false,
                        IncludeTopicAuthorizedOperations = includeAuthorizedOperations,
                    }
                    : throw new UnsupportedVersionException("The cluster is too old to describe topics by id: Metadata 12 is needed."),
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Topics)
                        answers.Take(topic.TopicId, topic.ErrorCode, null, () => ToDescription(topic));
                },
            },
            topicIds, ToAnyNode<Uuid>(), cancellation));
    }

    private NodeRoute<TKey> ToAnyNode<TKey>() => new(_client, _ => null, othersToController: false);

    private async Task DescribePagesAsync(
        string[] names, bool includeAuthorizedOperations, Dictionary<string, AdminResult<TopicDescription>> results,
        CancellationToken cancellation)
    {
        DescribeTopicPartitionsResponse.Cursor? cursor = null;
        DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic? begun = null;
        var partitions = new List<PartitionDescription>();
        do
        {
            var from = cursor;
            var answer = await Calls.ToAnyNodeAsync<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(
                _ => new DescribeTopicPartitionsRequest
                {
                    Topics = [.. names.Where(name => from is null || string.CompareOrdinal(name, from.TopicName) >= 0)
                        .Select(name => new DescribeTopicPartitionsRequest.TopicRequest { Name = name })],
                    ResponsePartitionLimit = DescribePagePartitions,
                    Cursor = from is null ? null : new DescribeTopicPartitionsRequest.CursorData
                    {
                        TopicName = from.TopicName,
                        PartitionIndex = from.PartitionIndex,
                    },
                },
                _ => ApiError.None, AdminErrors.NoRetry, cancellation);
            foreach (var topic in answer.Topics.Where(topic => topic.Name is not null))
            {
                if (begun is not null && begun.Name != topic.Name)
                    End();
                begun = topic;
                partitions.AddRange(topic.Partitions.Select(ToDescription));
            }

            cursor = answer.NextCursor;
            if (cursor is not null && cursor.TopicName == from?.TopicName && cursor.PartitionIndex <= from.PartitionIndex)
                throw new KafkaException(ErrorCode.UnknownServerError, "The cluster answered with the same page twice");
        }
        while (cursor is not null);
        if (begun is not null)
            End();

        void End()
        {
            results[begun.Name!] = begun.ErrorCode != 0
                ? new AdminResult<TopicDescription>((ErrorCode)begun.ErrorCode, null)
                : new AdminResult<TopicDescription>(new TopicDescription(
                    begun.Name!, begun.TopicId, begun.IsInternal, [.. partitions.OrderBy(partition => partition.Index)],
                    includeAuthorizedOperations ? Operations(begun.TopicAuthorizedOperations) : null));
            partitions.Clear();
            begun = null;
        }
    }

    private async Task<AdminResults<string, TopicDescription>> DescribeByMetadataAsync(
        string[] names, bool includeAuthorizedOperations, CancellationToken cancellation) => Results(await Items.RunAsync(
            new ItemCall<string, TopicDescription, MetadataRequest, MetadataResponse>
            {
                IsRetriable = AdminErrors.Never,
                Request = (version, asked, _) => new MetadataRequest
                {
                    Topics = [.. asked.Select(name => new MetadataRequest.MetadataRequestTopic { Name = name })],
                    AllowAutoTopicCreation = false,
                    IncludeTopicAuthorizedOperations = includeAuthorizedOperations,
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Topics.Where(topic => topic.Name is not null))
                        answers.Take(topic.Name!, topic.ErrorCode, null, () => ToDescription(topic));
                },
            },
            names, ToAnyNode<string>(), cancellation));

    private static TopicDescription ToDescription(MetadataResponse.MetadataResponseTopic topic) => new(
        topic.Name ?? "", topic.TopicId, topic.IsInternal,
        [
            .. topic.Partitions.OrderBy(partition => partition.PartitionIndex).Select(partition => new PartitionDescription(
                partition.PartitionIndex, partition.LeaderId >= 0 ? partition.LeaderId : null, partition.LeaderEpoch,
                partition.ReplicaNodes, partition.IsrNodes, partition.OfflineReplicas, null, null)),
        ],
        Operations(topic.TopicAuthorizedOperations));

    private static PartitionDescription ToDescription(
        DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition partition) => new(
            partition.PartitionIndex, partition.LeaderId >= 0 ? partition.LeaderId : null, partition.LeaderEpoch, partition.ReplicaNodes,
            partition.IsrNodes, partition.OfflineReplicas, partition.EligibleLeaderReplicas, partition.LastKnownElr);
}
