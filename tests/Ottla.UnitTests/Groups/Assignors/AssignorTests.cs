using System.Collections.Immutable;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Groups.Assignors;

namespace Ottla.UnitTests.Groups.Assignors;

/// <summary>What must be true of every assignment, over random groups that change step by step.</summary>
public sealed class AssignorTests
{
    private static readonly UniformAssignor Uniform = new();
    private static readonly RangeAssignor Range = new();

    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 40).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Uniform_over_the_same_topics_is_complete_balanced_sticky_and_deterministic(ulong seed)
    {
        var group = new RandomGroup(seed, isHomogeneous: true);
        for (var step = 0; step < 30; step++)
        {
            group.Change();
            var problem = group.Problem();
            var assigned = Uniform.Assign(problem);

            AssertComplete(problem, assigned, $"seed {seed}, step {step}");
            Assert.InRange(assigned.Max(partitions => partitions.Count) - assigned.Min(partitions => partitions.Count), 0, 1);
            Assert.Equal(LeastMoves(problem), Moves(problem, assigned));
            Assert.Equal(assigned.Select(Text), Uniform.Assign(problem).Select(Text));
            group.Take(assigned);
            Assert.Equal(0, Moves(group.Problem(), Uniform.Assign(group.Problem())));
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Uniform_over_different_topics_is_complete_balanced_within_each_topic_and_settles(ulong seed)
    {
        var group = new RandomGroup(seed, isHomogeneous: false);
        for (var step = 0; step < 30; step++)
        {
            group.Change();
            var problem = group.Problem();
            var assigned = Uniform.Assign(problem);

            AssertComplete(problem, assigned, $"seed {seed}, step {step}");
            AssertNoTopicCanBeBalancedFurther(problem, assigned, $"seed {seed}, step {step}");
            Assert.Equal(assigned.Select(Text), Uniform.Assign(problem).Select(Text));
            group.Take(assigned);
            Assert.Equal(0, Moves(group.Problem(), Uniform.Assign(group.Problem())));
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Range_is_complete_contiguous_and_balanced_within_each_topic(ulong seed)
    {
        var group = new RandomGroup(seed, isHomogeneous: seed % 2 == 0);
        for (var step = 0; step < 30; step++)
        {
            group.Change();
            var problem = group.Problem();
            var assigned = Range.Assign(problem);

            AssertComplete(problem, assigned, $"seed {seed}, step {step}");
            foreach (var topic in problem.Members.SelectMany(member => member.SubscribedTopicIds).Distinct())
            {
                var counts = new List<int>();
                for (var i = 0; i < assigned.Length; i++)
                {
                    if (!problem.Members[i].SubscribedTopicIds.Contains(topic))
                        continue;
                    int[] partitions = [.. assigned[i].Where(p => p.TopicId == topic).Select(p => p.Partition)];
                    Assert.True(
                        partitions.Length == 0 || partitions[^1] - partitions[0] == partitions.Length - 1, $"seed {seed}: no range");
                    counts.Add(partitions.Length);
                }

                Assert.InRange(counts.Max() - counts.Min(), 0, 1);
            }
        }
    }

    [Fact]
    public void Range_gives_the_same_partitions_of_topics_with_as_many_and_prefers_static_members_by_instance_id()
    {
        var topics = ImmutableSortedSet.Create(new Uuid(1, 1), new Uuid(1, 2));
        AssignorMember[] members =
        [
            new("a", null, null, topics, []),
            new("b", "instance-2", null, topics, []),
            new("c", "instance-1", null, topics, []),
        ];
        var assigned = Range.Assign(new AssignmentProblem(members, true, _ => 4));
        Assert.Equal([0, 1, 0, 1], assigned[2].Select(p => p.Partition));
        Assert.Equal([2, 2], assigned[1].Select(p => p.Partition));
        Assert.Equal([3, 3], assigned[0].Select(p => p.Partition));
    }

    [Fact]
    public void Nobody_gets_anything_of_nothing()
    {
        Assert.Empty(Uniform.Assign(new AssignmentProblem([], true, _ => 1)));
        Assert.Empty(Range.Assign(new AssignmentProblem([], true, _ => 1)));
        var alone = new AssignmentProblem(
            [new AssignorMember("a", null, null, [], [new TopicIdPartition(new Uuid(1, 1), 0)])], true, _ => 1);
        Assert.Empty(Uniform.Assign(alone)[0]);
        Assert.Empty(Range.Assign(alone)[0]);
    }

    [Theory]
    [InlineData("uniform,range", "uniform,range")]
    [InlineData("range", "range")]
    [InlineData("org.apache.kafka.coordinator.group.assignor.RangeAssignor,uniform", "range,uniform")]
    [InlineData("com.example.Custom", "uniform")]
    public void Assignors_are_known_by_name_and_by_the_name_of_Kafkas_class(string configured, string expected)
    {
        var config = BrokerConfig.LoadDevMode(null, [KeyValuePair.Create("group.consumer.assignors", configured)]);
        Assert.Equal(expected, string.Join(',', new PartitionAssignors(config).Names));
    }

    [Fact]
    public void Most_votes_win_and_votes_for_the_unknown_count_as_none()
    {
        var assignors = new PartitionAssignors(BrokerConfig.LoadDevMode(null, []));
        Assert.Equal("range", assignors.Preferred(["range", null, "uniform", "range"]).Name);
        Assert.Equal("uniform", assignors.Preferred([null, null]).Name);
        Assert.Equal("range", assignors.Preferred(["uniform", "range"]).Name);
        Assert.Equal("uniform", assignors.Preferred(["gone", "gone", "range"]).Name);
    }

    private static string Text(ImmutableSortedSet<TopicIdPartition> partitions) => string.Join(' ', partitions);

    private static void AssertComplete(AssignmentProblem problem, ImmutableSortedSet<TopicIdPartition>[] assigned, string where)
    {
        Assert.Equal(problem.Members.Count, assigned.Length);
        for (var i = 0; i < assigned.Length; i++)
            Assert.True(assigned[i].All(p => problem.Members[i].SubscribedTopicIds.Contains(p.TopicId)), $"{where}: not subscribed");
        var wanted = problem.Members.SelectMany(member => member.SubscribedTopicIds).Distinct()
            .SelectMany(topic => Enumerable.Range(0, problem.PartitionCount(topic)), (topic, p) => new TopicIdPartition(topic, p)).Order();
        Assert.Equal(wanted, assigned.SelectMany(partitions => partitions).Order());
    }

    private static void AssertNoTopicCanBeBalancedFurther(
        AssignmentProblem problem, ImmutableSortedSet<TopicIdPartition>[] assigned, string where)
    {
        for (var giver = 0; giver < assigned.Length; giver++)
        {
            foreach (var topic in assigned[giver].Select(p => p.TopicId).Distinct())
            {
                for (var taker = 0; taker < assigned.Length; taker++)
                {
                    if (problem.Members[taker].SubscribedTopicIds.Contains(topic))
                        Assert.True(
                            assigned[giver].Count - assigned[taker].Count <= 1,
                            $"{where}: member {giver} could give a partition of {topic} to {taker}");
                }
            }
        }
    }

    /// <summary>How many partitions that a member still may have are taken away from it.</summary>
    private static int Moves(AssignmentProblem problem, ImmutableSortedSet<TopicIdPartition>[] assigned) =>
        problem.Members.Zip(assigned).Sum(pair => Valid(problem, pair.First).Count(p => !pair.Second.Contains(p)));

    private static int LeastMoves(AssignmentProblem problem)
    {
        var total = problem.Members[0].SubscribedTopicIds.Sum(problem.PartitionCount);
        var (quota, extras) = Math.DivRem(total, problem.Members.Count);
        return problem.Members.Select(member => Valid(problem, member).Count() - quota).OrderDescending()
            .Select((surplus, rank) => Math.Max(surplus - (rank < extras ? 1 : 0), 0)).Sum();
    }

    private static IEnumerable<TopicIdPartition> Valid(AssignmentProblem problem, AssignorMember member) =>
        member.Target.Where(p => member.SubscribedTopicIds.Contains(p.TopicId) && p.Partition < problem.PartitionCount(p.TopicId));

    private sealed class RandomGroup(ulong seed, bool isHomogeneous)
    {
        private readonly Prng _random = new(seed);
        private readonly SortedDictionary<string, AssignorMember> _members = new(StringComparer.Ordinal);
        private readonly Dictionary<Uuid, int> _partitions = [];
        private ImmutableSortedSet<Uuid> _common = [];

        public AssignmentProblem Problem() => new([.. _members.Values], isHomogeneous, topic => _partitions[topic]);

        public void Take(ImmutableSortedSet<TopicIdPartition>[] assigned)
        {
            string[] ids = [.. _members.Keys];
            for (var i = 0; i < ids.Length; i++)
                _members[ids[i]] = _members[ids[i]] with { Target = assigned[i] };
        }

        public void Change()
        {
            do
            {
                var name = $"member-{_random.NextInt(12)}";
                if (_random.NextChance(30))
                    _members.Remove(name);
                else if (!_members.ContainsKey(name))
                    _members[name] = new AssignorMember(name, _random.NextChance(30) ? $"instance-{name}" : null, null, Topics(), []);
                if (_random.NextChance(30))
                    Grow();
                if (_random.NextChance(20))
                    Resubscribe();
            }
            while (_members.Count == 0);
        }

        private void Grow()
        {
            var topic = new Uuid(1, (ulong)_random.NextInt(6));
            _partitions[topic] = _partitions.GetValueOrDefault(topic) + _random.NextInt(1, 8);
        }

        private void Resubscribe()
        {
            _common = RandomTopics();
            foreach (var (name, member) in _members.ToArray())
            {
                if (isHomogeneous || _random.NextChance(30))
                    _members[name] = member with { SubscribedTopicIds = Topics() };
            }
        }

        private ImmutableSortedSet<Uuid> Topics() => isHomogeneous ? _common : RandomTopics();

        private ImmutableSortedSet<Uuid> RandomTopics() => [.. _partitions.Keys.Order().Where(_ => _random.NextChance(60))];
    }
}
