namespace Ottla.Client.Cluster;

/// <summary>The topics that one user of the metadata wants to know about. Thread-safe; disposed by its user.</summary>
internal sealed class MetadataInterest : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ClusterMetadata _owner;

    // Guarded by _lock.
    private HashSet<string> _topics = [];
    private bool _wantsAll;

    /// <summary>See <see cref="ClusterMetadata.OpenInterest"/>.</summary>
    public MetadataInterest(ClusterMetadata owner) => _owner = owner;

    /// <summary>Whether all topics of the cluster are wanted, as for a subscription by pattern.</summary>
    public bool WantsAll
    {
        get
        {
            lock (_lock)
                return _wantsAll;
        }

        set
        {
            lock (_lock)
            {
                if (_wantsAll == value)
                    return;
                _wantsAll = value;
            }

            if (value)
                _owner.RequestUpdate(isUrgent: true);
        }
    }

    /// <summary>Adds a topic. If it is new, the metadata is asked for it at once.</summary>
    public void Add(string topic)
    {
        lock (_lock)
        {
            if (!_topics.Add(topic))
                return;
        }

        if (_owner.Current.Topic(topic) is null)
            _owner.RequestUpdate(isUrgent: true);
    }

    /// <summary>Takes a topic out, which the metadata then forgets with its next update, unless others want it.</summary>
    public void Remove(string topic)
    {
        lock (_lock)
            _topics.Remove(topic);
    }

    /// <summary>Replaces the topics. If some are new, the metadata is asked for them at once.</summary>
    public void Set(IEnumerable<string> topics)
    {
        var wanted = topics.ToHashSet(StringComparer.Ordinal);
        lock (_lock)
            _topics = wanted;
        var image = _owner.Current;
        if (wanted.Any(topic => image.Topic(topic) is null))
            _owner.RequestUpdate(isUrgent: true);
    }

    /// <summary>Adds what is wanted to a set.</summary>
    /// <returns>Whether all topics are wanted.</returns>
    internal bool AddTo(HashSet<string> topics)
    {
        lock (_lock)
        {
            topics.UnionWith(_topics);
            return _wantsAll;
        }
    }

    /// <summary>Ends the interest.</summary>
    public void Dispose() => _owner.Remove(this);
}
