using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>What the members of a group say they have, after contradictions are settled. Lives for one assignment.</summary>
internal sealed class StickyClaims
{
    private readonly Dictionary<string, List<TopicPartition>> _owned = [];
    private readonly Dictionary<string, (IReadOnlyList<TopicPartition> Partitions, int? Generation)> _claims = [];

    /// <summary>Reads and compares the claims.</summary>
    /// <param name="input">The members and topics.</param>
    /// <param name="claimOf">The partitions that a member says it has, and the generation in which it got them; null for unknown.</param>
    public StickyClaims(
        AssignorInput input, Func<AssignorMember, (IReadOnlyList<TopicPartition> Partitions, int? Generation)> claimOf)
    {
        AreSubscriptionsEqual = AreEqual(input.Members);
        var owners = new Dictionary<TopicPartition, string>();
        foreach (var member in input.Members)
        {
            var claim = claimOf(member);
            _claims.Add(member.MemberId, claim);
            _owned.Add(member.MemberId, []);
            var generation = claim.Generation ?? -1;
            GenerationMax = Math.Max(GenerationMax, generation);
            foreach (var partition in claim.Partitions.Where(input.Contains))
                Settle(input, owners, member.MemberId, partition, generation);
        }
    }

    /// <summary>Whether all members subscribe to the same topics.</summary>
    public bool AreSubscriptionsEqual { get; }

    /// <summary>The newest generation that a member knows; -1 for none.</summary>
    public int GenerationMax { get; } = -1;

    /// <summary>Partitions that several members say they have in the same generation. None of them keeps it.</summary>
    public HashSet<TopicPartition> Contested { get; } = [];

    /// <summary>The partitions that a member has, in the order in which it said so.</summary>
    public List<TopicPartition> OwnedBy(string memberId) => _owned[memberId];

    /// <summary>What a member said.</summary>
    public (IReadOnlyList<TopicPartition> Partitions, int? Generation) ClaimOf(string memberId) => _claims[memberId];

    private void Settle(
        AssignorInput input, Dictionary<TopicPartition, string> owners, string memberId, TopicPartition partition, int generation)
    {
        if (!owners.TryGetValue(partition, out var other))
        {
            _owned[memberId].Add(partition);
            owners[partition] = memberId;
            return;
        }

        // The other's generation is the one of its subscription, as Kafka compares it, and not the one in the user data.
        var otherGeneration = Math.Max(input.Member(other).Generation, -1);
        if (generation < otherGeneration)
            return;
        if (generation == otherGeneration)
            Contested.Add(partition);
        else
            _owned[memberId].Add(partition);
        _owned[other].Remove(partition);
        owners[partition] = memberId;
    }

    private static bool AreEqual(IReadOnlyList<AssignorMember> members)
    {
        var topics = new HashSet<string>();
        foreach (var member in members)
        {
            if (topics.Count == 0)
                topics.UnionWith(member.Topics);
            else if (!topics.SetEquals(member.Topics))
                return false;
        }

        return true;
    }
}
