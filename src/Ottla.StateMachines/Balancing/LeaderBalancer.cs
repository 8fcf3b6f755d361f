using Broker = Ottla.StateMachines.Balancing.Placement.Broker;
using Partition = Ottla.StateMachines.Balancing.Placement.Partition;

namespace Ottla.StateMachines.Balancing;

/// <summary>Makes brokers the preferred leader of as many partitions each, by the order of replicas alone. Makes one plan.</summary>
/// <remarks>
/// While a broker is preferred by two partitions more than another one, and there is a way from the one to the other along partitions
/// that the next broker on it has a replica of too, one preference is handed on along the shortest way. When there is none left, no
/// order of replicas is more even.
/// </remarks>
internal sealed class LeaderBalancer
{
    private readonly Placement _placement;
    private readonly int[] _leaders;
    private readonly bool[] _mayLead;

    /// <summary>For each broker, those that have replicas of partitions that prefer it, and which these are.</summary>
    private readonly SortedDictionary<int, List<Partition>>[] _heirs;

    public LeaderBalancer(Placement placement)
    {
        _placement = placement;
        _leaders = new int[placement.Brokers.Length];
        _mayLead = [.. placement.Brokers.Select(broker => broker.Source.Duty == BrokerDuty.Serving)];
        _heirs = [.. placement.Brokers.Select(_ => new SortedDictionary<int, List<Partition>>())];
        foreach (var partition in placement.Partitions)
        {
            if (partition.Replicas.Length == 0 || !_mayLead[partition.Replicas[0]])
                continue;
            _leaders[partition.Replicas[0]]++;
            if (!partition.Source.IsFixed)
                AddHeirs(partition);
        }
    }

    /// <summary>Changes orders until they are as even as they can be.</summary>
    public void Run()
    {
        while (FindWay() is { } way)
        {
            for (var i = 0; i + 1 < way.Count; i++)
                HandOn(way[i], way[i + 1]);
        }
    }

    /// <summary>The shortest way from the broker with most to one that has at least two less.</summary>
    private List<int>? FindWay()
    {
        foreach (var source in Enumerable.Range(0, _leaders.Length).Where(broker => _mayLead[broker])
            .OrderByDescending(broker => _leaders[broker]).ThenBy(broker => broker))
        {
            if (FindWay(source) is { } way)
                return way;
        }

        return null;
    }

    private List<int>? FindWay(int source)
    {
        var reachedFrom = new Dictionary<int, int> { [source] = source };
        var reached = new List<int> { source };
        while (reached.Count > 0)
        {
            var next = new List<int>();
            var target = -1;
            foreach (var broker in reached)
            {
                foreach (var (heir, partitions) in _heirs[broker])
                {
                    if (partitions.Count == 0 || !_mayLead[heir] || !reachedFrom.TryAdd(heir, broker))
                        continue;
                    next.Add(heir);
                    if (_leaders[heir] <= _leaders[source] - 2 && (target < 0 || _leaders[heir] < _leaders[target]))
                        target = heir;
                }
            }

            if (target >= 0)
                return Way(reachedFrom, source, target);
            reached = next;
        }

        return null;
    }

    private static List<int> Way(Dictionary<int, int> reachedFrom, int source, int target)
    {
        var way = new List<int> { target };
        while (target != source)
        {
            target = reachedFrom[target];
            way.Add(target);
        }

        way.Reverse();
        return way;
    }

    /// <summary>Has a partition that prefers one broker prefer another that has it too.</summary>
    private void HandOn(int source, int target)
    {
        var (from, to) = (_placement.Brokers[source], _placement.Brokers[target]);
        var partition = _heirs[source][target].MinBy(partition => (Spread(partition, from, to), partition.Index))!;
        RemoveHeirs(partition);
        var index = Array.IndexOf(partition.Replicas, target);
        Array.Copy(partition.Replicas, 0, partition.Replicas, 1, index);
        partition.Replicas[0] = target;
        AddHeirs(partition);
        _leaders[source]--;
        _leaders[target]++;
    }

    /// <summary>Lower for a topic that the old leader has more replicas of than the new one: so it is likely to lead more of it.</summary>
    private int Spread(Partition partition, Broker from, Broker to) =>
        _placement.ReplicasOfTopic(partition.Topic, to) - _placement.ReplicasOfTopic(partition.Topic, from);

    private void AddHeirs(Partition partition)
    {
        var heirs = _heirs[partition.Replicas[0]];
        foreach (var heir in partition.Replicas.AsSpan(1))
        {
            if (!heirs.TryGetValue(heir, out var partitions))
                heirs[heir] = partitions = [];
            partitions.Add(partition);
        }
    }

    private void RemoveHeirs(Partition partition)
    {
        var heirs = _heirs[partition.Replicas[0]];
        foreach (var heir in partition.Replicas.AsSpan(1))
            heirs[heir].Remove(partition);
    }
}
