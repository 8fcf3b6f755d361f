using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>A member of a classic group, as input of an assignor: what its subscription says.</summary>
/// <param name="MemberId">Its id.</param>
/// <param name="InstanceId">The instance id of a static member; null for a dynamic one.</param>
/// <param name="Topics">The topics that it subscribes to.</param>
/// <param name="Owned">The partitions that it has now. A member of an eager protocol has given up its own before it joins.</param>
/// <param name="Generation">The generation in which it got them; -1 for none.</param>
/// <param name="Rack">Its rack; null when it has none.</param>
/// <param name="UserData">What its assignor wrote for the leader's; null for nothing.</param>
internal sealed record AssignorMember(
    string MemberId,
    string? InstanceId,
    IReadOnlyList<string> Topics,
    IReadOnlyList<TopicPartition> Owned,
    int Generation,
    string? Rack,
    byte[]? UserData);

/// <summary>A topic to be assigned.</summary>
/// <param name="PartitionCount">Its number of partitions, at least one.</param>
/// <param name="Racks">The racks of each partition's replicas; null when no broker has a rack.</param>
internal sealed record AssignorTopic(int PartitionCount, IReadOnlyList<IReadOnlySet<string>>? Racks = null)
{
    private static readonly HashSet<string> s_none = [];

    /// <summary>The racks of a partition's replicas.</summary>
    public IReadOnlySet<string> RacksOf(int partition) => Racks is { } racks ? racks[partition] : s_none;
}

/// <summary>The input of an assignment: the members of a group and the topics that exist of those that they subscribe to.</summary>
/// <remarks>Both are in the order of Java's maps, in which Kafka's assignors look at them.</remarks>
internal sealed class AssignorInput
{
    private readonly Dictionary<string, AssignorMember> _members;
    private readonly Dictionary<string, AssignorTopic> _topics;

    /// <summary>Orders the input.</summary>
    /// <param name="members">The members.</param>
    /// <param name="topics">The topics that exist, by name. Those that nobody subscribes to are left out.</param>
    public AssignorInput(IReadOnlyCollection<AssignorMember> members, IReadOnlyDictionary<string, AssignorTopic> topics)
    {
        _members = members.ToDictionary(member => member.MemberId);
        Members = [.. JavaMapOrder.Of(_members.Keys).Select(id => _members[id])];
        var subscribed = JavaMapOrder.Of([.. Members.SelectMany(member => member.Topics).Distinct()]);
        _topics = subscribed.Where(topics.ContainsKey).ToDictionary(name => name, name => topics[name]);
        TopicNames = JavaMapOrder.Of(_topics.Keys);
    }

    /// <summary>The members.</summary>
    public IReadOnlyList<AssignorMember> Members { get; }

    /// <summary>The names of the topics.</summary>
    public IReadOnlyList<string> TopicNames { get; }

    /// <summary>A member.</summary>
    public AssignorMember Member(string id) => _members[id];

    /// <summary>A topic; null when it does not exist, or nobody subscribes to it.</summary>
    public AssignorTopic? Topic(string name) => _topics.GetValueOrDefault(name);

    /// <summary>The racks of a partition's replicas; none for a partition that does not exist.</summary>
    public IReadOnlySet<string> RacksOf(TopicPartition partition) => _topics[partition.Topic].RacksOf(partition.Partition);

    /// <summary>Whether a partition is to be assigned.</summary>
    public bool Contains(TopicPartition partition) =>
        _topics.TryGetValue(partition.Topic, out var topic) && partition.Partition >= 0 && partition.Partition < topic.PartitionCount;

    /// <summary>The partitions of topics, in the order of these.</summary>
    public IEnumerable<TopicPartition> PartitionsOf(IEnumerable<string> topics) =>
        topics.SelectMany(topic => Enumerable.Range(0, _topics[topic].PartitionCount), (topic, index) => new TopicPartition(topic, index));

    /// <summary>
    /// Whether it makes a difference which member gets which partition: some member is in a rack that has replicas, and not every partition
    /// has replicas in all of these.
    /// </summary>
    public static bool RacksMatter(IReadOnlySet<string> memberRacks, IReadOnlyCollection<IReadOnlySet<string>> partitionRacks)
    {
        if (memberRacks.Count == 0)
            return false;
        var all = partitionRacks.SelectMany(racks => racks).ToHashSet();
        return memberRacks.Overlaps(all) && !partitionRacks.All(racks => racks.SetEquals(all));
    }
}
