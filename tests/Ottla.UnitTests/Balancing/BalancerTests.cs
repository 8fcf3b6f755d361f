using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.StateMachines.Balancing;

namespace Ottla.UnitTests.Balancing;

/// <summary>Plans for small clusters, each move of which can be told in advance.</summary>
public sealed class BalancerTests
{
    private const long Gigabyte = 1_000_000_000;

    [Fact]
    public void An_even_cluster_needs_no_plan()
    {
        var plan = Balancer.Plan(Cluster(
            Brokers(3), P(0, [1, 2], Gigabyte), P(1, [2, 3], Gigabyte), P(2, [3, 1], Gigabyte)));
        Assert.Empty(plan.Moves);
        Assert.Empty(plan.Elections);
        Assert.Equal((0L, new BrokerLoad(2, 1, 2 * Gigabyte)), (plan.BytesToCopy, plan.Brokers[0].After));
    }

    [Fact]
    public void A_leaving_broker_gives_its_place_in_the_order_to_whoever_takes_its_replica()
    {
        var brokers = Brokers(4);
        brokers[2] = brokers[2] with { Duty = BrokerDuty.Leaving };
        var plan = Balancer.Plan(Cluster(brokers, P(0, [1, 2], Gigabyte), P(1, [2, 3], Gigabyte), P(2, [3, 1], 2 * Gigabyte)));
        Assert.Equal(["t-2 3,1 -> 4,1 BrokerLeaves", "t-1 2,3 -> 2,4 BrokerLeaves"], Texts(plan));
        Assert.Equal(3 * Gigabyte, plan.BytesToCopy);
    }

    [Fact]
    public void Only_what_leaves_moves_while_a_broker_leaves()
    {
        var brokers = Brokers(4);
        brokers[3] = brokers[3] with { Duty = BrokerDuty.Leaving };
        // Broker 1 has all of topic u, which is uneven, but nobody asked for that.
        var plan = Balancer.Plan(Cluster(
            brokers, P(0, [4, 1], Gigabyte), new BalancedPartition(new("u", 0), [1], 1, Gigabyte),
            new BalancedPartition(new("u", 1), [1], 1, Gigabyte), new BalancedPartition(new("u", 2), [1], 1, Gigabyte)));
        Assert.Equal(["t-0 4,1 -> 2,1 BrokerLeaves"], Texts(plan));
    }

    [Fact]
    public void A_replica_that_leaves_stays_in_its_rack_when_the_others_are_taken()
    {
        List<BalancedBroker> brokers =
            [new(1, "a", BrokerDuty.Leaving), new(2, "a"), new(3, "b"), new(4, "b"), new(5, "c"), new(6, "c")];
        var plan = Balancer.Plan(Cluster(brokers, P(0, [1, 3, 5], Gigabyte), P(1, [2, 4, 6], Gigabyte), P(2, [2, 3, 5], Gigabyte)));
        // Brokers 4 and 6 have less than broker 2, but are in racks that have a replica.
        Assert.Equal([2, 3, 5], Move(plan, 0).To.Order());
    }

    [Fact]
    public void A_rack_with_two_replicas_gives_one_to_a_rack_with_none()
    {
        List<BalancedBroker> brokers = [new(1, "a"), new(2, "a"), new(3, "b"), new(4, "b")];
        var plan = Balancer.Plan(Cluster(brokers, P(0, [1, 2], Gigabyte), P(1, [3, 1], Gigabyte), P(2, [4, 2], Gigabyte)));
        Assert.Equal("t-0 1,2 -> 3,2 Racks", Assert.Single(Texts(plan), text => text.Contains("Racks", StringComparison.Ordinal)));
    }

    [Fact]
    public void New_brokers_alone_take_replicas_when_they_are_named()
    {
        var partitions = Enumerable.Range(0, 12).Select(index => P(index, [1, 2], Gigabyte)).ToArray();
        var all = Balancer.Plan(Cluster(Brokers(4), partitions));
        Assert.All(all.Brokers, broker => Assert.Equal(6, broker.After.Replicas));
        var one = Balancer.Plan(Cluster(Brokers(4), partitions) with { NewBrokers = [4] });
        Assert.All(one.Moves, move => Assert.Empty(move.To.Except(move.From).Except([4])));
        Assert.Equal([8, 8, 0, 8], one.Brokers.Select(broker => broker.After.Replicas));
    }

    [Fact]
    public void A_topic_with_more_replicas_on_the_full_broker_goes_first()
    {
        BalancedPartition[] partitions =
        [
            .. Enumerable.Range(0, 9).Select(index => new BalancedPartition(new("wide", index), [1], 1, Gigabyte)),
            .. Enumerable.Range(0, 9).Select(index => new BalancedPartition(new("narrow", index), [1], 1, Gigabyte)),
        ];
        var plan = Balancer.Plan(Cluster(Brokers(2), partitions) with { Tolerance = 0 });
        Assert.Equal(9, plan.Moves.Length);
        Assert.InRange(plan.Moves.Count(move => move.Partition.Topic == "wide"), 4, 5);
    }

    [Fact]
    public void Two_replicas_change_places_when_only_the_bytes_are_uneven()
    {
        var plan = Balancer.Plan(Cluster(
            Brokers(2), P(0, [1], 7 * Gigabyte), P(1, [1], 5 * Gigabyte), P(2, [2], Gigabyte), P(3, [2], 3 * Gigabyte)));
        Assert.Equal([8 * Gigabyte, 8 * Gigabyte], plan.Brokers.Select(broker => broker.After.Bytes));
        Assert.All(plan.Brokers, broker => Assert.Equal(2, broker.After.Replicas));
        Assert.Equal(2, plan.Moves.Length);
    }

    [Fact]
    public void Leaders_are_spread_by_the_order_of_replicas_alone()
    {
        var plan = Balancer.Plan(Cluster(
            Brokers(3), P(0, [1, 2], Gigabyte), P(1, [1, 3], Gigabyte), P(2, [1, 2], Gigabyte), P(3, [2, 3], Gigabyte),
            P(4, [2, 3], Gigabyte), P(5, [1, 3], Gigabyte)));
        Assert.Equal(0, plan.BytesToCopy);
        Assert.All(plan.Brokers, broker => Assert.Equal(2, broker.After.Leaders));
        Assert.All(plan.Moves, move => Assert.Equal(MoveReasons.Leaders, move.Reasons));
        Assert.All(plan.Moves, move => Assert.Equal(move.From.Order(), move.To.Order()));
    }

    [Fact]
    public void A_leader_that_is_not_the_preferred_one_is_elected_without_a_move()
    {
        var plan = Balancer.Plan(Cluster(Brokers(2), P(0, [1, 2], Gigabyte) with { Leader = 2 }, P(1, [2, 1], Gigabyte)));
        Assert.Empty(plan.Moves);
        Assert.Equal([new TopicPartition("t", 0)], plan.Elections.AsEnumerable());
    }

    [Fact]
    public void A_silent_broker_keeps_what_it_has_and_takes_nothing()
    {
        var brokers = Brokers(3);
        brokers[2] = brokers[2] with { Duty = BrokerDuty.Keeping };
        var plan = Balancer.Plan(Cluster(
            brokers, P(0, [3, 1], Gigabyte) with { Leader = 1 }, P(1, [1], Gigabyte), P(2, [1], Gigabyte), P(3, [9, 1], Gigabyte)));
        Assert.Equal(["t-0 3,1 -> 3,2 Replicas", "t-1 1 -> 2 Replicas"], Texts(plan));
        Assert.Equal(1, plan.Brokers.Single(broker => broker.Broker.Id == 3).After.Replicas);
        Assert.Equal(BrokerDuty.Keeping, plan.Brokers.Single(broker => broker.Broker.Id == 9).Broker.Duty); // nobody told of it
    }

    [Fact]
    public void What_has_nowhere_to_go_is_told()
    {
        List<BalancedBroker> brokers =
            [new(1, null), new(2, null, BrokerDuty.Leaving), new(3, null, RoomBytes: Gigabyte), new(4, null, BrokerDuty.Keeping)];
        var plan = Balancer.Plan(Cluster(brokers, P(0, [2, 3, 1], Gigabyte), P(1, [1, 2], 2 * Gigabyte), P(2, [1, 2], Gigabyte)));
        Assert.Equal(
            [new StuckReplica(new("t", 1), 2, LacksRoom: true), new StuckReplica(new("t", 0), 2, LacksRoom: false)],
            plan.Stuck.AsEnumerable());
        Assert.Equal([1, 3], Move(plan, 2).To.Order());
        Assert.DoesNotContain(plan.Moves, move => move.Partition.Partition != 2 && move.To.Except(move.From).Any());
    }

    [Fact]
    public void A_large_cluster_is_planned()
    {
        var random = new Prng(5);
        var brokers = Enumerable.Range(1, 100).Select(id => new BalancedBroker(id, $"r{id % 3}")).ToList();
        var cluster = new BalancedCluster
        {
            Brokers = brokers,
            Partitions = RandomClusters.Partitions(random, brokers[..^3], topics: 300, placesWell: true, partitionsMax: 200),
            NewBrokers = [98, 99, 100],
        };
        var plan = Balancer.Plan(cluster);
        Assert.All(plan.Brokers.TakeLast(3), broker => Assert.NotEqual(0, broker.After.Replicas));
    }

    private static List<BalancedBroker> Brokers(int count) => [.. Enumerable.Range(1, count).Select(id => new BalancedBroker(id, null))];

    private static BalancedPartition P(int index, ImmutableArray<int> replicas, long bytes) =>
        new(new("t", index), replicas, replicas[0], bytes);

    private static BalancedCluster Cluster(List<BalancedBroker> brokers, params BalancedPartition[] partitions) =>
        new() { Brokers = brokers, Partitions = partitions };

    private static PartitionMove Move(ReassignmentPlan plan, int partition) =>
        plan.Moves.Single(move => move.Partition.Partition == partition);

    private static string[] Texts(ReassignmentPlan plan) =>
        [.. plan.Moves.Select(move => $"{move.Partition} {string.Join(',', move.From)} -> {string.Join(',', move.To)} {move.Reasons}")];
}
