using Ottla.Client.Admins;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    private const short LastOffsetsWithNames = 9; // of OffsetCommit and OffsetFetch; later versions name topics by id
    private const short FirstFetchWithGroups = 8;

    /// <inheritdoc/>
    public async Task<AdminResults<string, AdminResults<TopicPartition, CommitOffset?>>> ListConsumerGroupOffsetsAsync(
        IReadOnlyDictionary<string, IReadOnlyCollection<TopicPartition>?> groups, bool requireStable = false,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(groups);
        return Results(await Items.RunAsync(
            new ItemCall<string, AdminResults<TopicPartition, CommitOffset?>, OffsetFetchRequest, OffsetFetchResponse>
            {
                IsRetriable = error => AdminErrors.OfCoordinator(error) || error == ErrorCode.UnstableOffsetCommit,
                VersionMax = LastOffsetsWithNames,
                Request = (version, asked, _) => version >= FirstFetchWithGroups
                    ? new OffsetFetchRequest
                    {
                        Groups = [.. asked.Select(group => ToGroup(group, groups[group]))],
                        RequireStable = requireStable,
                    }
                    : ToOldFetch(asked, groups, requireStable),
                Read = ReadOffsets,
            },
            groups.Keys, new CoordinatorRoute(_client, CoordinatorType.Group), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<TopicPartition>> AlterConsumerGroupOffsetsAsync(
        string groupId, IReadOnlyCollection<PartitionOffset> offsets, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(groupId);
        ArgumentNullException.ThrowIfNull(offsets);
        var byPartition = offsets.ToDictionary(offset => offset.Partition, offset => offset.Offset);
        return Outcomes(await Items.RunAsync(
            new ItemCall<TopicPartition, Done, OffsetCommitRequest, OffsetCommitResponse>
            {
                IsRetriable = error => AdminErrors.OfCoordinator(error) || error == ErrorCode.RebalanceInProgress,
                VersionMax = LastOffsetsWithNames,
                Request = (_, asked, _) => new OffsetCommitRequest
                {
                    GroupId = groupId,
                    Topics = [.. ByTopic(asked).Select(topic => new OffsetCommitRequest.OffsetCommitRequestTopic
                    {
                        Name = topic.Key,
                        Partitions = [.. topic.Select(partition => new OffsetCommitRequest.OffsetCommitRequestPartition
                        {
                            PartitionIndex = partition.Partition,
                            CommittedOffset = byPartition[partition].Offset,
                            CommittedLeaderEpoch = byPartition[partition].LeaderEpoch,
                            CommittedMetadata = byPartition[partition].Metadata,
                        })],
                    })],
                },
                Read = (answer, answers) =>
                {
                    foreach (var topic in answer.Topics)
                    {
                        foreach (var each in topic.Partitions)
                            answers.Take(new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode, null, () => default);
                    }
                },
            },
            byPartition.Keys, new GroupRoute<TopicPartition>(_client, groupId), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<TopicPartition>> DeleteConsumerGroupOffsetsAsync(
        string groupId, IEnumerable<TopicPartition> partitions, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(groupId);
        ArgumentNullException.ThrowIfNull(partitions);
        return Outcomes(await Items.RunAsync(
            new ItemCall<TopicPartition, Done, OffsetDeleteRequest, OffsetDeleteResponse>
            {
                IsRetriable = AdminErrors.OfCoordinator,
                Request = (_, asked, _) => new OffsetDeleteRequest
                {
                    GroupId = groupId,
                    Topics = [.. ByTopic(asked).Select(topic => new OffsetDeleteRequest.OffsetDeleteRequestTopic
                    {
                        Name = topic.Key,
                        Partitions = [.. topic.Select(partition =>
                            new OffsetDeleteRequest.OffsetDeleteRequestPartition { PartitionIndex = partition.Partition })],
                    })],
                },
                Read = (answer, answers) =>
                {
                    if (answer.ErrorCode != 0)
                    {
                        answers.FailAll((ErrorCode)answer.ErrorCode);
                        return;
                    }

                    foreach (var topic in answer.Topics)
                    {
                        foreach (var each in topic.Partitions)
                            answers.Take(new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode, null, () => default);
                    }
                },
            },
            partitions, new GroupRoute<TopicPartition>(_client, groupId), cancellation));
    }

    private static IEnumerable<IGrouping<string, TopicPartition>> ByTopic(IEnumerable<TopicPartition> partitions) =>
        partitions.GroupBy(partition => partition.Topic);

    private static OffsetFetchRequest.OffsetFetchRequestGroup ToGroup(
        string groupId, IReadOnlyCollection<TopicPartition>? partitions) => new()
        {
            GroupId = groupId,
            Topics = partitions?.GroupBy(partition => partition.Topic).Select(topic => new OffsetFetchRequest.OffsetFetchRequestTopics
            {
                Name = topic.Key,
                PartitionIndexes = [.. topic.Select(partition => partition.Partition)],
            }).ToArray(),
        };

    private static OffsetFetchRequest ToOldFetch(
        IReadOnlyList<string> asked, IReadOnlyDictionary<string, IReadOnlyCollection<TopicPartition>?> groups, bool requireStable)
    {
        if (asked is not [var groupId])
            throw new UnsupportedVersionException("The cluster is too old for offsets of several groups at once: OffsetFetch 8 is needed.");
        return new OffsetFetchRequest
        {
            GroupId = groupId,
            Topics = groups[groupId]?.GroupBy(partition => partition.Topic).Select(topic => new OffsetFetchRequest.OffsetFetchRequestTopic
            {
                Name = topic.Key,
                PartitionIndexes = [.. topic.Select(partition => partition.Partition)],
            }).ToArray(),
            RequireStable = requireStable,
        };
    }

    private static void ReadOffsets(OffsetFetchResponse answer, ItemAnswers<string, AdminResults<TopicPartition, CommitOffset?>> answers)
    {
        foreach (var group in answer.Groups)
        {
            Take(answers, group.GroupId, group.ErrorCode, group.Topics.SelectMany(topic => topic.Partitions.Select(each => (
                new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode,
                new CommitOffset(each.CommittedOffset, each.CommittedLeaderEpoch, each.Metadata ?? "")))));
        }

        if (answer.Groups.Length > 0 || answers.Asked is not [var groupId])
            return;
        Take(answers, groupId, answer.ErrorCode, answer.Topics.SelectMany(topic => topic.Partitions.Select(each => (
            new TopicPartition(topic.Name, each.PartitionIndex), each.ErrorCode,
            new CommitOffset(each.CommittedOffset, each.CommittedLeaderEpoch, each.Metadata ?? "")))));
    }

    private static void Take(
        ItemAnswers<string, AdminResults<TopicPartition, CommitOffset?>> answers, string groupId, short error,
        IEnumerable<(TopicPartition Partition, short Error, CommitOffset Offset)> offsets)
    {
        var results = new Dictionary<TopicPartition, AdminResult<CommitOffset?>>();
        foreach (var each in offsets)
        {
            if (each.Error == (short)ErrorCode.UnstableOffsetCommit)
                error = each.Error; // of the whole group, which is asked again
            results[each.Partition] = each.Error != 0
                ? new AdminResult<CommitOffset?>((ErrorCode)each.Error, null)
                : new AdminResult<CommitOffset?>(each.Offset.Offset < 0 ? null : each.Offset);
        }

        answers.Take(groupId, error, null, () => Results(results));
    }
}
