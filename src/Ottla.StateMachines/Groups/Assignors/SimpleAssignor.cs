using System.Collections.Immutable;
using System.Numerics;
using Ottla.Kernel;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>
/// The assignor of share groups: as few members as possible share a partition, all members have nearly the same number, and as few
/// partitions as possible move.
/// </summary>
/// <remarks>
/// Makes the choices of Kafka's assignor of this name, which follow from the order of Java's hash maps: so a group that moves between
/// coordinators of both keeps its assignment. In one case it assigns more: where the members that have room all have a partition already,
/// Kafka's gives up on the partitions after it too.
/// </remarks>
public static class SimpleAssignor
{
    /// <summary>The name in descriptions.</summary>
    public const string Name = "simple";

    /// <summary>Assigns partitions; several members may get the same.</summary>
    /// <param name="problem">The problem, its members in the order of Java's hash map of their ids.</param>
    /// <param name="isAssignable">Whether a partition may be assigned.</param>
    /// <returns>The partitions of each member, in the order of the problem's members.</returns>
    public static ImmutableSortedSet<TopicIdPartition>[] Assign(AssignmentProblem problem, Func<TopicIdPartition, bool> isAssignable)
    {
        var assigned = new ImmutableSortedSet<TopicIdPartition>[problem.Members.Count];
        Array.Fill(assigned, []);
        if (problem.IsHomogeneous)
        {
            AssignTogether(problem, PartitionsOf(TopicsOf(problem)), JavaHashOrder.HashOf, _ => true, assigned);
            return assigned;
        }

        foreach (var topic in TopicsOf(problem))
        {
            AssignTogether(
                problem, PartitionsOf([topic]), partition => partition.Partition, member => member.SubscribedTopicIds.Contains(topic),
                assigned);
        }

        return assigned;

        List<TopicIdPartition> PartitionsOf(IEnumerable<Uuid> topics) =>
        [
            .. topics.SelectMany(
                topic => Enumerable.Range(0, problem.PartitionCount(topic)), (topic, index) => new TopicIdPartition(topic, index))
                .Where(isAssignable),
        ];
    }

    private static ImmutableSortedSet<Uuid> TopicsOf(AssignmentProblem problem) =>
        [.. problem.Members.SelectMany(member => member.SubscribedTopicIds)];

    private static void AssignTogether(
        AssignmentProblem problem, List<TopicIdPartition> partitions, Func<TopicIdPartition, int> hashOf,
        Func<AssignorMember, bool> takesPart, ImmutableSortedSet<TopicIdPartition>[] assigned)
    {
        int[] places = [.. Enumerable.Range(0, problem.Members.Count).Where(place => takesPart(problem.Members[place]))];
        var step = new Step([.. places.Select(place => problem.Members[place].Target)], partitions, hashOf);
        foreach (var (place, held) in places.Zip(step.Run()))
            assigned[place] = assigned[place].Union(held);
    }

    /// <summary>Assigns partitions to members that all subscribe to them. Members are numbers.</summary>
    private sealed class Step(
        IReadOnlyList<ImmutableSortedSet<TopicIdPartition>> before, List<TopicIdPartition> partitions, Func<TopicIdPartition, int> hashOf)
    {
        private readonly List<TopicIdPartition>[] _held = new List<TopicIdPartition>[before.Count];
        private readonly Dictionary<TopicIdPartition, List<int>> _holders = partitions.ToDictionary(each => each, _ => new List<int>());

        /// <summary>How many members a partition is for.</summary>
        private readonly int _sharing = partitions.Count == 0 ? 0 : (before.Count + partitions.Count - 1) / partitions.Count;

        /// <summary>The partitions in the order in which they are looked at.</summary>
        private IEnumerable<TopicIdPartition> InOrder => JavaHashOrder.Of(
            before.SelectMany(each => each).Where(_holders.ContainsKey).Concat(partitions), hashOf, CapacityOf(partitions.Count));

        public List<TopicIdPartition>[] Run()
        {
            TakeOver();
            Relieve();
            foreach (var partition in InOrder)
                Unshare(partition);
            Fill();
            return _held;
        }

        /// <summary>How many partitions a member is to have. Kafka computes with the same rounding.</summary>
        private int WantedOf(int member)
        {
            var each = _sharing * partitions.Count / (double)before.Count;
            return (int)Math.Ceiling(each * (member + 1)) - (int)Math.Ceiling(each * member);
        }

        private void TakeOver()
        {
            for (var member = 0; member < before.Count; member++)
            {
                _held[member] = [.. before[member].Where(_holders.ContainsKey)];
                foreach (var partition in _held[member])
                    _holders[partition].Add(member);
            }
        }

        /// <summary>Members give up what they have too much.</summary>
        private void Relieve()
        {
            for (var member = 0; member < before.Count; member++)
            {
                var surplus = _held[member].Count - WantedOf(member);
                foreach (var partition in JavaHashOrder.Of(_held[member], hashOf).Take(Math.Max(surplus, 0)).ToArray())
                    Take(partition, member);
            }
        }

        /// <summary>Members give up a partition that too many have.</summary>
        private void Unshare(TopicIdPartition partition)
        {
            var surplus = _holders[partition].Count - _sharing;
            foreach (var member in JavaHashOrder.Of(_holders[partition], member => member).Take(Math.Max(surplus, 0)).ToArray())
                Take(partition, member);
        }

        private void Take(TopicIdPartition partition, int member)
        {
            _holders[partition].Remove(member);
            _held[member].Remove(partition);
        }

        /// <summary>Gives partitions that too few have to members that have too few, who take turns.</summary>
        private void Fill()
        {
            var unfilled = new LinkedList<int>(Enumerable.Range(0, before.Count).Where(member => _held[member].Count < WantedOf(member)));
            var next = unfilled.First;
            foreach (var partition in InOrder)
            {
                for (var refused = 0; _holders[partition].Count < _sharing && refused < unfilled.Count;)
                {
                    next ??= unfilled.First;
                    var (node, member) = (next!, next!.Value);
                    next = node.Next;
                    if (_holders[partition].Contains(member))
                    {
                        refused++;
                        continue;
                    }

                    refused = 0;
                    _holders[partition].Add(member);
                    _held[member].Add(partition);
                    if (_held[member].Count >= WantedOf(member))
                        unfilled.Remove(node);
                }
            }
        }

        /// <summary>The capacity that Kafka makes a map with, for a number of keys.</summary>
        private static int CapacityOf(int count) => (int)BitOperations.RoundUpToPowerOf2((uint)(((count + 1) / 0.75f) + 1));
    }
}
