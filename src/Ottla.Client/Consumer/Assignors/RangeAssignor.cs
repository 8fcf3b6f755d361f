using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>
/// Assigns each subscriber of a topic a range of its partitions; topics with the same subscribers and as many partitions are
/// co-partitioned. Where racks matter, partitions go to members in the rack of a replica as far as the balance allows (KIP-881).
/// </summary>
internal sealed class RangeAssignor : IConsumerAssignor
{
    /// <inheritdoc/>
    public string Name => "range";

    /// <inheritdoc/>
    public bool IsCooperative => false;

    /// <inheritdoc/>
    public byte[]? UserData(IReadOnlyList<TopicPartition>? assigned, int generation) => null;

    /// <inheritdoc/>
    public Dictionary<string, List<TopicPartition>> Assign(AssignorInput input)
    {
        var assignment = input.Members.ToDictionary(member => member.MemberId, _ => new List<TopicPartition>());
        Topic[] topics = [.. input.TopicNames.Select(name => new Topic(name, input))];
        var racksMatter = topics.Any(topic => topic.RacksMatter);
        if (racksMatter)
            AssignByRack(topics, assignment);
        foreach (var topic in topics)
            topic.AssignRanges((_, _) => true, assignment);
        if (racksMatter)
        {
            foreach (var partitions in assignment.Values)
                partitions.Sort(ConsumerAssignors.Compare);
        }

        return assignment;
    }

    private static void AssignByRack(Topic[] topics, Dictionary<string, List<TopicPartition>> assignment)
    {
        foreach (var alike in topics.GroupBy(topic => (topic.SubscriberKey, topic.Count)))
        {
            if (alike.Count() > 1)
                AssignTogether([.. alike], assignment);
            else if (alike.First() is { RacksMatter: true } topic)
                topic.AssignRanges(topic.IsNear, assignment);
        }
    }

    /// <summary>
    /// Gives partitions of the same index to one member, if it is near all of them. Topics for which racks do not matter have none.
    /// </summary>
    private static void AssignTogether(Topic[] topics, Dictionary<string, List<TopicPartition>> assignment)
    {
        var members = topics[0].Subscribers.ToList();
        for (var partition = 0; partition < topics[0].Count && members.Count > 0; partition++)
        {
            var index = partition;
            var taker = members.Find(member => topics.All(topic => topic.IsNear(member, index) && topic.RoomOf(member) > 0));
            if (taker is null)
                continue;
            foreach (var topic in topics)
                topic.Give(taker, [partition], assignment);
            if (topics.All(topic => topic.RoomOf(taker) == 0))
                members.Remove(taker);
        }
    }

    /// <summary>A topic while it is assigned.</summary>
    private sealed class Topic
    {
        private readonly string _name;
        private readonly AssignorTopic _topic;
        private readonly Dictionary<string, int> _assigned;
        private readonly SortedSet<int> _free;
        private readonly int _quota;
        private readonly bool _hasRacks;
        private int _extras;

        public Topic(string name, AssignorInput input)
        {
            _name = name;
            _topic = input.Topic(name)!;
            Subscribers = [.. ConsumerAssignors.InOrder(input.Members.Where(member => member.Topics.Contains(name)))];
            SubscriberKey = string.Join('\n', Subscribers.Select(member => member.MemberId));
            _assigned = Subscribers.ToDictionary(member => member.MemberId, _ => 0);
            _free = [.. Enumerable.Range(0, Count)];
            (_quota, _extras) = Math.DivRem(Count, Subscribers.Length);
            var racks = Subscribers.Select(member => member.Rack).OfType<string>().ToHashSet();
            _hasRacks = racks.Count > 0;
            RacksMatter = AssignorInput.RacksMatter(racks, [.. Enumerable.Range(0, Count).Select(_topic.RacksOf)]);
        }

        public AssignorMember[] Subscribers { get; }

        /// <summary>Equal for topics with the same subscribers.</summary>
        public string SubscriberKey { get; }

        public int Count => _topic.PartitionCount;

        public bool RacksMatter { get; }

        /// <summary>Whether a replica is in the member's rack, or the member has none.</summary>
        public bool IsNear(AssignorMember member, int partition) =>
            member.Rack is not { } rack || (_hasRacks && _topic.RacksOf(partition).Contains(rack));

        /// <summary>How many more partitions a member may get.</summary>
        public int RoomOf(AssignorMember member) => Math.Max(0, _quota + (_extras > 0 ? 1 : 0) - _assigned[member.MemberId]);

        public void AssignRanges(Func<AssignorMember, int, bool> mayHave, Dictionary<string, List<TopicPartition>> assignment)
        {
            foreach (var member in Subscribers)
                Give(member, [.. _free.Where(partition => mayHave(member, partition)).Take(RoomOf(member))], assignment);
        }

        public void Give(AssignorMember member, int[] partitions, Dictionary<string, List<TopicPartition>> assignment)
        {
            if (partitions.Length == 0)
                return;
            assignment[member.MemberId].AddRange(partitions.Select(partition => new TopicPartition(_name, partition)));
            _assigned[member.MemberId] += partitions.Length;
            if (_assigned[member.MemberId] > _quota)
                _extras--;
            _free.ExceptWith(partitions);
        }
    }
}
