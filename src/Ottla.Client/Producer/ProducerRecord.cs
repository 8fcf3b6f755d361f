using Ottla.Protocol.Batches;

namespace Ottla.Client;

/// <summary>A record to send.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="Key">The key; null for none.</param>
/// <param name="Value">The value; null for none, which deletes the key from a compacted topic.</param>
public readonly record struct ProducerRecord<TKey, TValue>(string Topic, TKey? Key, TValue? Value)
{
    /// <summary>The partition; null for the one that the partitioner chooses.</summary>
    public int? Partition { get; init; }

    /// <summary>When it happened; null for now.</summary>
    public DateTimeOffset? Timestamp { get; init; }

    /// <summary>The headers.</summary>
    public ReadOnlyMemory<RecordHeader> Headers { get; init; }
}

/// <summary>Where a record is.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="Partition">The partition.</param>
/// <param name="Offset">
/// The offset; -1 when the cluster has the record, but does not say where: it was sent again, and the leader no longer knows the first
/// time.
/// </param>
/// <param name="Timestamp">The record's timestamp: the sender's, or the leader's for topics with <c>LogAppendTime</c>.</param>
public readonly record struct RecordMetadata(string Topic, int Partition, long Offset, DateTimeOffset Timestamp);

/// <summary>The outcome of a record that was enqueued.</summary>
/// <param name="Metadata">Where it is; without an offset (-1) when it failed.</param>
/// <param name="Error">Why it failed; null when it was written.</param>
public readonly record struct DeliveryResult(RecordMetadata Metadata, KafkaException? Error);
