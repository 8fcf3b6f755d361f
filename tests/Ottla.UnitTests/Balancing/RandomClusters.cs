using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.StateMachines.Balancing;

namespace Ottla.UnitTests.Balancing;

/// <summary>Clusters for plans, each from a seed alone, and what a plan makes of one.</summary>
internal static class RandomClusters
{
    /// <summary>Any cluster: brokers on racks or not, new, leaving or silent ones; topics of all sizes, placed well or badly.</summary>
    public static BalancedCluster Any(ulong seed)
    {
        var random = new Prng(seed);
        var brokers = Brokers(random, random.NextInt(1, 13), random.NextInt(5));
        var placesWell = random.NextChance(50);
        var partitions = Partitions(random, [.. brokers.Take(random.NextInt(1, brokers.Count + 1))], random.NextInt(1, 9), placesWell);
        var cluster = new BalancedCluster
        {
            Brokers = [.. brokers.Select(broker => random.NextChance(12) ? broker with { Duty = BrokerDuty.Leaving }
                : random.NextChance(8) ? broker with { Duty = BrokerDuty.Keeping } : broker)],
            Partitions = [.. partitions.Select(partition => partition with { IsFixed = random.NextChance(3) })],
            Tolerance = random.NextInt(0, 30) / 100.0,
        };
        return random.NextChance(60) ? cluster : cluster with
        {
            NewBrokers = [.. cluster.Brokers.Where(broker => broker.Duty == BrokerDuty.Serving && random.NextChance(25)).Select(b => b.Id)],
        };
    }

    /// <summary>Brokers 1, 2 and so on, on racks in turn; without racks for 0.</summary>
    public static List<BalancedBroker> Brokers(Prng random, int count, int racks) =>
    [
        .. Enumerable.Range(1, count).Select(id => new BalancedBroker(
            id, racks == 0 ? null : $"r{(random.NextChance(20) ? random.NextInt(racks) : id % racks)}")),
    ];

    /// <summary>Topics on some brokers: striped over them, or anywhere; each with a size of its own, unless one is given for all.</summary>
    public static List<BalancedPartition> Partitions(
        Prng random, List<BalancedBroker> brokers, int topics, bool placesWell, int partitionsMax = 40, long? bytes = null)
    {
        var partitions = new List<BalancedPartition>();
        for (var topic = 0; topic < topics; topic++)
        {
            var factor = random.NextInt(1, Math.Min(brokers.Count, 4) + 1);
            var start = random.NextInt(brokers.Count);
            var size = bytes ?? Size(random);
            var count = random.NextInt(1, partitionsMax + 1);
            for (var index = 0; index < count; index++)
            {
                var replicas = placesWell ? Striped(brokers, start + index, factor) : Anywhere(random, brokers, factor);
                var extra = bytes is null ? size / 1000 * random.NextInt(100) : 0;
                partitions.Add(new BalancedPartition(new($"t{topic}", index), replicas, replicas[0], size + extra));
            }
        }

        return partitions;
    }

    /// <summary>The cluster once a plan is carried out.</summary>
    public static BalancedCluster After(BalancedCluster cluster, ReassignmentPlan plan)
    {
        var moves = plan.Moves.ToDictionary(move => move.Partition);
        return cluster with
        {
            Partitions =
            [
                .. cluster.Partitions.Select(partition => moves.TryGetValue(partition.Id, out var move)
                    ? partition with { Replicas = move.To, Leader = move.To[0] }
                    : partition with { Leader = partition.Replicas[0] }),
            ],
        };
    }

    private static long Size(Prng random) => random.NextInt(4) switch
    {
        0 => 0,
        1 => random.NextInt(1, 1 << 20),
        2 => 50_000_000L,
        _ => 1L << random.NextInt(20, 36),
    };

    private static ImmutableArray<int> Striped(List<BalancedBroker> brokers, int start, int factor)
    {
        // Neighbours are on other racks, as far as there are some.
        var byRack = brokers.GroupBy(broker => broker.Rack).Select(group => group.ToList()).ToList();
        var ring = Enumerable.Range(0, brokers.Count)
            .SelectMany(round => byRack.Where(rack => rack.Count > round).Select(rack => rack[round])).ToList();
        return [.. Enumerable.Range(0, factor).Select(i => ring[(start + i) % ring.Count].Id)];
    }

    private static ImmutableArray<int> Anywhere(Prng random, List<BalancedBroker> brokers, int factor)
    {
        var ids = brokers.ConvertAll(broker => broker.Id);
        var replicas = new List<int>();
        while (replicas.Count < factor)
        {
            var index = Math.Min(random.NextInt(ids.Count), random.NextInt(ids.Count)); // the first ones have more
            replicas.Add(ids[index]);
            ids.RemoveAt(index);
        }

        return [.. replicas];
    }
}
