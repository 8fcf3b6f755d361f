using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>
/// Distributes the partitions of topics over the members of a classic group (<c>partition.assignment.strategy</c>). Pure and stateless.
/// </summary>
/// <remarks>
/// The member that leads a group assigns for all of them, and they may run other clients. So results, bytes and even the order of
/// partitions are those of Kafka's Java client.
/// </remarks>
internal interface IConsumerAssignor
{
    /// <summary>The name of the protocol by which members agree on it.</summary>
    string Name { get; }

    /// <summary>
    /// Whether members keep their partitions while they join (KIP-429). Otherwise they give all of them up first.
    /// </summary>
    bool IsCooperative { get; }

    /// <summary>What a member tells the leader's assignor in its subscription; null for nothing.</summary>
    /// <param name="assigned">What the member was assigned last; null when it has not been assigned anything yet.</param>
    /// <param name="generation">The generation in which that was; -1 for none.</param>
    byte[]? UserData(IReadOnlyList<TopicPartition>? assigned, int generation);

    /// <summary>Assigns partitions.</summary>
    /// <returns>
    /// The partitions of each member, by its id. A cooperative assignor leaves out what another member must give up first.
    /// </returns>
    Dictionary<string, List<TopicPartition>> Assign(AssignorInput input);
}

/// <summary>The built-in assignors.</summary>
internal static class ConsumerAssignors
{
    private static readonly IConsumerAssignor[] s_all =
        [new RangeAssignor(), new RoundRobinAssignor(), new StickyAssignor(), new CooperativeStickyAssignor()];

    /// <summary>Finds an assignor by its name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static IConsumerAssignor Named(string name) =>
        s_all.FirstOrDefault(assignor => assignor.Name == name)
        ?? throw new ArgumentException(
            $"There is no assignor '{name}', only {string.Join(", ", s_all.Select(assignor => assignor.Name))}.", nameof(name));

    /// <summary>
    /// Members in the order in which partitions are dealt out: static ones first, so that they keep theirs over a restart.
    /// </summary>
    public static IEnumerable<AssignorMember> InOrder(IEnumerable<AssignorMember> members) =>
        members.OrderBy(member => member.InstanceId is null)
            .ThenBy(member => member.InstanceId ?? member.MemberId, StringComparer.Ordinal);

    /// <summary>By topic, then by index.</summary>
    public static int Compare(TopicPartition left, TopicPartition right)
    {
        var byTopic = string.CompareOrdinal(left.Topic, right.Topic);
        return byTopic != 0 ? byTopic : left.Partition.CompareTo(right.Partition);
    }
}
