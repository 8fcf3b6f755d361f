using Ottla.Kernel;

namespace Ottla.Client.Consumers.Assignors;

/// <summary>Moving partitions between members.</summary>
internal sealed partial class StickyGeneralAssignment
{
    /// <param name="all">All partitions.</param>
    /// <param name="first">Those that move first: the ones that just got an owner.</param>
    /// <param name="isFirst">Whether nobody had any before, so that there is no former balance to compare with.</param>
    private void Balance(List<TopicPartition> all, List<TopicPartition> first, bool isFirst)
    {
        HashSet<string> movable = [.. _input.TopicNames.Where(topic => _subscribersOf[topic].Count > 1)];
        all = [.. all.Where(partition => movable.Contains(partition.Topic))];
        first = [.. first.Where(partition => movable.Contains(partition.Topic))];

        // A member that has all it can have, and shares none of it, takes no part.
        var apart = new Dictionary<string, List<TopicPartition>>();
        foreach (var (memberId, partitions) in _assignment)
        {
            if (partitions.Count >= CountMaxOf(memberId) && !partitions.Any(partition => movable.Contains(partition.Topic)))
                apart.Add(memberId, partitions);
        }

        foreach (var (memberId, partitions) in apart)
        {
            _byCount.Remove((partitions.Count, memberId));
            _assignment.Remove(memberId);
        }

        var before = _assignment.ToDictionary(each => each.Key, each => each.Value.ToList());
        var ownersBefore = new Dictionary<TopicPartition, string>(_owners);
        Move(first);
        if (Move(all) && !isFirst && Imbalance(_assignment) >= Imbalance(before))
            (_assignment, _owners) = (before, ownersBefore);
        foreach (var (memberId, partitions) in apart)
            _assignment.Add(memberId, partitions);
    }

    /// <summary>The most partitions that a member can have: all of its topics.</summary>
    private int CountMaxOf(string memberId) => _topicsOf[memberId].Sum(topic => _input.Topic(topic)!.PartitionCount);

    /// <returns>Whether any moved.</returns>
    private bool Move(List<TopicPartition> partitions)
    {
        var anyMoved = false;
        for (var again = true; again;)
        {
            again = false;
            foreach (var partition in partitions)
            {
                if (IsBalanced())
                    break;
                if (TakerOf(partition) is not { } taker)
                    continue;
                Move(_moves.Instead(partition, _owners[partition], taker), taker);
                again = anyMoved = true;
            }
        }

        return anyMoved;
    }

    /// <summary>The member to which a partition should move; null when it should stay.</summary>
    private string? TakerOf(TopicPartition partition)
    {
        var count = _assignment[_owners[partition]].Count;
        if (_formerOwners.TryGetValue(partition, out var former) && _assignment.TryGetValue(former.MemberId, out var its)
            && _topicsOf[former.MemberId].Contains(partition.Topic) && count > its.Count + 1)
            return former.MemberId;
        return _subscribersOf[partition.Topic].Any(subscriber => count > _assignment[subscriber].Count + 1)
            ? _byCount.First(member => _topicsOf[member.MemberId].Contains(partition.Topic)).MemberId
            : null;
    }

    private void Move(TopicPartition partition, string to)
    {
        var from = _owners[partition];
        _moves.Note(partition, from, to);
        Change(from, partitions => partitions.Remove(partition));
        Change(to, partitions => partitions.Add(partition));
        _owners[partition] = to;
    }

    /// <summary>Whether no member could take a partition from one that has at least two more.</summary>
    private bool IsBalanced()
    {
        if (_byCount.Count == 0 || _byCount.Min.Count >= _byCount.Max.Count - 1)
            return true;
        foreach (var (count, memberId) in _byCount)
        {
            if (count == CountMaxOf(memberId))
                continue;
            foreach (var partition in _input.PartitionsOf(_topicsOf[memberId]))
            {
                if (_owners[partition] is var owner && owner != memberId && count + 1 < _assignment[owner].Count)
                    return false;
            }
        }

        return true;
    }

    /// <summary>The sum of the differences between the numbers of partitions of all pairs of members.</summary>
    private static int Imbalance(Dictionary<string, List<TopicPartition>> assignment)
    {
        int[] counts = [.. assignment.Values.Select(partitions => partitions.Count)];
        var sum = 0;
        for (var i = 0; i < counts.Length; i++)
        {
            for (var j = i + 1; j < counts.Length; j++)
                sum += Math.Abs(counts[i] - counts[j]);
        }

        return sum;
    }
}
