using System.Text;
using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Client;

/// <summary>A record that was read.</summary>
/// <typeparam name="TKey">The type of keys.</typeparam>
/// <typeparam name="TValue">The type of values.</typeparam>
public readonly struct ConsumeResult<TKey, TValue>
{
    internal ConsumeResult(TopicPartition partition, long offset, int leaderEpoch, long timestampMs, TimestampType timestampType)
    {
        TopicPartition = partition;
        Offset = offset;
        LeaderEpoch = leaderEpoch;
        TimestampMs = timestampMs;
        TimestampType = timestampType;
    }

    /// <summary>The partition that it comes from.</summary>
    public TopicPartition TopicPartition { get; }

    /// <summary>The topic that it comes from.</summary>
    public string Topic => TopicPartition.Topic;

    /// <summary>The index of the partition.</summary>
    public int Partition => TopicPartition.Partition;

    /// <summary>Its offset.</summary>
    public long Offset { get; }

    /// <summary>The epoch of the leader that wrote it; -1 for unknown.</summary>
    public int LeaderEpoch { get; }

    /// <summary>Its timestamp, in ms since the epoch; -1 for none.</summary>
    public long TimestampMs { get; }

    /// <summary>Its timestamp; the epoch when it has none.</summary>
    public DateTimeOffset Timestamp => DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(TimestampMs, 0, MaxTimestampMs));

    /// <summary>Whose timestamp it is: the sender's or the broker's.</summary>
    public TimestampType TimestampType { get; }

    /// <summary>The key; the default of the type when there is none.</summary>
    public TKey? Key { get; internal init; }

    /// <summary>Whether there is a key.</summary>
    public bool HasKey { get; internal init; }

    /// <summary>The value; the default of the type when there is none.</summary>
    public TValue? Value { get; internal init; }

    /// <summary>Whether there is a value. A record without one deletes its key from a compacted topic.</summary>
    public bool HasValue { get; internal init; }

    /// <summary>The headers.</summary>
    public ConsumedHeaders Headers { get; internal init; }

    /// <summary>A hash of the key's bytes, where records are processed by key; 0 otherwise, and without a key.</summary>
    internal int KeyHash { get; init; }

    /// <summary>The offset to commit when this record and all before it are processed.</summary>
    public PartitionOffset Next => new(TopicPartition, new CommitOffset(Offset + 1, LeaderEpoch));

    private static long MaxTimestampMs => DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
}

/// <summary>The headers of a record that was read. They are decoded as they are enumerated.</summary>
public readonly struct ConsumedHeaders
{
    private readonly ReadOnlyMemory<byte> _bytes;

    internal ConsumedHeaders(ReadOnlyMemory<byte> bytes, int count)
    {
        _bytes = bytes;
        Count = count;
    }

    /// <summary>Their number.</summary>
    public int Count { get; }

    /// <summary>Enumerates the headers in order, as they are in the record.</summary>
    public RecordHeaderEnumerator GetEnumerator() => new(_bytes.Span);

    /// <summary>The value of the last header with a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value; empty when it is null.</param>
    /// <returns>Whether there is such a header.</returns>
    public bool TryGetLast(string key, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (Count == 0)
            return false;
        var wanted = Encoding.UTF8.GetBytes(key).AsSpan();
        var isThere = false;
        foreach (var header in this)
        {
            if (!header.Key.SequenceEqual(wanted))
                continue;
            value = header.Value;
            isThere = true;
        }

        return isThere;
    }

    /// <summary>The headers as a list of their own.</summary>
    public List<RecordHeader> ToList()
    {
        var headers = new List<RecordHeader>(Count);
        foreach (var header in this)
            headers.Add(new RecordHeader(Encoding.UTF8.GetString(header.Key), header.HasValue ? header.Value.ToArray() : null));
        return headers;
    }
}

/// <summary>Records of one partition, in order.</summary>
/// <typeparam name="TKey">The type of keys.</typeparam>
/// <typeparam name="TValue">The type of values.</typeparam>
/// <param name="TopicPartition">The partition.</param>
/// <param name="Records">The records; at least one.</param>
public sealed record ConsumeBatch<TKey, TValue>(TopicPartition TopicPartition, IReadOnlyList<ConsumeResult<TKey, TValue>> Records)
{
    /// <summary>The offset to commit when all of them are processed.</summary>
    public PartitionOffset Next => Records[^1].Next;
}
