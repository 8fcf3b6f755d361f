using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>Deals the partitions of all topics out to their subscribers in turn.</summary>
internal sealed class RoundRobinAssignor : IConsumerAssignor
{
    /// <inheritdoc/>
    public string Name => "roundrobin";

    /// <inheritdoc/>
    public bool IsCooperative => false;

    /// <inheritdoc/>
    public byte[]? UserData(IReadOnlyList<TopicPartition>? assigned, int generation) => null;

    /// <inheritdoc/>
    public Dictionary<string, List<TopicPartition>> Assign(AssignorInput input)
    {
        var assignment = input.Members.ToDictionary(member => member.MemberId, _ => new List<TopicPartition>());
        AssignorMember[] members = [.. ConsumerAssignors.InOrder(input.Members)];
        HashSet<string>[] subscribed = [.. members.Select(member => member.Topics.ToHashSet())];
        var next = 0;
        foreach (var partition in input.PartitionsOf(input.TopicNames.Order(StringComparer.Ordinal)))
        {
            while (!subscribed[next].Contains(partition.Topic))
                next = (next + 1) % members.Length;
            assignment[members[next].MemberId].Add(partition);
            next = (next + 1) % members.Length;
        }

        return assignment;
    }
}
