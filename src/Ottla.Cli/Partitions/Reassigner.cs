using System.Collections.Immutable;
using System.Globalization;
using Ottla.Cli.Admin;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Cli.Partitions;

/// <summary>Begins and cancels reassignments, and elects preferred leaders. Used by one command.</summary>
internal sealed class Reassigner(AdminConnection connection)
{
    /// <summary>The controller writes up to two records for a partition, and refuses requests with more than 10,000.</summary>
    private const int PartitionsPerRequest = 1000;

    /// <summary>Begins the reassignment of partitions, or cancels it where the replicas are null.</summary>
    /// <returns>What was refused, and why.</returns>
    public async Task<IReadOnlyDictionary<TopicPartition, string>> AlterAsync(
        IEnumerable<(TopicPartition Partition, ImmutableArray<int>? Replicas)> partitions)
    {
        var refused = new Dictionary<TopicPartition, string>();
        foreach (var some in partitions.Chunk(PartitionsPerRequest))
        {
            var answer = await connection.SendAsync<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>(
                timeout => Request(some, timeout), answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
            foreach (var topic in answer.Responses)
            {
                foreach (var partition in topic.Partitions.Where(partition => partition.ErrorCode != (short)ErrorCode.None))
                {
                    refused[new TopicPartition(topic.Name, partition.PartitionIndex)] =
                        new AdminException((ErrorCode)partition.ErrorCode, partition.ErrorMessage).Message;
                }
            }
        }

        return refused;
    }

    /// <summary>Has preferred replicas lead.</summary>
    /// <returns>Those whose preferred replica cannot lead, and why.</returns>
    public async Task<IReadOnlyDictionary<TopicPartition, string>> ElectPreferredAsync(IEnumerable<TopicPartition> partitions)
    {
        var refused = new Dictionary<TopicPartition, string>();
        foreach (var some in partitions.Chunk(PartitionsPerRequest))
        {
            var answer = await connection.SendAsync<ElectLeadersRequest, ElectLeadersResponse>(
                timeout => new ElectLeadersRequest
                {
                    ElectionType = 0,
                    TimeoutMs = (int)timeout.TotalMilliseconds,
                    TopicPartitions =
                    [
                        .. some.GroupBy(partition => partition.Topic).Select(topic => new ElectLeadersRequest.TopicPartitionsData
                        {
                            Topic = topic.Key, Partitions = [.. topic.Select(partition => partition.Partition)],
                        }),
                    ],
                },
                answer => ((ErrorCode)answer.ErrorCode, null));
            foreach (var topic in answer.ReplicaElectionResults)
            {
                foreach (var partition in topic.PartitionResult)
                {
                    if ((ErrorCode)partition.ErrorCode is not (ErrorCode.None or ErrorCode.ElectionNotNeeded))
                    {
                        refused[new TopicPartition(topic.Topic, partition.PartitionId)] =
                            new AdminException((ErrorCode)partition.ErrorCode, partition.ErrorMessage).Message;
                    }
                }
            }
        }

        return refused;
    }

    /// <summary>Names some partitions, and counts the rest.</summary>
    public static string Names(IReadOnlyCollection<TopicPartition> partitions)
    {
        const int NamesMax = 10;
        var names = string.Join(", ", partitions.Take(NamesMax));
        return partitions.Count > NamesMax
            ? string.Create(CultureInfo.InvariantCulture, $"{names} and {partitions.Count - NamesMax} more")
            : names;
    }

    private static AlterPartitionReassignmentsRequest Request(
        IEnumerable<(TopicPartition Partition, ImmutableArray<int>? Replicas)> partitions, TimeSpan timeout) => new()
        {
            TimeoutMs = (int)timeout.TotalMilliseconds,
            Topics =
            [
                .. partitions.GroupBy(each => each.Partition.Topic).Select(topic => new AlterPartitionReassignmentsRequest.ReassignableTopic
                {
                    Name = topic.Key,
                    Partitions =
                    [
                        .. topic.Select(each => new AlterPartitionReassignmentsRequest.ReassignablePartition
                        {
                            PartitionIndex = each.Partition.Partition,
                            Replicas = each.Replicas is { } replicas ? [.. replicas] : null,
                        }),
                    ],
                }),
            ],
        };
}
