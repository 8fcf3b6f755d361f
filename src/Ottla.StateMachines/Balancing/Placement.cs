using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Ottla.Kernel;

namespace Ottla.StateMachines.Balancing;

/// <summary>Where every replica is while a plan is made, and what each broker carries by it. Owned by the maker of one plan.</summary>
internal sealed class Placement
{
    private readonly Dictionary<(int Topic, int Broker), int> _replicasOfTopic = [];

    public Placement(BalancedCluster cluster)
    {
        var named = cluster.Brokers.ToDictionary(broker => broker.Id);
        var unknown = cluster.Partitions.SelectMany(partition => partition.Replicas).Where(id => !named.ContainsKey(id)).Distinct()
            .Select(id => new BalancedBroker(id, null, BrokerDuty.Keeping));
        var racks = cluster.Brokers.Select(broker => broker.Rack).Distinct().OrderBy(rack => rack, StringComparer.Ordinal).ToList();
        Brokers =
        [
            .. cluster.Brokers.Concat(unknown).OrderBy(broker => broker.Id).Select((broker, index) =>
                new Broker(broker, index, named.ContainsKey(broker.Id) ? racks.IndexOf(broker.Rack) : -1 - broker.Id)),
        ];
        var indexes = Brokers.ToDictionary(broker => broker.Source.Id, broker => broker.Index);
        var topics = cluster.Partitions.Select(partition => partition.Id.Topic).Distinct().Order(StringComparer.Ordinal)
            .Select((name, index) => (name, index)).ToDictionary(topic => topic.name, topic => topic.index);
        Partitions =
        [
            .. cluster.Partitions.OrderBy(partition => partition.Id.Topic, StringComparer.Ordinal)
                .ThenBy(partition => partition.Id.Partition).Select((partition, index) => new Partition(
                    partition, index, topics[partition.Id.Topic], [.. partition.Replicas.Select(id => indexes[id])])),
        ];
        foreach (var partition in Partitions)
        {
            foreach (var broker in partition.Replicas)
                Take(partition, Brokers[broker]);
        }
    }

    /// <summary>The brokers by id.</summary>
    public ImmutableArray<Broker> Brokers { get; }

    /// <summary>The partitions by topic and number.</summary>
    public ImmutableArray<Partition> Partitions { get; }

    /// <summary>How many replicas of a topic a broker has.</summary>
    public int ReplicasOfTopic(int topic, Broker broker) => _replicasOfTopic.GetValueOrDefault((topic, broker.Index));

    /// <summary>Whether a broker may take a replica of a partition that it does not have.</summary>
    public static bool CanTake(Partition partition, Broker target) =>
        target.Source.Duty == BrokerDuty.Serving && !partition.Has(target) && HasRoom(partition, target);

    /// <summary>Whether the replica fits on a broker's disks. What was there from the beginning does.</summary>
    public static bool HasRoom(Partition partition, Broker target) =>
        partition.HadFirst(target) || target.RoomBytes >= partition.Source.Bytes;

    /// <summary>How many of a partition's replicas are in a rack.</summary>
    public int InRack(Partition partition, int rack)
    {
        var count = 0;
        foreach (var broker in partition.Replicas)
        {
            if (Brokers[broker].Rack == rack)
                count++;
        }

        return count;
    }

    /// <summary>Whether a replica may go from one broker to another: the target takes it, and the racks are no worse for it.</summary>
    public bool CanMove(Partition partition, Broker source, Broker target) =>
        CanTake(partition, target)
        && (source.Rack == target.Rack || InRack(partition, target.Rack) < InRack(partition, source.Rack));

    /// <summary>Moves a replica; the new one takes the place of the old one in the order.</summary>
    public void Move(Partition partition, Broker source, Broker target)
    {
        Invariant.Check(!partition.Source.IsFixed, "a partition that stays as it is is not moved");
        Invariant.Check(!partition.Has(target), "a broker has one replica of a partition");
        partition.Replicas[Array.IndexOf(partition.Replicas, source.Index)] = target.Index;
        Give(partition, source);
        Take(partition, target);
    }

    private void Take(Partition partition, Broker broker)
    {
        broker.Replicas.Add(partition);
        broker.Bytes += partition.Source.Bytes;
        if (!partition.HadFirst(broker))
            broker.RoomBytes -= partition.Source.Bytes;
        CollectionsMarshal.GetValueRefOrAddDefault(_replicasOfTopic, (partition.Topic, broker.Index), out _)++;
    }

    private void Give(Partition partition, Broker broker)
    {
        var removed = broker.Replicas.Remove(partition);
        Invariant.Check(removed, "a replica is moved from where it is");
        broker.Bytes -= partition.Source.Bytes;
        if (!partition.HadFirst(broker))
            broker.RoomBytes += partition.Source.Bytes;
        CollectionsMarshal.GetValueRefOrAddDefault(_replicasOfTopic, (partition.Topic, broker.Index), out _)--;
    }

    /// <summary>A broker and what it carries.</summary>
    /// <param name="source">The broker as it was given.</param>
    /// <param name="index">Its place in <see cref="Brokers"/>.</param>
    /// <param name="rack">Its rack; a broker that only a partition names has one of its own.</param>
    internal sealed class Broker(BalancedBroker source, int index, int rack)
    {
        public BalancedBroker Source => source;

        public int Index => index;

        public int Rack => rack;

        public List<Partition> Replicas { get; } = [];

        public long Bytes { get; set; }

        /// <summary>The room that is left when everything that comes is there, and nothing that goes is gone yet.</summary>
        public long RoomBytes { get; set; } = source.RoomBytes;
    }

    /// <summary>A partition and where its replicas are.</summary>
    /// <param name="source">The partition as it was given.</param>
    /// <param name="index">Its place in <see cref="Partitions"/>.</param>
    /// <param name="topic">The number of its topic.</param>
    /// <param name="replicas">The brokers that have it first, by their place in <see cref="Brokers"/>.</param>
    internal sealed class Partition(BalancedPartition source, int index, int topic, ImmutableArray<int> replicas)
    {
        public BalancedPartition Source => source;

        public int Index => index;

        public int Topic => topic;

        /// <summary>The brokers that had it at first.</summary>
        public ImmutableArray<int> First => replicas;

        /// <summary>The brokers that have it, the preferred leader first.</summary>
        public int[] Replicas { get; } = [.. replicas];

        /// <summary>What replicas were moved for, other than leaving brokers and racks.</summary>
        public MoveReasons BalancedFor { get; set; }

        public bool Has(Broker broker) => Array.IndexOf(Replicas, broker.Index) >= 0;

        public bool HadFirst(Broker broker) => First.Contains(broker.Index);
    }
}
