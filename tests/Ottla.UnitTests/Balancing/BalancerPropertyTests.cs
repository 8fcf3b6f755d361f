using Ottla.Kernel;
using Ottla.StateMachines.Balancing;

namespace Ottla.UnitTests.Balancing;

/// <summary>What holds for every plan, over random clusters. A failure names the seed.</summary>
public sealed class BalancerPropertyTests
{
    private const int Seeds = 2000;

    [Fact]
    public void Every_plan_is_valid_and_the_next_one_is_empty()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            var cluster = RandomClusters.Any(seed);
            var plan = Balancer.Plan(cluster);
            CheckMoves(seed, cluster, plan);
            CheckFigures(seed, cluster, plan);
            CheckNothingIsLeftBehind(seed, cluster, plan);
            CheckRacks(seed, cluster, plan);
            CheckLeaders(seed, RandomClusters.After(cluster, plan));

            var again = Balancer.Plan(RandomClusters.After(cluster, plan));
            Assert.True(again.Moves.IsEmpty, $"seed {seed}: the plan for what a plan results in moves {again.Moves.FirstOrDefault()}");
            Assert.Equal(plan.Stuck.AsEnumerable(), again.Stuck);
        }
    }

    [Fact]
    public void The_order_in_which_brokers_and_partitions_are_given_changes_nothing()
    {
        for (var seed = 1UL; seed <= 100; seed++)
        {
            var cluster = RandomClusters.Any(seed);
            var reversed = cluster with { Brokers = [.. cluster.Brokers.Reverse()], Partitions = [.. cluster.Partitions.Reverse()] };
            Assert.Equal(Text(Balancer.Plan(cluster)), Text(Balancer.Plan(reversed)));
        }
    }

    [Fact]
    public void A_broker_that_leaves_costs_no_more_than_what_it_has()
    {
        for (var seed = 1UL; seed <= 300; seed++)
        {
            var random = new Prng(seed);
            var brokers = RandomClusters.Brokers(random, random.NextInt(5, 13), random.NextInt(4));
            var partitions = RandomClusters.Partitions(random, brokers, random.NextInt(1, 9), placesWell: true);
            var cluster = new BalancedCluster
            {
                Brokers = [.. brokers.Select(broker => broker.Id == 3 ? broker with { Duty = BrokerDuty.Leaving } : broker)],
                Partitions = partitions,
            };
            var plan = Balancer.Plan(cluster);
            var has = partitions.Where(partition => partition.Replicas.Contains(3)).Sum(partition => partition.Bytes);
            Assert.True(plan.BytesToCopy == has, $"seed {seed}: {plan.BytesToCopy} bytes are copied for {has}");
            Assert.Equal(new BrokerLoad(0, 0, 0), plan.Brokers.Single(figures => figures.Broker.Id == 3).After);
        }
    }

    [Fact]
    public void A_new_broker_gets_its_share_and_no_more_than_that_is_copied()
    {
        for (var seed = 1UL; seed <= 300; seed++)
        {
            var random = new Prng(seed);
            var racks = random.NextInt(4);
            var count = random.NextInt(4, 12);
            var brokers = Enumerable.Range(1, count).Select(id => new BalancedBroker(id, racks == 0 ? null : $"r{id % racks}")).ToList();
            var isAlike = random.NextChance(50);
            var old = new BalancedCluster
            {
                Brokers = [.. brokers.SkipLast(1)],
                Partitions = RandomClusters.Partitions(
                    random, brokers[..^1], 8, placesWell: true, partitionsMax: 100, bytes: isAlike ? 50_000_000 : null),
            };
            var even = RandomClusters.After(old, Balancer.Plan(old)) with { Brokers = brokers };
            var added = Balancer.Plan(even with { NewBrokers = [count] });
            var load = added.Brokers[^1].After;
            Assert.True(added.BytesToCopy == load.Bytes, $"seed {seed}: {added.BytesToCopy} bytes are copied for {load.Bytes}");
            if (!isAlike || racks > 0)
                continue;

            // Partitions of one size, no racks: the share can be had, and nothing else has to move for it.
            var full = Balancer.Plan(even);
            load = full.Brokers[^1].After;
            var share = full.Brokers.Average(figures => figures.After.Replicas) * (1 - old.Tolerance);
            Assert.True(load.Replicas >= Math.Floor(share), $"seed {seed}: {load.Replicas} replicas of {share}");
            Assert.True(full.BytesToCopy == load.Bytes, $"seed {seed}: {full.BytesToCopy} bytes are copied for {load.Bytes}");
        }
    }

    [Fact]
    public void Partitions_of_one_size_are_spread_evenly_from_anywhere()
    {
        for (var seed = 1UL; seed <= 300; seed++)
        {
            var random = new Prng(seed);
            var brokers = RandomClusters.Brokers(random, random.NextInt(5, 13), racks: 0);
            var cluster = new BalancedCluster
            {
                Brokers = brokers,
                Partitions = RandomClusters.Partitions(
                    random, brokers[..random.NextInt(4, brokers.Count + 1)], random.NextInt(1, 9), placesWell: false, bytes: 50_000_000),
                Tolerance = random.NextInt(0, 30) / 100.0,
            };
            var plan = Balancer.Plan(cluster);
            var average = plan.Brokers.Average(figures => figures.After.Replicas);
            var min = Math.Min(Math.Floor(average), Math.Ceiling(average * (1 - cluster.Tolerance)));
            var max = Math.Max(Math.Ceiling(average), Math.Floor(average * (1 + cluster.Tolerance)));
            Assert.All(plan.Brokers, figures => Assert.True(
                figures.After.Replicas >= min && figures.After.Replicas <= max, $"seed {seed}: {figures} is not in {min} to {max}"));
            // Whoever has too little must get it: no plan copies less.
            var missing = plan.Brokers.Sum(figures => Math.Max(0, min - figures.Before.Replicas));
            var surplus = plan.Brokers.Sum(figures => Math.Max(0, figures.Before.Replicas - max));
            var moved = plan.Moves.Sum(move => move.To.Except(move.From).Count());
            var least = Math.Max(missing, surplus);
            Assert.True(moved <= (least * 1.1) + brokers.Count, $"seed {seed}: {moved} moves, and {least} must be");
        }
    }

    private static void CheckMoves(ulong seed, BalancedCluster cluster, ReassignmentPlan plan)
    {
        var duties = cluster.Brokers.ToDictionary(broker => broker.Id, broker => broker.Duty);
        foreach (var move in plan.Moves)
        {
            var name = $"seed {seed}: {move}";
            Assert.True(move.From.Length == move.To.Length && move.To.Distinct().Count() == move.To.Length, name);
            Assert.False(move.From.SequenceEqual(move.To), name);
            Assert.True(move.Reasons != MoveReasons.None, name);
            Assert.All(move.To.Except(move.From), id => Assert.True(duties[id] == BrokerDuty.Serving, name));
            Assert.All(move.From.Except(move.To), id => Assert.True(duties[id] != BrokerDuty.Keeping, name));
            Assert.False(cluster.Partitions.Single(p => p.Id == move.Partition).IsFixed, name);
            if (cluster.NewBrokers.IsEmpty && cluster.Brokers.All(broker => broker.Duty != BrokerDuty.Leaving))
                continue;
            // Only what leaves moves, and what goes to a new broker.
            foreach (var (gone, come) in move.From.Except(move.To).Zip(move.To.Except(move.From)))
                Assert.True(duties[gone] == BrokerDuty.Leaving || move.To.Except(move.From).Any(cluster.NewBrokers.Contains), name);
        }
    }

    private static void CheckFigures(ulong seed, BalancedCluster cluster, ReassignmentPlan plan)
    {
        var after = RandomClusters.After(cluster, plan).Partitions;
        foreach (var figures in plan.Brokers)
        {
            var id = figures.Broker.Id;
            Assert.Equal(Load(cluster.Partitions, id, partition => partition.Leader), figures.Before);
            Assert.True(Load(after, id, partition => partition.Replicas[0]) == figures.After, $"seed {seed}, broker {id}");
        }
    }

    private static BrokerLoad Load(IEnumerable<BalancedPartition> partitions, int broker, Func<BalancedPartition, int> leader)
    {
        var there = partitions.Where(partition => partition.Replicas.Contains(broker)).ToList();
        return new BrokerLoad(there.Count, there.Count(partition => leader(partition) == broker), there.Sum(partition => partition.Bytes));
    }

    private static void CheckNothingIsLeftBehind(ulong seed, BalancedCluster cluster, ReassignmentPlan plan)
    {
        var serving = cluster.Brokers.Where(broker => broker.Duty == BrokerDuty.Serving).Select(broker => broker.Id).ToList();
        foreach (var partition in RandomClusters.After(cluster, plan).Partitions.Where(partition => !partition.IsFixed))
        {
            foreach (var leaving in cluster.Brokers.Where(broker => broker.Duty == BrokerDuty.Leaving).Select(broker => broker.Id))
            {
                var stays = partition.Replicas.Contains(leaving);
                Assert.True(!stays || !serving.Except(partition.Replicas).Any(), $"seed {seed}: {partition.Id}");
                Assert.Equal(stays, plan.Stuck.Contains(new StuckReplica(partition.Id, leaving, LacksRoom: false)));
            }
        }
    }

    private static void CheckRacks(ulong seed, BalancedCluster cluster, ReassignmentPlan plan)
    {
        var racks = cluster.Brokers.ToDictionary(broker => broker.Id, broker => broker.Rack);
        var serving = cluster.Brokers.Where(broker => broker.Duty == BrokerDuty.Serving).ToDictionary(broker => broker.Id);
        var servingRacks = serving.Values.Select(broker => broker.Rack).Distinct().ToList();
        var isFull = cluster.NewBrokers.IsEmpty && cluster.Brokers.All(broker => broker.Duty == BrokerDuty.Serving);
        foreach (var (before, after) in cluster.Partitions.Zip(RandomClusters.After(cluster, plan).Partitions))
        {
            var had = before.Replicas.Select(id => racks[id]).Distinct().Count();
            var has = after.Replicas.Select(id => racks[id]).Distinct().Count();
            var possible = after.Replicas.Where(id => !serving.ContainsKey(id)).Select(id => racks[id]).Union(servingRacks).Count();
            var name = $"seed {seed}: {before.Id} was on {had} racks and is on {has} of {possible}";
            Assert.True(has >= Math.Min(had, Math.Min(possible, after.Replicas.Length)), name);
            if (isFull && !before.IsFixed)
                Assert.True(has == Math.Min(servingRacks.Count, after.Replicas.Length), name);
        }
    }

    /// <summary>No choice of preferred leaders has a lower maximum: partitions are matched to brokers that take one less.</summary>
    private static void CheckLeaders(ulong seed, BalancedCluster after)
    {
        var serving = after.Brokers.Where(broker => broker.Duty == BrokerDuty.Serving).Select(broker => broker.Id).ToHashSet();
        var partitions = after.Partitions.Where(partition => serving.Contains(partition.Replicas[0])).ToList();
        if (partitions.Count == 0)
            return;
        var max = partitions.GroupBy(partition => partition.Replicas[0]).Max(group => group.Count());
        var led = serving.ToDictionary(id => id, _ => new List<BalancedPartition>());
        var all = partitions.All(partition => Match(partition, []));
        Assert.False(all, $"seed {seed}: no broker needs to be preferred by {max} partitions");

        bool Match(BalancedPartition partition, HashSet<int> tried)
        {
            foreach (var id in partition.IsFixed ? partition.Replicas.Take(1) : partition.Replicas.Where(serving.Contains))
            {
                if (!tried.Add(id))
                    continue;
                if (led[id].Count < max - 1)
                {
                    led[id].Add(partition);
                    return true;
                }

                foreach (var other in led[id])
                {
                    if (!Match(other, tried))
                        continue;
                    led[id].Remove(other);
                    led[id].Add(partition);
                    return true;
                }
            }

            return false;
        }
    }

    private static string Text(ReassignmentPlan plan) =>
        string.Join('\n', plan.Moves.Select(move => $"{move.Partition} {string.Join(',', move.To)} {move.Reasons}"));
}
