using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>
/// Assigns every member the same number of partitions where possible, and lets members keep those that they had. All of them are given up
/// before each assignment.
/// </summary>
internal sealed class StickyAssignor : IConsumerAssignor
{
    /// <inheritdoc/>
    public string Name => "sticky";

    /// <inheritdoc/>
    public bool IsCooperative => false;

    /// <inheritdoc/>
    public byte[]? UserData(IReadOnlyList<TopicPartition>? assigned, int generation) =>
        assigned is null ? null : StickyUserData.Write(assigned, generation);

    /// <inheritdoc/>
    public Dictionary<string, List<TopicPartition>> Assign(AssignorInput input)
    {
        var claims = new StickyClaims(input, member =>
        {
            if (member.UserData is not { Length: > 0 } userData)
                return ([], null);
            return StickyUserData.Read(userData);
        });
        return claims.AreSubscriptionsEqual
            ? new StickyEqualAssignment(input, claims).Assign()
            : new StickyGeneralAssignment(input, claims).Assign();
    }
}

/// <summary>
/// As <see cref="StickyAssignor"/>, but members keep their partitions while they join. What moves is given up first, and assigned in a
/// second round that follows by itself (KIP-429).
/// </summary>
internal sealed class CooperativeStickyAssignor : IConsumerAssignor
{
    /// <inheritdoc/>
    public string Name => "cooperative-sticky";

    /// <inheritdoc/>
    public bool IsCooperative => true;

    /// <inheritdoc/>
    public byte[]? UserData(IReadOnlyList<TopicPartition>? assigned, int generation) => StickyUserData.Write(generation);

    /// <inheritdoc/>
    public Dictionary<string, List<TopicPartition>> Assign(AssignorInput input)
    {
        // Clients that know a newer subscription say their generation there, others in the user data.
        var claims = new StickyClaims(input, member => (member.Owned, member.Generation >= 0 ? member.Generation
            : member.UserData is { } userData ? StickyUserData.ReadGeneration(userData) : null));
        Dictionary<string, List<TopicPartition>> assignment;
        IEnumerable<(TopicPartition Partition, string To)> moving;
        if (claims.AreSubscriptionsEqual)
        {
            var equal = new StickyEqualAssignment(input, claims);
            assignment = equal.Assign();
            moving = equal.Moving.Select(move => (move.Key, move.Value));
        }
        else
        {
            assignment = new StickyGeneralAssignment(input, claims).Assign();
            moving = Moving(input, assignment);
        }

        foreach (var (partition, to) in moving.ToList())
            assignment[to].Remove(partition);
        return assignment;
    }

    /// <summary>What one member gets that another has and loses.</summary>
    private static IEnumerable<(TopicPartition Partition, string To)> Moving(
        AssignorInput input, Dictionary<string, List<TopicPartition>> assignment)
    {
        var lost = new HashSet<TopicPartition>();
        var gained = new List<(TopicPartition, string)>();
        foreach (var member in input.Members)
        {
            var assigned = assignment[member.MemberId].ToHashSet();
            lost.UnionWith(member.Owned.Where(partition => !assigned.Contains(partition)));
            assigned.ExceptWith(member.Owned);
            gained.AddRange(assigned.Select(partition => (partition, member.MemberId)));
        }

        return gained.Where(gain => lost.Contains(gain.Item1));
    }
}
