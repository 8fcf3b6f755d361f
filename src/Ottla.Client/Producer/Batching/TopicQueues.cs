using Ottla.Client.Cluster;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Producing;

/// <summary>The queues of a topic's partitions, and the choice between them. Thread-safe.</summary>
internal sealed class TopicQueues
{
    private readonly Lock _lock = new();
    private readonly KeylessPartitioner _keyless;

    private volatile PartitionQueue[] _queues;
    private volatile int[] _available = [];
    private volatile int[] _preferred = [];

    /// <param name="context">The producer.</param>
    /// <param name="topic">The topic, which has partitions.</param>
    /// <param name="nextRandom">Returns a random number that is not negative; called under this topic's lock.</param>
    /// <param name="rackOf">The rack of a node; null for unknown racks.</param>
    public TopicQueues(ProducerContext context, TopicImage topic, Func<int> nextRandom, Func<int, string?>? rackOf = null)
    {
        Context = context;
        Name = topic.Name;
        _keyless = new KeylessPartitioner(context.Options.BatchBytes, nextRandom);
        _queues = [];
        Update(topic, rackOf);
    }

    /// <summary>The producer.</summary>
    public ProducerContext Context { get; }

    /// <summary>The topic's name.</summary>
    public string Name { get; }

    /// <summary>The queues by partition.</summary>
    public IReadOnlyList<PartitionQueue> Queues => _queues;

    /// <summary>Takes over what the metadata says now: more partitions, other leaders.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="rackOf">The rack of a node; null for unknown racks.</param>
    public void Update(TopicImage topic, Func<int, string?>? rackOf = null)
    {
        if (topic.Partitions.Length == 0)
            return; // an error: what is known stays
        lock (_lock)
        {
            var queues = _queues;
            if (queues.Length < topic.Partitions.Length)
            {
                _queues =
                [
                    .. queues,
                    .. Enumerable.Range(queues.Length, topic.Partitions.Length - queues.Length)
                        .Select(index => new PartitionQueue(this, index)),
                ];
            }

            var led = topic.Partitions.Where(partition => partition.LeaderId >= 0).ToList();
            _available = [.. led.Select(partition => partition.Index)];
            _preferred = Context.Rack is { } rack && rackOf is not null
                ? [.. led.Where(partition => rackOf(partition.LeaderId) == rack).Select(partition => partition.Index)]
                : [];
        }
    }

    /// <summary>The partitions to choose between: those of this client's rack if there are any, otherwise all that have a leader.</summary>
    private int[] Candidates => _preferred is { Length: > 0 } near ? near : _available;

    /// <summary>Sets how often each partition is to be chosen for records without a key, by the batches that wait.</summary>
    public void UpdateLoads()
    {
        if (!Context.Options.AdaptivePartitioning)
            return;
        var available = Candidates;
        var queues = _queues;
        var lengths = new int[available.Length];
        for (var i = 0; i < lengths.Length; i++)
            lengths[i] = queues[available[i]].Count;
        var loads = PartitionLoads.Of(lengths, available, areAllAvailable: true);
        lock (_lock)
            _keyless.Loads = loads;
    }

    /// <summary>Appends a record to the partition that is named, or that its key says, or that is chosen.</summary>
    /// <param name="partition">The partition; null to have it chosen.</param>
    /// <param name="timestamp">The timestamp, in milliseconds since the epoch.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="headers">The headers.</param>
    /// <param name="callback">Who wants to know the outcome.</param>
    /// <param name="takenBytes">Bytes of memory that the caller has taken for it; what is used of them is subtracted.</param>
    /// <param name="queue">The partition's queue.</param>
    /// <param name="appended">What happened.</param>
    /// <exception cref="ArgumentException">The topic has no such partition.</exception>
    public AppendOutcome Append(
        int? partition, long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers,
        RecordCallback callback, ref long takenBytes, out PartitionQueue queue, out PartitionQueue.Appended appended)
    {
        var queues = _queues;
        var hasKey = key.HasValue && (Context.Options.KeyPartitioner == KeyPartitioner.Murmur2 || !key.Span.IsEmpty);
        if (partition is null && !hasKey)
            return AppendWithoutKey(timestamp, key, value, headers, callback, ref takenBytes, out queue, out appended);
        var index = partition ?? (Context.Options.KeyPartitioner == KeyPartitioner.Murmur2
            ? KeyHash.PartitionByMurmur2(key.Span, queues.Length)
            : KeyHash.PartitionByCrc32(key.Span, queues.Length));
        if ((uint)index >= (uint)queues.Length)
            throw new ArgumentException($"Topic {Name} has partitions 0 to {queues.Length - 1}, and not {index}.");
        queue = queues[index];
        return queue.Append(timestamp, key, value, headers, callback, mayBeginBatch: true, ref takenBytes, out appended);
    }

    private AppendOutcome AppendWithoutKey(
        long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers, RecordCallback callback,
        ref long takenBytes, out PartitionQueue queue, out PartitionQueue.Appended appended)
    {
        lock (_lock)
        {
            var queues = _queues;
            queue = queues[_keyless.Current(queues.Length, Candidates)];
            var hasClosed = false;
            var outcome = queue.Append(timestamp, key, value, headers, callback, mayBeginBatch: false, ref takenBytes, out appended);
            if (outcome == AppendOutcome.NeedsBatch)
            {
                hasClosed = appended.HasClosedBatch;
                if (_keyless.OnBatchClosed())
                    queue = queues[_keyless.Current(queues.Length, Candidates)];
                outcome = queue.Append(timestamp, key, value, headers, callback, mayBeginBatch: true, ref takenBytes, out appended);
                appended.HasClosedBatch |= hasClosed;
            }

            if (outcome == AppendOutcome.Appended)
                _keyless.OnAppended(appended.Bytes, appended.IsBatchFull);
            return outcome;
        }
    }
}
