using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.StateMachines.Groups.Assignors;

namespace Ottla.UnitTests.Groups.Assignors;

/// <summary>The assignor of share groups.</summary>
public sealed class SimpleAssignorTests
{
    [Fact]
    public void Random_groups_are_balanced_covered_and_sticky()
    {
        for (var seed = 1UL; seed <= 300; seed++)
        {
            var random = new Prng(seed);
            Uuid[] topics = [.. Enumerable.Range(1, 1 + random.NextInt(3)).Select(i => new Uuid(7, (ulong)i * 0x9E3779B97F4A7C15))];
            var partitions = topics.ToDictionary(topic => topic, _ => 1 + random.NextInt(12));
            var memberCount = 1 + random.NextInt(15);
            var isHomogeneous = random.NextInt(2) == 0;
            var members = Enumerable.Range(0, memberCount).Select(i => new AssignorMember(
                $"member-{i}", null, null,
                isHomogeneous ? [.. topics] : [.. topics.Where(_ => random.NextInt(3) > 0)], [])).ToArray();
            var problem = new AssignmentProblem(members, isHomogeneous, topic => partitions[topic]);
            for (var round = 0; round < 3; round++)
            {
                var assigned = SimpleAssignor.Assign(problem, _ => true);
                Check(problem, partitions, assigned);
                var kept = problem with { Members = [.. problem.Members.Select((member, i) => member with { Target = assigned[i] })] };
                Assert.Equal(assigned.Select(Text), SimpleAssignor.Assign(kept, _ => true).Select(Text));
                problem = kept with
                {
                    Members = [.. kept.Members.Where((_, i) => i == 0 || random.NextInt(4) > 0)], // members leave
                };
            }
        }
    }

    [Fact]
    public void Partitions_that_are_not_initialised_are_left_out()
    {
        var topic = new Uuid(1, 1);
        var problem = new AssignmentProblem([new AssignorMember("m", null, null, [topic], [])], true, _ => 4);
        var assigned = SimpleAssignor.Assign(problem, partition => partition.Partition % 2 == 0);
        Assert.Equal([0, 2], Assert.Single(assigned).Select(partition => partition.Partition));
        Assert.Empty(SimpleAssignor.Assign(problem, _ => false)[0]);
    }

    private static void Check(
        AssignmentProblem problem, Dictionary<Uuid, int> partitions, ImmutableSortedSet<TopicIdPartition>[] assigned)
    {
        for (var i = 0; i < assigned.Length; i++)
            Assert.All(assigned[i], partition => Assert.Contains(partition.TopicId, problem.Members[i].SubscribedTopicIds));
        foreach (var (topic, count) in partitions)
        {
            if (!problem.Members.Any(member => member.SubscribedTopicIds.Contains(topic)))
                continue;
            for (var index = 0; index < count; index++)
                Assert.Contains(assigned, held => held.Contains(new TopicIdPartition(topic, index)));
        }

        if (problem.IsHomogeneous && problem.Members.Count <= partitions.Values.Sum())
            Assert.InRange(assigned.Max(held => held.Count) - assigned.Min(held => held.Count), 0, 1);
    }

    private static string Text(ImmutableSortedSet<TopicIdPartition> partitions) => string.Join(' ', partitions);
}
