using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>The racks of members and partitions, as far as they matter for one sticky assignment.</summary>
internal sealed class StickyRacks
{
    private readonly AssignorInput _input;
    private readonly Dictionary<TopicPartition, int> _nearMembers = [];

    public StickyRacks(AssignorInput input)
    {
        _input = input;
        var byRack = input.Members.Select(member => member.Rack).OfType<string>().CountBy(rack => rack).ToDictionary();
        if (byRack.Count == 0)
            return;
        foreach (var partition in input.PartitionsOf(input.TopicNames))
            _nearMembers[partition] = input.RacksOf(partition).Sum(rack => byRack.GetValueOrDefault(rack));
        Matter = AssignorInput.RacksMatter(byRack.Keys.ToHashSet(), [.. _nearMembers.Keys.Select(input.RacksOf)]);
    }

    /// <summary>Whether it makes a difference which member gets which partition.</summary>
    public bool Matter { get; }

    /// <summary>Whether a member has a rack that matters, and no replica of the partition is there.</summary>
    public bool IsFar(string memberId, TopicPartition partition) =>
        Matter && _input.Member(memberId).Rack is { } rack && !_input.RacksOf(partition).Contains(rack);

    /// <summary>Whether a member has a rack that matters, and a replica of the partition is there.</summary>
    public bool IsNear(string memberId, TopicPartition partition) =>
        Matter && _input.Member(memberId).Rack is { } rack && _input.RacksOf(partition).Contains(rack);

    /// <summary>Orders partitions: those with the least choice of near members come first.</summary>
    public List<TopicPartition> ByChoice(List<TopicPartition> partitions) =>
        _nearMembers.Count == 0 ? partitions : [.. partitions.OrderBy(partition => _nearMembers.GetValueOrDefault(partition))];

    /// <summary>The index of the next near member, from a start on and then from the beginning; -1 for none.</summary>
    public int IndexOfNear(TopicPartition partition, List<string> members, int start)
    {
        for (var i = 0; i < members.Count; i++)
        {
            var index = (start + i) % members.Count;
            if (IsNear(members[index], partition))
                return index;
        }

        return -1;
    }
}
