using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>Assigns each subscriber of a topic a range of its partitions. The members have the same order for all topics.</summary>
/// <remarks>
/// So topics with the same subscribers and the same number of partitions are co-partitioned: a member gets the same partitions of each.
/// Static members come first, ordered by instance id, and keep their ranges over a restart.
/// </remarks>
public sealed class RangeAssignor : IPartitionAssignor
{
    /// <inheritdoc/>
    public string Name => "range";

    /// <inheritdoc/>
    public ImmutableSortedSet<TopicIdPartition>[] Assign(AssignmentProblem problem)
    {
        var subscribers = problem.Members.SelectMany(member => member.SubscribedTopicIds).CountBy(topic => topic).ToDictionary();
        var assigned = problem.Members.Select(_ => ImmutableSortedSet.CreateBuilder<TopicIdPartition>()).ToArray();
        var nextRanks = new Dictionary<Uuid, int>();
        foreach (var index in InOrder(problem.Members))
        {
            foreach (var topic in problem.Members[index].SubscribedTopicIds)
            {
                var rank = nextRanks.GetValueOrDefault(topic);
                nextRanks[topic] = rank + 1;
                var (quota, extra) = Math.DivRem(problem.PartitionCount(topic), subscribers[topic]);
                var first = (rank * quota) + Math.Min(rank, extra);
                for (var partition = first; partition < first + quota + (rank < extra ? 1 : 0); partition++)
                    assigned[index].Add(new TopicIdPartition(topic, partition));
            }
        }

        return [.. assigned.Select(partitions => partitions.ToImmutable())];
    }

    private static IEnumerable<int> InOrder(IReadOnlyList<AssignorMember> members) =>
        Enumerable.Range(0, members.Count)
            .OrderBy(index => members[index].InstanceId is null)
            .ThenBy(index => members[index].InstanceId ?? members[index].MemberId, StringComparer.Ordinal);
}
