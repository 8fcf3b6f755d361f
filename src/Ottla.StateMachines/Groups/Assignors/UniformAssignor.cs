using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>
/// Assigns every member the same number of partitions where possible, and lets members keep the partitions that they have.
/// </summary>
public sealed class UniformAssignor : IPartitionAssignor
{
    /// <inheritdoc/>
    public string Name => "uniform";

    /// <inheritdoc/>
    public ImmutableSortedSet<TopicIdPartition>[] Assign(AssignmentProblem problem)
    {
        if (problem.Members.Count == 0)
            return [];
        return problem.IsHomogeneous ? AssignHomogeneous(problem) : new UniformHeterogeneousAssignment(problem).Assign();
    }

    /// <summary>
    /// All members subscribe to the same topics: their numbers of partitions differ by at most one, and as few partitions as possible move.
    /// </summary>
    private static ImmutableSortedSet<TopicIdPartition>[] AssignHomogeneous(AssignmentProblem problem)
    {
        var unassigned = new SortedSet<TopicIdPartition>(
            problem.Members[0].SubscribedTopicIds.SelectMany(
                topic => Enumerable.Range(0, problem.PartitionCount(topic)), (topic, partition) => new TopicIdPartition(topic, partition)));
        var (quota, extras) = Math.DivRem(unassigned.Count, problem.Members.Count);
        var assigned = problem.Members.Select(member => member.Target.Where(unassigned.Remove).ToList()).ToArray();

        // A member that already has more than the others gets one of the extra partitions.
        var quotas = new int[assigned.Length];
        foreach (var index in Enumerable.Range(0, assigned.Length).OrderByDescending(index => assigned[index].Count > quota))
            quotas[index] = quota + (extras-- > 0 ? 1 : 0);
        for (var i = 0; i < assigned.Length; i++)
        {
            if (assigned[i].Count <= quotas[i])
                continue;
            unassigned.UnionWith(assigned[i][quotas[i]..]);
            assigned[i].RemoveRange(quotas[i], assigned[i].Count - quotas[i]);
        }

        using var free = unassigned.GetEnumerator();
        for (var i = 0; i < assigned.Length; i++)
        {
            while (assigned[i].Count < quotas[i] && free.MoveNext())
                assigned[i].Add(free.Current);
        }

        return [.. assigned.Select(partitions => partitions.ToImmutableSortedSet())];
    }
}
