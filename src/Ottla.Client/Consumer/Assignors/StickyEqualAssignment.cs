using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>A sticky assignment to members that subscribe to the same topics: their numbers of partitions differ by at most one.</summary>
/// <remarks>
/// First everybody keeps what it has, up to its quota; as many members as there are partitions left over may keep one more. Then free
/// partitions go to near members, where racks matter, and the rest is dealt out in turn. Lives for one assignment.
/// </remarks>
internal sealed class StickyEqualAssignment
{
    private readonly AssignorInput _input;
    private readonly StickyClaims _claims;
    private readonly StickyRacks _racks;
    private readonly Dictionary<string, List<TopicPartition>> _assignment = [];

    /// <summary>Who had a partition that it may have to give up.</summary>
    private readonly Dictionary<TopicPartition, string> _released = [];

    /// <summary>Members below the quota, and those that have it exactly and may get one more.</summary>
    private readonly List<string> _below = [];
    private readonly List<string> _atQuota = [];

    private readonly int _quota;
    private readonly int _extras;
    private readonly int _quotaMax;
    private int _extrasGiven;

    public StickyEqualAssignment(AssignorInput input, StickyClaims claims)
    {
        _input = input;
        _claims = claims;
        _racks = new StickyRacks(input);
        var total = input.TopicNames.Sum(name => input.Topic(name)!.PartitionCount);
        (_quota, _extras) = Math.DivRem(total, input.Members.Count);
        _quotaMax = _quota + (_extras > 0 ? 1 : 0);
    }

    /// <summary>Partitions that another member has to give up before the one named gets them.</summary>
    public Dictionary<TopicPartition, string> Moving { get; } = [];

    public Dictionary<string, List<TopicPartition>> Assign()
    {
        foreach (var member in _input.Members)
            KeepOwned(member.MemberId);
        _below.Sort(StringComparer.Ordinal);
        _atQuota.Sort(StringComparer.Ordinal);

        var assigned = _assignment.Values.SelectMany(partitions => partitions).ToHashSet();
        var free = _racks.ByChoice([.. _input.PartitionsOf(_input.TopicNames.Order(StringComparer.Ordinal))
            .Where(partition => !assigned.Contains(partition))]);
        if (_racks.Matter)
            free = AssignNear(free);
        AssignInTurn(free);
        return _assignment;
    }

    private void KeepOwned(string memberId)
    {
        var owned = new List<TopicPartition>();
        var claimed = _claims.OwnedBy(memberId).OrderBy(each => each.Partition).ThenBy(each => each.Topic, StringComparer.Ordinal);
        foreach (var partition in claimed)
        {
            if (_racks.IsFar(memberId, partition))
                _released[partition] = memberId;
            else if (!_claims.Contested.Contains(partition))
                owned.Add(partition);
        }

        int kept;
        if (owned.Count < _quota)
        {
            kept = owned.Count;
            _below.Add(memberId);
        }
        else if (owned.Count >= _quotaMax && _extrasGiven < _extras)
        {
            kept = _quotaMax;
            if (++_extrasGiven == _extras)
                _atQuota.Clear();
        }
        else
        {
            kept = _quota;
            if (_extrasGiven < _extras)
                _atQuota.Add(memberId);
        }

        _assignment[memberId] = owned[..kept];
        foreach (var partition in owned[kept..])
            _released[partition] = memberId;
    }

    /// <summary>Gives free partitions to members in the rack of a replica, in turn; returns those for which there is none.</summary>
    private List<TopicPartition> AssignNear(List<TopicPartition> free)
    {
        var left = new List<TopicPartition>();
        var next = 0;
        foreach (var partition in free)
        {
            if (_racks.IndexOfNear(partition, _below, next) is >= 0 and var index)
            {
                next = GiveToMemberBelow(partition, index);
            }
            else if (_racks.IndexOfNear(partition, _atQuota, 0) is >= 0 and var extra)
            {
                var memberId = _atQuota[extra];
                if (Give(partition, memberId) == _quotaMax)
                {
                    _atQuota.RemoveAt(extra);
                    if (++_extrasGiven == _extras)
                        _atQuota.Clear();
                }
            }
            else
            {
                left.Add(partition);
            }
        }

        return left;
    }

    /// <returns>The index of the member whose turn is next.</returns>
    private int GiveToMemberBelow(TopicPartition partition, int index)
    {
        var memberId = _below[index];
        var count = Give(partition, memberId);
        if (count < _quota)
            return (index + 1) % _below.Count;
        _below.RemoveAt(index);
        if (count < _quotaMax && _extrasGiven < _extras)
            _atQuota.Add(memberId);
        return _below.Count == 0 ? 0 : index % _below.Count;
    }

    private void AssignInTurn(List<TopicPartition> free)
    {
        var next = 0;
        foreach (var partition in free)
        {
            if (_below.Count == 0)
            {
                Invariant.Check(_atQuota.Count > 0, "a free partition finds a member with room");
                var extra = _atQuota[0];
                _atQuota.RemoveAt(0);
                Give(partition, extra);
                continue;
            }

            if (next >= _below.Count)
                next = 0;
            var memberId = _below[next];
            if (Give(partition, memberId) >= _quota)
            {
                _below.RemoveAt(next);
                _atQuota.Add(memberId);
            }
            else
            {
                next++;
            }
        }
    }

    /// <returns>The number of partitions that the member has now.</returns>
    private int Give(TopicPartition partition, string memberId)
    {
        _assignment[memberId].Add(partition);
        if (_claims.Contested.Contains(partition) || (_released.TryGetValue(partition, out var owner) && owner != memberId))
            Moving[partition] = memberId;
        return _assignment[memberId].Count;
    }
}
