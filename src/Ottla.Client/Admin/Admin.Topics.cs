using Ottla.Client.Admins;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    /// <inheritdoc/>
    public async Task<AdminResults<string, CreatedTopic>> CreateTopicsAsync(
        IEnumerable<NewTopic> topics, bool validateOnly = false, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(topics);
        var byName = topics.ToDictionary(topic => topic.Name, StringComparer.Ordinal);
        if (byName.Values.FirstOrDefault(topic =>
            topic.ReplicaAssignments is not null && (topic.Partitions is not null || topic.ReplicationFactor is not null)) is { } both)
        {
            throw new ArgumentException(
                $"Topic {both.Name}: {nameof(NewTopic.ReplicaAssignments)} say how many partitions and replicas there are.",
                nameof(topics));
        }

        return Results(await Items.RunAsync(
            new ItemCall<string, CreatedTopic, CreateTopicsRequest, CreateTopicsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, names, left) => new CreateTopicsRequest
                {
                    Topics = [.. names.Select(name => ToRequest(byName[name]))],
                    TimeoutMs = Milliseconds(left),
                    ValidateOnly = validateOnly,
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Topics)
                        answers.Take(topic.Name, topic.ErrorCode, topic.ErrorMessage, () => ToCreated(topic));
                },
            },
            byName.Keys, ToController<string>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string>> DeleteTopicsAsync(IEnumerable<string> topics, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(topics);
        return Outcomes(await Items.RunAsync(
            new ItemCall<string, Done, DeleteTopicsRequest, DeleteTopicsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (version, names, left) => new DeleteTopicsRequest
                {
                    Topics = version >= FirstDeleteWithIds
                        ? [.. names.Select(name => new DeleteTopicsRequest.DeleteTopicState { Name = name })] : [],
                    TopicNames = version >= FirstDeleteWithIds ? [] : [.. names],
                    TimeoutMs = Milliseconds(left),
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Responses.Where(topic => topic.Name is not null))
                        answers.Take(topic.Name!, topic.ErrorCode, topic.ErrorMessage, () => default);
                },
            },
            topics, ToController<string>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<Uuid>> DeleteTopicsAsync(IEnumerable<Uuid> topicIds, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(topicIds);
        return Outcomes(await Items.RunAsync(
            new ItemCall<Uuid, Done, DeleteTopicsRequest, DeleteTopicsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (version, ids, left) => version >= FirstDeleteWithIds
                    ? new DeleteTopicsRequest
                    {
                        Topics = [.. ids.Select(id => new DeleteTopicsRequest.DeleteTopicState { TopicId = id })],
                        TimeoutMs = Milliseconds(left),
                    }
                    : throw new UnsupportedVersionException("The cluster is too old to delete topics by id: DeleteTopics 6 is needed."),
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Responses)
                        answers.Take(topic.TopicId, topic.ErrorCode, topic.ErrorMessage, () => default);
                },
            },
            topicIds, ToController<Uuid>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ListedTopic>> ListTopicsAsync(bool includeInternal = false, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<MetadataRequest, MetadataResponse>(
            _ => new MetadataRequest { Topics = null, AllowAutoTopicCreation = false }, answer => ErrorOf(answer.ErrorCode),
            AdminErrors.NoRetry, cancellation);
        return
        [
            .. answer.Topics.Where(topic => topic.Name is not null && (includeInternal || !topic.IsInternal))
                .OrderBy(topic => topic.Name, StringComparer.Ordinal)
                .Select(topic => new ListedTopic(topic.Name!, topic.TopicId, topic.IsInternal)),
        ];
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string>> CreatePartitionsAsync(
        IReadOnlyDictionary<string, NewPartitions> partitions, bool validateOnly = false, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(partitions);
        return Outcomes(await Items.RunAsync(
            new ItemCall<string, Done, CreatePartitionsRequest, CreatePartitionsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, names, left) => new CreatePartitionsRequest
                {
                    Topics = [.. names.Select(name => new CreatePartitionsRequest.CreatePartitionsTopic
                    {
                        Name = name,
                        Count = partitions[name].TotalCount,
                        Assignments = partitions[name].Assignments?
                            .Select(brokers => new CreatePartitionsRequest.CreatePartitionsAssignment { BrokerIds = [.. brokers] })
                            .ToArray(),
                    })],
                    TimeoutMs = Milliseconds(left),
                    ValidateOnly = validateOnly,
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Results)
                        answers.Take(topic.Name, topic.ErrorCode, topic.ErrorMessage, () => default);
                },
            },
            partitions.Keys, ToController<string>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<TopicPartition, long>> DeleteRecordsAsync(
        IReadOnlyDictionary<TopicPartition, long> offsets, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(offsets);
        return Results(await Items.RunAsync(
            new ItemCall<TopicPartition, long, DeleteRecordsRequest, DeleteRecordsResponse>
            {
                IsRetriable = ErrorKinds.IsRetriable,
                Request = (_, asked, left) => new DeleteRecordsRequest
                {
                    Topics = [.. asked.GroupBy(partition => partition.Topic).Select(topic => new DeleteRecordsRequest.DeleteRecordsTopic
                    {
                        Name = topic.Key,
                        Partitions = [.. topic.Select(partition => new DeleteRecordsRequest.DeleteRecordsPartition
                        {
                            PartitionIndex = partition.Partition,
                            Offset = offsets[partition],
                        })],
                    })],
                    TimeoutMs = Milliseconds(left),
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Topics)
                    {
                        foreach (var each in topic.Partitions)
                        {
                            answers.Take(
                                new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode, null, () => each.LowWatermark);
                        }
                    }
                },
            },
            offsets.Keys, new LeaderRoute(_client, offsets.Keys), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<TopicPartition, TimestampedOffset>> ListOffsetsAsync(
        IReadOnlyDictionary<TopicPartition, OffsetSpec> offsets, IsolationLevel isolation = IsolationLevel.ReadUncommitted,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(offsets);
        return Results(await Items.RunAsync(
            new ItemCall<TopicPartition, TimestampedOffset, ListOffsetsRequest, ListOffsetsResponse>
            {
                IsRetriable = ErrorKinds.IsRetriable,
                Request = (version, asked, left) => ToListOffsets(version, asked, offsets, isolation, left),
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Topics)
                    {
                        foreach (var each in topic.Partitions)
                        {
                            answers.Take(
                                new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode, null,
                                () => new TimestampedOffset(each.Offset, each.Timestamp, each.LeaderEpoch));
                        }
                    }
                },
            },
            offsets.Keys, new LeaderRoute(_client, offsets.Keys), cancellation));
    }

    private static ListOffsetsRequest ToListOffsets(
        short version, IReadOnlyList<TopicPartition> asked, IReadOnlyDictionary<TopicPartition, OffsetSpec> offsets,
        IsolationLevel isolation, TimeSpan left)
    {
        // The marks came one by one: maximum timestamp (7), local log (8), tiered (9), pending upload (11).
        var lowest = version switch { >= 11 => -6, >= 9 => -5, >= 8 => -4, >= 7 => -3, _ => -2 };
        foreach (var partition in asked)
        {
            if (offsets[partition].Timestamp < lowest)
                throw new UnsupportedVersionException($"The leader of {partition} is too old to look up such an offset.");
        }

        return new ListOffsetsRequest
        {
            ReplicaId = -1,
            IsolationLevel = (sbyte)isolation,
            TimeoutMs = Milliseconds(left),
            Topics = [.. asked.GroupBy(partition => partition.Topic).Select(topic => new ListOffsetsRequest.ListOffsetsTopic
            {
                Name = topic.Key,
                Partitions = [.. topic.Select(partition => new ListOffsetsRequest.ListOffsetsPartition
                {
                    PartitionIndex = partition.Partition,
                    Timestamp = offsets[partition].Timestamp,
                })],
            })],
        };
    }

    private static CreateTopicsRequest.CreatableTopic ToRequest(NewTopic topic) => new()
    {
        Name = topic.Name,
        NumPartitions = topic.Partitions ?? -1,
        ReplicationFactor = topic.ReplicationFactor ?? -1,
        Assignments = topic.ReplicaAssignments is null ? [] : [.. topic.ReplicaAssignments.Select(assignment =>
            new CreateTopicsRequest.CreatableReplicaAssignment { PartitionIndex = assignment.Key, BrokerIds = [.. assignment.Value] })],
        Configs = [.. topic.Configs.Select(config =>
            new CreateTopicsRequest.CreatableTopicConfig { Name = config.Key, Value = config.Value })],
    };

    private static CreatedTopic ToCreated(CreateTopicsResponse.CreatableTopicResult topic) => new(
        topic.TopicId, topic.NumPartitions >= 0 ? topic.NumPartitions : null,
        topic.ReplicationFactor >= 0 ? topic.ReplicationFactor : null,
        topic.TopicConfigErrorCode != 0 ? null : topic.Configs?.Select(config => new ConfigEntry(
            config.Name, config.Value, (ConfigSource)config.ConfigSource, ConfigType.Unknown, config.IsSensitive, config.ReadOnly, [],
            null)).ToList());

    private const short FirstDeleteWithIds = 6;
}
