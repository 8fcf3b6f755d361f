using System.Collections.Concurrent;
using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Producing;

/// <summary>The records of a producer that were not sent yet, by topic and partition. Thread-safe.</summary>
internal sealed class RecordAccumulator
{
    /// <summary>Bytes of a request besides a record: its header, topic and partition.</summary>
    private const int RequestOverheadBytes = 512;

    private readonly ConcurrentDictionary<string, TopicEntry> _topics = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<PartitionQueue> _activated = new();
    private readonly HashSet<ProducerBatch> _incomplete = [];
    private readonly Lock _lock = new();
    private readonly ProducerContext _context;
    private readonly Func<Prng> _newRandom;
    private readonly Action _wake;

    /// <param name="context">The producer.</param>
    /// <param name="newRandom">Makes a generator for one topic.</param>
    /// <param name="wake">Called when there is something to send.</param>
    public RecordAccumulator(ProducerContext context, Func<Prng> newRandom, Action wake)
    {
        _context = context;
        _newRandom = newRandom;
        _wake = wake;
    }

    /// <summary>The topics whose partitions are known.</summary>
    public IEnumerable<TopicQueues> Topics
    {
        get
        {
            foreach (var (_, entry) in _topics)
            {
                if (entry.Queues is { } queues)
                    yield return queues;
            }
        }
    }

    /// <summary>What the producer has of a topic.</summary>
    public TopicEntry Entry(string topic) =>
        _topics.TryGetValue(topic, out var entry) ? entry : _topics.GetOrAdd(topic, _ => new TopicEntry());

    /// <summary>Takes over what the metadata says of a topic that has partitions.</summary>
    /// <param name="entry">What the producer has of it.</param>
    /// <param name="topic">The topic.</param>
    /// <param name="rackOf">The rack of a node.</param>
    public TopicQueues Update(TopicEntry entry, TopicImage topic, Func<int, string?> rackOf)
    {
        lock (entry)
        {
            if (entry.Queues is { } known)
            {
                known.Update(topic, rackOf);
                return known;
            }

            var random = _newRandom();
            return entry.Queues = new TopicQueues(_context, topic, () => random.NextInt(int.MaxValue), rackOf);
        }
    }

    /// <summary>Appends a record, if there is room.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="partition">The partition; null to have it chosen.</param>
    /// <param name="timestamp">The timestamp, in milliseconds since the epoch.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="headers">The headers.</param>
    /// <param name="callback">Who wants to know the outcome.</param>
    /// <param name="takenBytes">Bytes of memory that the caller has taken for it; what is used of them is subtracted.</param>
    /// <returns>0 when it was appended; otherwise the bytes of memory that it needs.</returns>
    /// <exception cref="ArgumentException">The topic has no such partition, or the timestamp is negative.</exception>
    /// <exception cref="KafkaException">The record is too large.</exception>
    public long Append(
        TopicQueues topic, int? partition, long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers,
        RecordCallback callback, ref long takenBytes)
    {
        if (timestamp < 0)
            throw new ArgumentException($"The timestamp of a record must not be before 1970, and is {timestamp} ms.");
        ThrowIfTooLarge(key, value, headers);
        var outcome = topic.Append(partition, timestamp, key, value, headers, callback, ref takenBytes, out var queue, out var appended);
        if (appended.NewBatch is { } batch)
        {
            Add(batch);
            if (batch.IsDone)
                Remove(batch); // the sender was quicker
        }

        if (appended.HasBecomeActive)
            _activated.Enqueue(queue);
        if (appended.HasBecomeActive || appended.HasClosedBatch || outcome == AppendOutcome.NoMemory)
            _wake();
        return outcome == AppendOutcome.NoMemory ? appended.MissingBytes : 0;
    }

    /// <summary>Moves queues that have something to send to the sender's list.</summary>
    public void TakeActivated(List<PartitionQueue> active)
    {
        while (_activated.TryDequeue(out var queue))
            active.Add(queue);
    }

    /// <summary>Takes note of a batch that was begun, or made of a part of another.</summary>
    public void Add(ProducerBatch batch)
    {
        lock (_lock)
            _incomplete.Add(batch);
    }

    /// <summary>Forgets a batch whose outcome was told.</summary>
    public void Remove(ProducerBatch batch)
    {
        lock (_lock)
            _incomplete.Remove(batch);
    }

    /// <summary>The batches whose outcome was not told yet.</summary>
    public List<ProducerBatch> Incomplete()
    {
        lock (_lock)
            return [.. _incomplete];
    }

    private void ThrowIfTooLarge(NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers)
    {
        var bytes = (long)key.Span.Length + value.Span.Length;
        foreach (var header in headers)
            bytes += header.Key.Length + (header.Value?.Length ?? 0);
        if (bytes + RequestOverheadBytes > _context.Options.RequestBytesMax)
        {
            throw new KafkaException(
                ErrorCode.MessageTooLarge,
                $"A record of {bytes} bytes does not fit a request of {_context.Options.RequestBytesMax} bytes "
                    + $"({nameof(ProducerOptions.RequestBytesMax)})");
        }
    }
}
