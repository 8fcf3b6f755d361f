using System.Collections.Concurrent;
using Ottla.Kernel;

namespace Ottla.Broker.Replicas;

/// <summary>The replicas of this broker, found by topic name or id without a lock. Changed by the metadata publisher only.</summary>
public sealed class HostedTopics
{
    private readonly ConcurrentDictionary<string, HostedTopic> _byName = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Uuid, HostedTopic> _byId = new();
    private readonly ConcurrentDictionary<TopicPartition, Uuid> _offline = new();
    private TrafficTotals _trafficOfRemoved;

    /// <summary>Counts the requests that wait for these replicas.</summary>
    internal ReplicaWaits Waits { get; } = new();

    /// <summary>The topics that this broker has replicas of.</summary>
    public IEnumerable<HostedTopic> Topics => _byId.Values;

    /// <summary>The replicas of this broker.</summary>
    public IEnumerable<PartitionReplica> Replicas => _byId.Values.SelectMany(topic => topic.Replicas);

    /// <summary>How many replicas have a log that cannot be used.</summary>
    internal int OfflineCount => _offline.Count;

    /// <summary>What went in and out of the topics that this broker has no replica of any more.</summary>
    internal TrafficTotals TrafficOfRemoved
    {
        get
        {
            lock (_byName)
                return _trafficOfRemoved;
        }
    }

    /// <summary>The topic of a name; null when this broker has no replica of it.</summary>
    public HostedTopic? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The topic of an id; null when this broker has no replica of it.</summary>
    public HostedTopic? Find(Uuid id) => _byId.GetValueOrDefault(id);

    /// <summary>Whether this broker should have a replica of a partition, but its log cannot be used.</summary>
    public bool IsOffline(string topic, int partition) => _offline.ContainsKey(new TopicPartition(topic, partition));

    /// <summary>Records that the log of a replica cannot be used.</summary>
    internal void AddOffline(Uuid topicId, TopicPartition partition) => _offline[partition] = topicId;

    /// <summary>Removes the replicas of a topic whose logs cannot be used.</summary>
    /// <returns>The removed partitions.</returns>
    internal IReadOnlyList<TopicPartition> RemoveOffline(Uuid topicId)
    {
        List<TopicPartition> partitions = [.. _offline.Where(known => known.Value == topicId).Select(known => known.Key)];
        partitions.ForEach(partition => _offline.TryRemove(partition, out _));
        return partitions;
    }

    /// <summary>Forgets that the log of a replica cannot be used: this broker is no replica any more.</summary>
    internal void RemoveOffline(TopicPartition partition) => _offline.TryRemove(partition, out _);

    /// <summary>Adds a replica.</summary>
    internal void Add(PartitionReplica replica)
    {
        _offline.TryRemove(replica.Partition, out _);
        var topic = _byId.GetOrAdd(replica.TopicId, static (id, name) => new HostedTopic(id, name), replica.Partition.Topic);
        topic.Set(replica.Partition.Partition, replica);
        _byName[topic.Name] = topic; // last: a reader that finds the topic by name must find the partition too
    }

    /// <summary>Removes a replica, and its topic if that was its last one here.</summary>
    internal void Remove(PartitionReplica replica)
    {
        if (Find(replica.TopicId) is not { } topic)
            return;
        topic.Set(replica.Partition.Partition, null);
        topic.Keep(replica.Traffic.Totals);
        if (!topic.Replicas.Any())
            Remove(topic);
    }

    /// <summary>Removes a topic and all its replicas.</summary>
    internal void Remove(HostedTopic topic)
    {
        // A new topic may have the same name by now: the name is removed only if it still belongs to this id.
        _byName.TryRemove(new KeyValuePair<string, HostedTopic>(topic.Name, topic));
        if (!_byId.TryRemove(topic.Id, out _))
            return;
        lock (_byName)
            _trafficOfRemoved += topic.Traffic;
    }
}

/// <summary>A topic that this broker has replicas of.</summary>
public sealed class HostedTopic(Uuid id, string name)
{
    private readonly Lock _lock = new();
    private volatile PartitionReplica?[] _replicas = [];

    // Guarded by _lock.
    private TrafficTotals _trafficOfRemoved;

    /// <summary>The topic's id.</summary>
    public Uuid Id => id;

    /// <summary>The topic's name.</summary>
    public string Name => name;

    /// <summary>The replicas of this broker.</summary>
    public IEnumerable<PartitionReplica> Replicas => _replicas.OfType<PartitionReplica>();

    /// <summary>What went in and out of the topic here, also of replicas that are not here any more.</summary>
    internal TrafficTotals Traffic
    {
        get
        {
            TrafficTotals sum;
            lock (_lock)
                sum = _trafficOfRemoved;
            foreach (var replica in Replicas)
                sum += replica.Traffic.Totals;
            return sum;
        }
    }

    /// <summary>Keeps what was counted at a replica that is no more: a sum must not shrink.</summary>
    internal void Keep(in TrafficTotals traffic)
    {
        lock (_lock)
            _trafficOfRemoved += traffic;
    }

    /// <summary>The replica of a partition; null when it is not here.</summary>
    public PartitionReplica? Find(int partition)
    {
        var replicas = _replicas;
        return (uint)partition < (uint)replicas.Length ? replicas[partition] : null;
    }

    internal void Set(int partition, PartitionReplica? replica)
    {
        var replicas = _replicas;
        if (partition >= replicas.Length)
            Array.Resize(ref replicas, Math.Max(replicas.Length * 2, partition + 1));
        Volatile.Write(ref replicas[partition], replica);
        _replicas = replicas; // readers keep the old array, which does not change
    }
}
