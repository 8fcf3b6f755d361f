using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>A uniform assignment to members with different subscriptions. Lives for one assignment.</summary>
/// <remarks>
/// Free partitions go to the subscriber with the fewest. Then partitions move, topic by topic, from subscribers with many to those with
/// few, until no topic can be balanced further. Chains of overlapping subscriptions could take long, so the number of rounds is bounded.
/// </remarks>
internal sealed class UniformHeterogeneousAssignment
{
    private const int RoundsMax = 16;
    private const int NoOwner = -1;

    private readonly AssignmentProblem _problem;
    private readonly SortedDictionary<Uuid, Topic> _topics = [];

    /// <summary>The number of partitions of each member.</summary>
    private readonly int[] _loads;

    public UniformHeterogeneousAssignment(AssignmentProblem problem)
    {
        _problem = problem;
        _loads = new int[problem.Members.Count];
        for (var member = 0; member < problem.Members.Count; member++)
        {
            foreach (var id in problem.Members[member].SubscribedTopicIds)
            {
                if (!_topics.TryGetValue(id, out var topic))
                    _topics.Add(id, topic = new Topic(problem.PartitionCount(id)));
                topic.Subscribers.Add(member);
            }
        }
    }

    public ImmutableSortedSet<TopicIdPartition>[] Assign()
    {
        KeepTargets();

        // Topics whose subscribers have the least choice come first.
        Topic[] topics = [.. _topics.Values
            .OrderByDescending(topic => (double)topic.Owners.Length / topic.Subscribers.Count)
            .ThenBy(topic => topic.Subscribers.Count)];
        foreach (var topic in topics)
            AssignFree(topic);
        for (var (round, anyMoved) = (0, true); anyMoved && round < RoundsMax; round++)
        {
            anyMoved = false;
            foreach (var topic in topics)
                anyMoved |= Balance(topic);
        }

        return Result();
    }

    private void KeepTargets()
    {
        for (var member = 0; member < _problem.Members.Count; member++)
        {
            foreach (var (id, partition) in _problem.Members[member].Target)
            {
                if (_problem.Members[member].SubscribedTopicIds.Contains(id) && partition < _topics[id].Owners.Length
                    && _topics[id].Owners[partition] == NoOwner)
                    Give(_topics[id], partition, member);
            }
        }
    }

    private void AssignFree(Topic topic)
    {
        var takers = ByLoad(topic.Subscribers);
        for (var partition = 0; partition < topic.Owners.Length; partition++)
        {
            if (topic.Owners[partition] == NoOwner)
                Move(topic, partition, takers.Min.Member, takers);
        }
    }

    /// <summary>
    /// Moves partitions of a topic until its subscribers differ by at most one, or those with more have none of this topic. Returns whether
    /// any moved.
    /// </summary>
    private bool Balance(Topic topic)
    {
        var takers = ByLoad(topic.Subscribers);
        var owned = new Dictionary<int, Stack<int>>();
        for (var partition = 0; partition < topic.Owners.Length; partition++)
        {
            if (!owned.TryGetValue(topic.Owners[partition], out var partitions))
                owned.Add(topic.Owners[partition], partitions = []);
            partitions.Push(partition);
        }

        var givers = ByLoad(owned.Keys);
        var anyMoved = false;
        while (givers.Count > 0 && givers.Max.Load - takers.Min.Load > 1)
        {
            var (giver, taker) = (givers.Max.Member, takers.Min.Member);
            if (!owned[giver].TryPop(out var partition))
            {
                givers.Remove(givers.Max);
                continue;
            }

            Move(topic, partition, taker, takers, givers);
            anyMoved = true;
        }

        return anyMoved;
    }

    private SortedSet<(int Load, int Member)> ByLoad(IEnumerable<int> members) => new(members.Select(member => (_loads[member], member)));

    /// <summary>Moves a partition to another member and updates the orders by load.</summary>
    private void Move(Topic topic, int partition, int to, params ReadOnlySpan<SortedSet<(int Load, int Member)>> orders)
    {
        var from = topic.Owners[partition];
        foreach (var order in orders)
        {
            Reorder(order, to, _loads[to] + 1);
            if (from != NoOwner)
                Reorder(order, from, _loads[from] - 1);
        }

        if (from != NoOwner)
            _loads[from]--;
        Give(topic, partition, to);
    }

    private void Reorder(SortedSet<(int Load, int Member)> order, int member, int load)
    {
        if (order.Remove((_loads[member], member)))
            order.Add((load, member));
    }

    private void Give(Topic topic, int partition, int member)
    {
        topic.Owners[partition] = member;
        _loads[member]++;
    }

    private ImmutableSortedSet<TopicIdPartition>[] Result()
    {
        var assigned = _problem.Members.Select(_ => ImmutableSortedSet.CreateBuilder<TopicIdPartition>()).ToArray();
        foreach (var (id, topic) in _topics)
        {
            for (var partition = 0; partition < topic.Owners.Length; partition++)
                assigned[topic.Owners[partition]].Add(new TopicIdPartition(id, partition));
        }

        return [.. assigned.Select(partitions => partitions.ToImmutable())];
    }

    /// <summary>A topic with its subscribers and the owners of its partitions.</summary>
    private sealed class Topic
    {
        public Topic(int partitions)
        {
            Owners = new int[partitions];
            Array.Fill(Owners, NoOwner);
        }

        public List<int> Subscribers { get; } = [];

        public int[] Owners { get; }
    }
}
