using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Metadata;

/// <summary>Applies the records of topics and partitions. Lives for one batch; not thread-safe.</summary>
/// <remarks>It copies a topic's partitions at most once per batch, on the first change.</remarks>
internal sealed class TopicsBuilder(TopicsImage topics)
{
    private readonly Dictionary<Uuid, OpenTopic> _open = [];
    private readonly HashSet<Uuid> _removed = [];
    private readonly Dictionary<string, Uuid> _added = new(StringComparer.Ordinal);
    private readonly HashSet<string> _removedNames = new(StringComparer.Ordinal);

    /// <summary>The topics that were created, changed or removed.</summary>
    public HashSet<Uuid> Touched { get; } = [];

    public void Add(TopicRecord record)
    {
        if (FindId(record.Name) is { } existing)
            throw new MetadataException(
                $"A record creates topic {record.Name} with id {record.TopicId}, but the topic exists with id {existing}.");
        if (_open.ContainsKey(record.TopicId) || (topics.Find(record.TopicId) is not null && !_removed.Contains(record.TopicId)))
            throw new MetadataException($"A record creates topic {record.Name} with id {record.TopicId}, but another topic has this id.");
        _open.Add(record.TopicId, new OpenTopic(record.Name, null));
        _added[record.Name] = record.TopicId;
        Touched.Add(record.TopicId);
    }

    public void Add(PartitionRecord record) =>
        Open(record.TopicId, nameof(PartitionRecord)).Partitions[record.PartitionId] = PartitionRegistration.From(record);

    public void Change(PartitionChangeRecord record)
    {
        var topic = Open(record.TopicId, nameof(PartitionChangeRecord));
        if (!topic.Partitions.TryGetValue(record.PartitionId, out var partition))
            throw new MetadataException($"A record changes partition {record.PartitionId} of topic {topic.Name}, which does not exist.");
        topic.Partitions[record.PartitionId] = partition.Merge(record);
    }

    /// <summary>Removes a topic and returns its name.</summary>
    public string Remove(Uuid id)
    {
        var topic = Open(id, nameof(RemoveTopicRecord));
        _open.Remove(id);
        _added.Remove(topic.Name);
        _removedNames.Add(topic.Name);
        _removed.Add(id);
        return topic.Name;
    }

    /// <summary>Clears the eligible leader replicas of a topic, or of all topics when the name is empty.</summary>
    public void ClearElr(string name)
    {
        if (name.Length > 0)
        {
            ClearElr(
                Open(
                    FindId(name) ?? throw new MetadataException(
                        $"A record clears the eligible leader replicas of topic {name}, which does not exist."), nameof(ClearElrRecord)));
            return;
        }

        foreach (var id in topics.ById.Keys)
        {
            if (!_removed.Contains(id))
                ClearElr(Open(id, nameof(ClearElrRecord)));
        }

        foreach (var topic in _open.Values)
            ClearElr(topic);
    }

    public TopicsImage Build()
    {
        if (Touched.Count == 0)
            return topics;
        var byId = topics.ById.ToBuilder();
        var byName = topics.ByName.ToBuilder();
        foreach (var id in _removed)
            byId.Remove(id);
        foreach (var name in _removedNames)
            byName.Remove(name);
        foreach (var (id, topic) in _open)
        {
            if (topic.Build(id) is { } image)
            {
                byId[id] = image;
                byName[topic.Name] = image;
            }
        }

        return new TopicsImage(byId.ToImmutable(), byName.ToImmutable());
    }

    private static void ClearElr(OpenTopic topic)
    {
        foreach (var (index, partition) in topic.Partitions.ToArray())
        {
            if (partition.EligibleLeaderReplicas.Length + partition.LastKnownElr.Length > 0)
                topic.Partitions[index] = partition.Merge(new PartitionChangeRecord { EligibleLeaderReplicas = [], LastKnownElr = [] });
        }
    }

    private Uuid? FindId(string name)
    {
        if (_added.TryGetValue(name, out var id))
            return id;
        return _removedNames.Contains(name) ? null : topics.Find(name)?.Id;
    }

    private OpenTopic Open(Uuid id, string record)
    {
        if (_open.TryGetValue(id, out var open))
            return open;
        if (_removed.Contains(id) || topics.Find(id) is not { } topic)
            throw new MetadataException($"A {record} names topic {id}, which does not exist.");
        open = new OpenTopic(topic.Name, topic);
        _open.Add(id, open);
        Touched.Add(id);
        return open;
    }

    private sealed class OpenTopic
    {
        private readonly TopicImage? _before;

        public OpenTopic(string name, TopicImage? before)
        {
            Name = name;
            _before = before;
            for (var i = 0; i < before?.Partitions.Length; i++)
                Partitions.Add(i, before.Partitions[i]);
        }

        public string Name { get; }

        public Dictionary<int, PartitionRegistration> Partitions { get; } = [];

        /// <summary>The topic after the records so far; null when it is unchanged.</summary>
        public TopicImage? Build(Uuid id)
        {
            var partitions = ImmutableArray.CreateBuilder<PartitionRegistration>(Partitions.Count);
            var changed = _before is null || _before.Partitions.Length != Partitions.Count;
            for (var i = 0; i < Partitions.Count; i++)
            {
                if (!Partitions.TryGetValue(i, out var partition))
                    throw new MetadataException($"Topic {Name} has {Partitions.Count} partitions, but partition {i} is missing.");
                partitions.Add(partition);
                changed = changed || !ReferenceEquals(partition, _before!.Partitions[i]);
            }

            return changed ? new TopicImage(Name, id, partitions.MoveToImmutable()) : null;
        }
    }
}
