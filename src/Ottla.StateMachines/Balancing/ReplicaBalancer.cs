using System.Collections.Immutable;
using Broker = Ottla.StateMachines.Balancing.Placement.Broker;
using Partition = Ottla.StateMachines.Balancing.Placement.Partition;

namespace Ottla.StateMachines.Balancing;

/// <summary>Chooses the brokers of replicas: away from brokers that leave, spread over racks, evenly. Makes one plan.</summary>
/// <remarks>
/// First what must be: replicas of leaving brokers, the largest first, then partitions that are on fewer racks than they could be. Then
/// single replicas move from the broker that has most to the one that has least, as long as that makes the penalties of
/// <see cref="LoadBounds"/> smaller; when none does, two replicas change places. At last whatever can go back to where it was without
/// harm does so. What comes out is a placement that none of these moves makes better: so a plan for it is empty.
/// </remarks>
internal sealed class ReplicaBalancer
{
    /// <summary>Less than this is rounding, no gain.</summary>
    private const double LeastGain = 1e-9;

    /// <summary>A move that gains this part of what the best one gains is as good, and may be better for its topic.</summary>
    private const double GoodEnough = 0.5;

    /// <summary>How many replicas of about the right size are looked at for an exchange, in each direction.</summary>
    private const int ExchangeCandidates = 8;

    /// <summary>How often replicas go back and the rest is looked at again. Two rounds are what it takes in practice.</summary>
    private const int RoundsMax = 10;

    private readonly Placement _placement;
    private readonly LoadBounds _bounds;
    private readonly ImmutableHashSet<int> _newBrokers;
    private readonly bool _movesLeavingOnly;
    private readonly List<Broker> _serving;
    private readonly Comparison<Broker> _byExcess;

    public ReplicaBalancer(Placement placement, BalancedCluster cluster)
    {
        _placement = placement;
        _newBrokers = cluster.NewBrokers;
        _movesLeavingOnly = _newBrokers.IsEmpty && placement.Brokers.Any(broker => broker.Source.Duty == BrokerDuty.Leaving);
        _serving = [.. placement.Brokers.Where(broker => broker.Source.Duty == BrokerDuty.Serving)];
        var shared = placement.Brokers.Where(broker => broker.Source.Duty != BrokerDuty.Keeping).ToList();
        _bounds = new LoadBounds(
            shared.Sum(broker => (long)broker.Replicas.Count), shared.Sum(broker => broker.Bytes), _serving.Count, cluster.Tolerance);
        _byExcess = CompareExcess;
    }

    /// <summary>Moves replicas until none is left that should move.</summary>
    /// <returns>What cannot leave a broker that is to be removed.</returns>
    public List<StuckReplica> Run()
    {
        var stuck = EmptyLeavingBrokers();
        SpreadOverRacks();
        BalanceLoad();
        for (var round = 1; round < RoundsMax && GiveBack(); round++)
            BalanceLoad();
        return stuck;
    }

    private List<StuckReplica> EmptyLeavingBrokers()
    {
        var stuck = new List<StuckReplica>();
        var moving = _placement.Brokers.Where(broker => broker.Source.Duty == BrokerDuty.Leaving)
            .SelectMany(broker => broker.Replicas.Select(partition => (Broker: broker, Partition: partition)))
            .Where(replica => !replica.Partition.Source.IsFixed)
            .OrderByDescending(replica => replica.Partition.Source.Bytes).ThenBy(replica => replica.Partition.Index)
            .ThenBy(replica => replica.Broker.Index).ToList();
        foreach (var (source, partition) in moving)
        {
            if (FindHome(partition, source) is { } target)
            {
                _placement.Move(partition, source, target);
                continue;
            }

            var lacksRoom = _serving.Any(broker => !partition.Has(broker));
            stuck.Add(new StuckReplica(partition.Source.Id, source.Source.Id, lacksRoom));
        }

        return stuck;
    }

    /// <summary>The broker that takes a replica which must go: in the rack with the fewest of its kind, and there the emptiest.</summary>
    private Broker? FindHome(Partition partition, Broker source)
    {
        Broker? best = null;
        var bestRank = (InRack: 0, IsOld: false, Harm: 0.0, Share: 0.0, OfTopic: 0);
        foreach (var target in _serving)
        {
            if (!Placement.CanTake(partition, target))
                continue;
            var rank = (
                InRack: RemainingInRack(partition, source, target.Rack),
                IsOld: !_newBrokers.IsEmpty && !_newBrokers.Contains(target.Source.Id),
                Harm: Harm(target, 1, partition.Source.Bytes),
                Share: _bounds.Share(target.Replicas.Count + 1, target.Bytes + partition.Source.Bytes),
                OfTopic: _placement.ReplicasOfTopic(partition.Topic, target));
            if (best is null || rank.CompareTo(bestRank) < 0)
                (best, bestRank) = (target, rank);
        }

        return best;
    }

    /// <summary>The replicas in a rack without the one that goes, and without others that leave.</summary>
    private int RemainingInRack(Partition partition, Broker source, int rack)
    {
        var count = 0;
        foreach (var index in partition.Replicas)
        {
            var broker = _placement.Brokers[index];
            if (broker != source && broker.Rack == rack && broker.Source.Duty != BrokerDuty.Leaving)
                count++;
        }

        return count;
    }

    private void SpreadOverRacks()
    {
        foreach (var partition in _placement.Partitions)
        {
            if (partition.Source.IsFixed)
                continue;
            while (FindSpread(partition) is var (source, target))
                _placement.Move(partition, source, target);
        }
    }

    /// <summary>A replica in a rack that has two more of the partition than another rack, which would take it.</summary>
    private (Broker Source, Broker Target)? FindSpread(Partition partition)
    {
        (Broker Source, Broker Target)? best = null;
        var bestRank = (Difference: 0, Harm: 0.0, Share: 0.0);
        foreach (var index in partition.Replicas)
        {
            var source = _placement.Brokers[index];
            if (source.Source.Duty != BrokerDuty.Serving)
                continue;
            var inSource = _placement.InRack(partition, source.Rack);
            foreach (var target in _serving)
            {
                var difference = _placement.InRack(partition, target.Rack) - inSource;
                if (difference > -2 || !MayLeave(partition, source) || !MayTake(target) || !Placement.CanTake(partition, target))
                    continue;
                var rank = (
                    Difference: difference,
                    Harm: -Gain(partition.Source.Bytes, source, target),
                    Share: _bounds.Share(target.Replicas.Count, target.Bytes) - _bounds.Share(source.Replicas.Count, source.Bytes));
                if (best is null || rank.CompareTo(bestRank) < 0)
                    (best, bestRank) = ((source, target), rank);
            }
        }

        return best;
    }

    private void BalanceLoad()
    {
        while (MoveOne() || ExchangeTwo())
        {
        }
    }

    /// <summary>Moves the replica that gains most between the two brokers that need it most.</summary>
    private bool MoveOne()
    {
        _serving.Sort(_byExcess);
        for (var s = _serving.Count - 1; s >= 0; s--)
        {
            for (var t = 0; t < _serving.Count; t++)
            {
                var (source, target) = (_serving[s], _serving[t]);
                if (!MayTake(target) || !MayGain(source, target) || FindMove(source, target) is not { } partition)
                    continue;
                partition.BalancedFor |= ReasonFor(partition.Source.Bytes, source, target);
                _placement.Move(partition, source, target);
                return true;
            }
        }

        return false;
    }

    private Partition? FindMove(Broker source, Broker target)
    {
        var bestGain = LeastGain;
        foreach (var partition in source.Replicas)
        {
            var gain = Gain(partition.Source.Bytes, source, target);
            if (gain > bestGain && MayLeave(partition, source) && _placement.CanMove(partition, source, target))
                bestGain = gain;
        }

        if (bestGain <= LeastGain)
            return null;
        // Many replicas do about as well: one of a topic that the source has more of keeps topics spread; then the cheaper one.
        Partition? best = null;
        var bestRank = (OfTopic: 0, Bytes: 0L, Index: 0);
        foreach (var partition in source.Replicas)
        {
            if (Gain(partition.Source.Bytes, source, target) < bestGain * GoodEnough
                || !MayLeave(partition, source) || !_placement.CanMove(partition, source, target))
                continue;
            var rank = (
                OfTopic: _placement.ReplicasOfTopic(partition.Topic, target) - _placement.ReplicasOfTopic(partition.Topic, source),
                partition.Source.Bytes,
                partition.Index);
            if (best is null || rank.CompareTo(bestRank) < 0)
                (best, bestRank) = (partition, rank);
        }

        return best;
    }

    /// <summary>Has two replicas of unlike size change places, where moving one would leave a broker with too many or too few.</summary>
    private bool ExchangeTwo()
    {
        _serving.Sort(_byExcess);
        for (var s = _serving.Count - 1; s >= 0; s--)
        {
            for (var t = 0; t < _serving.Count; t++)
            {
                var (source, target) = (_serving[s], _serving[t]);
                if (source.Bytes <= target.Bytes || !MayTake(source) || !MayTake(target) || !MayGain(source, target)
                    || FindExchange(source, target) is not var (large, small))
                    continue;
                large.BalancedFor |= MoveReasons.Bytes;
                small.BalancedFor |= MoveReasons.Bytes;
                _placement.Move(large, source, target);
                _placement.Move(small, target, source);
                return true;
            }
        }

        return false;
    }

    private (Partition Large, Partition Small)? FindExchange(Broker source, Broker target)
    {
        var wanted = (source.Bytes - target.Bytes) / 2;
        var offers = target.Replicas
            .Where(partition => MayLeave(partition, target) && _placement.CanMove(partition, target, source))
            .OrderBy(partition => partition.Source.Bytes).ThenBy(partition => partition.Index).ToList();
        var sizes = offers.ConvertAll(partition => partition.Source.Bytes);
        (Partition, Partition)? best = null;
        var bestRank = (Loss: -LeastGain, Bytes: 0L, Large: 0, Small: 0);
        foreach (var large in source.Replicas)
        {
            if (!MayLeave(large, source) || !_placement.CanMove(large, source, target))
                continue;
            var middle = sizes.BinarySearch(large.Source.Bytes - wanted);
            middle = middle < 0 ? ~middle : middle;
            var last = Math.Min(middle + ExchangeCandidates, offers.Count);
            for (var i = Math.Max(middle - ExchangeCandidates, 0); i < last; i++)
            {
                var small = offers[i];
                var shift = large.Source.Bytes - small.Source.Bytes;
                var gain = -Harm(source, 0, -shift) - Harm(target, 0, shift);
                var rank = (Loss: -gain, Bytes: large.Source.Bytes + small.Source.Bytes, Large: large.Index, Small: small.Index);
                if (shift > 0 && gain > LeastGain && rank.CompareTo(bestRank) < 0)
                    (best, bestRank) = ((large, small), rank);
            }
        }

        return best;
    }

    /// <summary>Takes moves back that turned out not to be needed, the dearest first.</summary>
    /// <returns>Whether there were any.</returns>
    private bool GiveBack()
    {
        var any = false;
        foreach (var partition in _placement.Partitions.OrderByDescending(partition => partition.Source.Bytes)
            .ThenBy(partition => partition.Index))
        {
            foreach (var index in partition.Replicas.ToArray())
            {
                var source = _placement.Brokers[index];
                if (partition.HadFirst(source))
                    continue;
                var home = partition.First.Select(first => _placement.Brokers[first]).FirstOrDefault(first =>
                    _placement.CanMove(partition, source, first) && Gain(partition.Source.Bytes, source, first) >= -LeastGain);
                if (home is null)
                    continue;
                _placement.Move(partition, source, home);
                any = true;
            }
        }

        return any;
    }

    /// <summary>Whether the plan may move this replica: see <see cref="BalancedCluster.NewBrokers"/>.</summary>
    private bool MayLeave(Partition partition, Broker source) =>
        !partition.Source.IsFixed && (!_movesLeavingOnly || !partition.HadFirst(source));

    /// <summary>Whether the plan may move replicas there that need not move: see <see cref="BalancedCluster.NewBrokers"/>.</summary>
    private bool MayTake(Broker target) => _newBrokers.IsEmpty || _newBrokers.Contains(target.Source.Id);

    /// <summary>Whether any move between them can gain: one is out of its bounds, and the source has more of something.</summary>
    private bool MayGain(Broker source, Broker target) =>
        (source.Replicas.Count > target.Replicas.Count || source.Bytes > target.Bytes)
        && Penalty(source) + Penalty(target) > LeastGain;

    private double Penalty(Broker broker) => _bounds.Penalty(broker.Replicas.Count, broker.Bytes);

    /// <summary>How much worse it gets for a broker that takes more.</summary>
    private double Harm(Broker broker, int replicas, long bytes) =>
        _bounds.Penalty(broker.Replicas.Count + replicas, broker.Bytes + bytes) - Penalty(broker);

    /// <summary>How much better it gets for both when a replica moves.</summary>
    private double Gain(long bytes, Broker source, Broker target) => -Harm(source, -1, -bytes) - Harm(target, 1, bytes);

    private MoveReasons ReasonFor(long bytes, Broker source, Broker target)
    {
        var replicas = _bounds.ReplicasPenalty(source.Replicas.Count) + _bounds.ReplicasPenalty(target.Replicas.Count)
            - _bounds.ReplicasPenalty(source.Replicas.Count - 1) - _bounds.ReplicasPenalty(target.Replicas.Count + 1);
        return replicas >= Gain(bytes, source, target) - replicas ? MoveReasons.Replicas : MoveReasons.Bytes;
    }

    private int CompareExcess(Broker one, Broker other) =>
        (_bounds.Excess(one.Replicas.Count, one.Bytes), _bounds.Share(one.Replicas.Count, one.Bytes), one.Index).CompareTo(
            (_bounds.Excess(other.Replicas.Count, other.Bytes), _bounds.Share(other.Replicas.Count, other.Bytes), other.Index));
}
