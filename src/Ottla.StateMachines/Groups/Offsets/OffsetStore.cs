using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Groups.Offsets;

/// <summary>The offsets of a partition's groups: committed ones, and pending ones of open transactions.</summary>
/// <remarks>
/// Owned by <see cref="OffsetDecisions"/>; lives as long. All state comes from the log. A producer id identifies a transaction: a marker
/// ends whatever the producer has open.
/// </remarks>
internal sealed class OffsetStore
{
    private readonly Dictionary<string, Dictionary<string, Dictionary<int, CommittedOffset>>> _committed = new(StringComparer.Ordinal);
    private readonly Dictionary<long, Dictionary<OffsetName, CommittedOffset>> _pending = [];

    /// <summary>The producers with a pending offset, by group and partition. Has no empty entries.</summary>
    private readonly Dictionary<string, Dictionary<OffsetName, HashSet<long>>> _pendingProducers = new(StringComparer.Ordinal);

    /// <summary>The number of committed offsets.</summary>
    public int Count { get; private set; }

    /// <summary>A committed offset; null when there is none.</summary>
    public CommittedOffset? Find(in OffsetName name) =>
        _committed.GetValueOrDefault(name.GroupId)?.GetValueOrDefault(name.Topic)?.GetValueOrDefault(name.Partition);

    /// <summary>The committed offsets of a group by topic and partition; null when there are none.</summary>
    public IReadOnlyDictionary<string, Dictionary<int, CommittedOffset>>? Of(string groupId) => _committed.GetValueOrDefault(groupId);

    /// <summary>Whether an open transaction has an offset for the partition.</summary>
    public bool IsPending(in OffsetName name) => _pendingProducers.TryGetValue(name.GroupId, out var names) && names.ContainsKey(name);

    /// <summary>Whether an open transaction has offsets of the group.</summary>
    public bool HasPending(string groupId) => _pendingProducers.ContainsKey(groupId);

    /// <summary>The names of all offsets of a group, committed or pending, each once.</summary>
    public IEnumerable<OffsetName> NamesOf(string groupId)
    {
        foreach (var name in CommittedNamesOf(groupId))
            yield return name;
        if (!_pendingProducers.TryGetValue(groupId, out var pending))
            yield break;
        foreach (var name in pending.Keys)
        {
            if (Find(name) is null)
                yield return name;
        }
    }

    /// <summary>The names of all offsets of a topic, committed or pending, each once. Offsets with another topic id are skipped.</summary>
    public IEnumerable<OffsetName> NamesOf(string topic, Uuid topicId)
    {
        var names = new HashSet<OffsetName>();
        foreach (var (groupId, topics) in _committed)
        {
            foreach (var (partition, offset) in topics.GetValueOrDefault(topic) ?? [])
                AddIfSame(new OffsetName(groupId, topic, partition), offset);
        }

        foreach (var (name, offset) in _pending.Values.SelectMany(static pending => pending))
        {
            if (name.Topic == topic)
                AddIfSame(name, offset);
        }

        return names;

        void AddIfSame(OffsetName name, CommittedOffset offset)
        {
            if (offset.TopicId == Uuid.Zero || offset.TopicId == topicId)
                names.Add(name);
        }
    }

    /// <summary>Adds a committed offset.</summary>
    public void Put(in OffsetName name, CommittedOffset offset)
    {
        if (!_committed.TryGetValue(name.GroupId, out var topics))
            _committed[name.GroupId] = topics = new Dictionary<string, Dictionary<int, CommittedOffset>>(StringComparer.Ordinal);
        if (!topics.TryGetValue(name.Topic, out var partitions))
            topics[name.Topic] = partitions = [];
        if (!partitions.ContainsKey(name.Partition))
            Count++;
        partitions[name.Partition] = offset;
    }

    /// <summary>Adds an offset that takes effect when its transaction commits.</summary>
    public void PutPending(ProducerIdAndEpoch transaction, in OffsetName name, CommittedOffset offset)
    {
        if (!_pending.TryGetValue(transaction.Id, out var offsets))
            _pending[transaction.Id] = offsets = [];
        offsets[name] = offset;
        if (!_pendingProducers.TryGetValue(name.GroupId, out var names))
            _pendingProducers[name.GroupId] = names = [];
        if (!names.TryGetValue(name, out var producers))
            names[name] = producers = [];
        producers.Add(transaction.Id);
    }

    /// <summary>Removes an offset, also from open transactions.</summary>
    public void Remove(in OffsetName name)
    {
        if (_committed.TryGetValue(name.GroupId, out var topics) && topics.TryGetValue(name.Topic, out var partitions)
            && partitions.Remove(name.Partition))
        {
            Count--;
            if (partitions.Count == 0)
                topics.Remove(name.Topic);
            if (topics.Count == 0)
                _committed.Remove(name.GroupId);
        }

        if (!_pendingProducers.TryGetValue(name.GroupId, out var names) || !names.Remove(name, out var producers))
            return;
        if (names.Count == 0)
            _pendingProducers.Remove(name.GroupId);
        foreach (var producer in producers)
        {
            var offsets = _pending[producer];
            offsets.Remove(name);
            if (offsets.Count == 0)
                _pending.Remove(producer);
        }
    }

    /// <summary>Ends a producer's open transaction: its offsets take effect or are dropped.</summary>
    public void Complete(long producerId, bool isCommit)
    {
        if (!_pending.Remove(producerId, out var offsets))
            return;
        foreach (var (name, offset) in offsets)
        {
            RemovePendingProducer(name, producerId);
            // A later plain commit wins, even if compaction changed the order of the records.
            if (isCommit && (Find(name) is not { } known || offset.RecordOffset > known.RecordOffset))
                Put(name, offset);
        }
    }

    private IEnumerable<OffsetName> CommittedNamesOf(string groupId)
    {
        foreach (var (topic, partitions) in _committed.GetValueOrDefault(groupId) ?? [])
        {
            foreach (var partition in partitions.Keys)
                yield return new OffsetName(groupId, topic, partition);
        }
    }

    private void RemovePendingProducer(in OffsetName name, long producerId)
    {
        var names = _pendingProducers[name.GroupId];
        var producers = names[name];
        producers.Remove(producerId);
        if (producers.Count == 0)
            names.Remove(name);
        if (names.Count == 0)
            _pendingProducers.Remove(name.GroupId);
    }
}
