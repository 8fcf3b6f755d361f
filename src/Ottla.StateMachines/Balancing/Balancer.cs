using System.Collections.Immutable;
using Ottla.Kernel;
using Partition = Ottla.StateMachines.Balancing.Placement.Partition;

namespace Ottla.StateMachines.Balancing;

/// <summary>
/// Plans which replicas to move so that brokers carry alike, racks are used well, and brokers that are to be removed are empty. Pure: the
/// same cluster gives the same plan.
/// </summary>
/// <remarks>
/// What it holds to: a partition keeps its replication factor; its replicas are on no fewer racks than before, unless a broker leaves and
/// no other will do; a broker gets no more than it has room for; and a plan for what a plan results in is empty, so carrying out plans
/// comes to an end. See <see cref="ReplicaBalancer"/> for replicas and bytes, <see cref="LeaderBalancer"/> for leaders.
/// </remarks>
public static class Balancer
{
    /// <summary>Makes the plan.</summary>
    public static ReassignmentPlan Plan(BalancedCluster cluster)
    {
        var placement = new Placement(cluster);
        var before = Loads(placement, partition => partition.Source.Leader);
        var stuck = new ReplicaBalancer(placement, cluster).Run();
        foreach (var partition in placement.Partitions)
            RestoreOrder(partition);
        var beforeLeaders = placement.Partitions.Select(partition => partition.Replicas.ToImmutableArray()).ToList();
        new LeaderBalancer(placement).Run();
        var after = Loads(
            placement, partition => partition.Replicas.Length > 0 ? placement.Brokers[partition.Replicas[0]].Source.Id : -1);

        var moves = placement.Partitions
            .Select(partition => ToMove(placement, partition, !beforeLeaders[partition.Index].AsSpan().SequenceEqual(partition.Replicas)))
            .OfType<PartitionMove>()
            .OrderBy(Urgency).ThenByDescending(move => move.BytesToCopy).ThenBy(move => move.Partition.Topic, StringComparer.Ordinal)
            .ThenBy(move => move.Partition.Partition).ToImmutableArray();
        return new ReassignmentPlan(
            moves,
            Elections(placement),
            [.. placement.Brokers.Select(broker => new BrokerFigures(broker.Source, before[broker.Index], after[broker.Index]))],
            [.. stuck]);
    }

    private static int Urgency(PartitionMove move) =>
        (move.Reasons & MoveReasons.BrokerLeaves) != 0 ? 0
        : (move.Reasons & MoveReasons.Racks) != 0 ? 1
        : move.To.Except(move.From).Any() ? 2
        : 3;

    /// <summary>Puts the replicas that stayed where they were in the order, and the new ones in the places that became free.</summary>
    private static void RestoreOrder(Partition partition)
    {
        var added = new Queue<int>(partition.Replicas.Where(broker => !partition.First.Contains(broker)));
        var kept = partition.Replicas.ToHashSet();
        for (var i = 0; i < partition.Replicas.Length; i++)
            partition.Replicas[i] = kept.Contains(partition.First[i]) ? partition.First[i] : added.Dequeue();
    }

    private static PartitionMove? ToMove(Placement placement, Partition partition, bool changesLeader)
    {
        if (partition.First.AsSpan().SequenceEqual(partition.Replicas))
            return null;
        var gone = partition.First.Except(partition.Replicas).Select(index => placement.Brokers[index]).ToList();
        var reasons = changesLeader ? MoveReasons.Leaders : MoveReasons.None;
        if (gone.Any(broker => broker.Source.Duty == BrokerDuty.Leaving))
            reasons |= MoveReasons.BrokerLeaves;
        if (gone.Any(broker => broker.Source.Duty != BrokerDuty.Leaving))
        {
            var spreads = RackSquares(placement, partition.Replicas) < RackSquares(placement, partition.First.AsSpan());
            reasons |= spreads ? MoveReasons.Racks : partition.BalancedFor;
        }

        return new PartitionMove(
            partition.Source.Id, partition.Source.Replicas,
            [.. partition.Replicas.Select(index => placement.Brokers[index].Source.Id)], partition.Source.Bytes, reasons);
    }

    /// <summary>Smaller when replicas are spread over more racks, or more evenly.</summary>
    private static int RackSquares(Placement placement, ReadOnlySpan<int> replicas)
    {
        var sum = 0;
        foreach (var one in replicas)
        {
            foreach (var other in replicas)
                sum += placement.Brokers[one].Rack == placement.Brokers[other].Rack ? 1 : 0;
        }

        return sum;
    }

    private static ImmutableArray<TopicPartition> Elections(Placement placement) =>
    [
        .. from partition in placement.Partitions
           where partition.First.AsSpan().SequenceEqual(partition.Replicas) && partition.Replicas.Length > 0
           let preferred = placement.Brokers[partition.Replicas[0]].Source
           where preferred.Duty == BrokerDuty.Serving && partition.Source.Leader != preferred.Id && !partition.Source.IsFixed
           select partition.Source.Id,
    ];

    private static BrokerLoad[] Loads(Placement placement, Func<Partition, int> leaderOf)
    {
        var leaders = placement.Partitions.GroupBy(leaderOf).ToDictionary(group => group.Key, group => group.Count());
        return
        [
            .. placement.Brokers.Select(broker =>
                new BrokerLoad(broker.Replicas.Count, leaders.GetValueOrDefault(broker.Source.Id), broker.Bytes)),
        ];
    }
}
