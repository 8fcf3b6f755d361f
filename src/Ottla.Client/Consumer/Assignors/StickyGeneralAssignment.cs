using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>A sticky assignment to members with different subscriptions.</summary>
/// <remarks>
/// Everybody keeps what it has and still subscribes to. Each free partition goes to the subscriber with the fewest. Then partitions move to
/// subscribers that have at least two fewer, until none does; the moves count only if they balance better. Lives for one assignment.
/// </remarks>
internal sealed partial class StickyGeneralAssignment
{
    private readonly AssignorInput _input;
    private readonly StickyClaims _claims;
    private readonly StickyRacks _racks;
    private readonly Dictionary<string, HashSet<string>> _topicsOf = [];
    private readonly Dictionary<string, List<string>> _subscribersOf = [];

    /// <summary>Who had a partition in an older generation. It gets it back if that does not hurt the balance.</summary>
    private readonly Dictionary<TopicPartition, (string MemberId, int Generation)> _formerOwners = [];

    private readonly StickyMoves _moves = new();
    private Dictionary<string, List<TopicPartition>> _assignment = [];
    private Dictionary<TopicPartition, string> _owners = [];

    /// <summary>The members among which partitions may move, by their number of partitions and id.</summary>
    private readonly SortedSet<(int Count, string MemberId)> _byCount = new(Comparer<(int Count, string MemberId)>.Create(CompareCounts));

    public StickyGeneralAssignment(AssignorInput input, StickyClaims claims)
    {
        _input = input;
        _claims = claims;
        _racks = new StickyRacks(input);
        foreach (var topic in input.TopicNames)
            _subscribersOf[topic] = [];
        foreach (var member in input.Members)
        {
            _topicsOf[member.MemberId] = [.. member.Topics.Where(_subscribersOf.ContainsKey)];
            foreach (var topic in _topicsOf[member.MemberId])
                _subscribersOf[topic].Add(member.MemberId);
        }
    }

    public Dictionary<string, List<TopicPartition>> Assign()
    {
        FindFormerOwners();
        var anyGivenUp = KeepOwned();
        List<TopicPartition> all = [.. _input.PartitionsOf(
            _input.TopicNames.OrderBy(topic => _subscribersOf[topic].Count).ThenBy(topic => topic, StringComparer.Ordinal))];
        List<TopicPartition> free = [.. all.Where(partition => !_owners.ContainsKey(partition))];
        foreach (var (memberId, partitions) in _assignment)
            _byCount.Add((partitions.Count, memberId));
        var isFirst = _byCount.Max.Count == 0;

        AssignFree(free);
        Balance(all, anyGivenUp ? [] : free, isFirst);
        return _assignment;
    }

    private void FindFormerOwners()
    {
        foreach (var member in _input.Members)
        {
            var (partitions, generation) = _claims.ClaimOf(member.MemberId);
            if (generation is { } known ? known >= _claims.GenerationMax : _claims.GenerationMax <= -1)
                continue;
            foreach (var partition in partitions)
            {
                if (!_formerOwners.TryGetValue(partition, out var other) || (generation ?? -1) > other.Generation)
                    _formerOwners[partition] = (member.MemberId, generation ?? -1);
            }
        }
    }

    /// <returns>Whether a member has to give something up that exists.</returns>
    private bool KeepOwned()
    {
        var anyGivenUp = false;
        foreach (var member in _input.Members)
        {
            var kept = new List<TopicPartition>();
            foreach (var partition in _claims.OwnedBy(member.MemberId))
            {
                if (!_topicsOf[member.MemberId].Contains(partition.Topic) || _racks.IsFar(member.MemberId, partition))
                {
                    anyGivenUp = true;
                    continue;
                }

                kept.Add(partition);
                _owners[partition] = member.MemberId;
            }

            _assignment[member.MemberId] = kept;
        }

        return anyGivenUp;
    }

    private void AssignFree(List<TopicPartition> free)
    {
        if (_racks.Matter)
            free = [.. free.Where(partition => !TryAssign(partition, nearOnly: true))];
        foreach (var partition in free)
            TryAssign(partition, nearOnly: false);
    }

    private bool TryAssign(TopicPartition partition, bool nearOnly)
    {
        foreach (var (_, memberId) in _byCount)
        {
            if (!_topicsOf[memberId].Contains(partition.Topic) || (nearOnly && _racks.IsFar(memberId, partition)))
                continue;
            Change(memberId, partitions => partitions.Add(partition));
            _owners[partition] = memberId;
            return true;
        }

        return false;
    }

    /// <summary>Changes the partitions of a member, and its place in the order by their number.</summary>
    private void Change(string memberId, Action<List<TopicPartition>> change)
    {
        var partitions = _assignment[memberId];
        _byCount.Remove((partitions.Count, memberId));
        change(partitions);
        _byCount.Add((partitions.Count, memberId));
    }

    private static int CompareCounts((int Count, string MemberId) left, (int Count, string MemberId) right)
    {
        var byCount = left.Count.CompareTo(right.Count);
        return byCount != 0 ? byCount : string.CompareOrdinal(left.MemberId, right.MemberId);
    }
}
