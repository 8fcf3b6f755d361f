using Ottla.Kernel;
using Ottla.Protocol.Batches;

namespace Ottla.Client;

/// <summary>A batch of records as its producer has sent it, and the broker has stored it.</summary>
/// <remarks>
/// Its memory is valid until the next batch, or record, is asked for: copy what has to live longer. Records are decoded as they are read.
/// Owned by who asked for it.
/// </remarks>
public sealed class RawBatch
{
    private readonly RecordCursor _cursor;
    private readonly long _firstOffset;
    private bool _isOpen;

    internal RawBatch(
        TopicPartition partition, ReadOnlyMemory<byte> bytes, long firstOffset, RecordCursor cursor)
    {
        var view = new RecordBatchView(bytes.Span);
        TopicPartition = partition;
        Bytes = bytes;
        LastOffset = view.LastOffset;
        LeaderEpoch = view.PartitionLeaderEpoch;
        RecordCount = Math.Max(1, view.RecordCount);
        _firstOffset = Math.Max(firstOffset, view.BaseOffset);
        _cursor = cursor;
    }

    /// <summary>The partition.</summary>
    public TopicPartition TopicPartition { get; }

    /// <summary>The batch with its header, in the form in which it came; the records may be compressed.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>The offset from which records count; the batch may have earlier ones.</summary>
    public long FirstOffset => _firstOffset;

    /// <summary>The offset of its last record.</summary>
    public long LastOffset { get; }

    /// <summary>The epoch of the leader that wrote it; -1 for unknown.</summary>
    public int LeaderEpoch { get; }

    /// <summary>How many records it says to have; 1 for a message of an older format.</summary>
    internal int RecordCount { get; }

    /// <summary>The offset to commit when all of it is processed.</summary>
    public PartitionOffset Next => new(TopicPartition, new CommitOffset(LastOffset + 1, LeaderEpoch));

    /// <summary>Reads the next record from <see cref="FirstOffset"/> on.</summary>
    /// <param name="record">The record.</param>
    /// <returns>False after the last one.</returns>
    /// <exception cref="UnreadableRecordException">The batch is damaged.</exception>
    public bool TryRead(out RawRecord record)
    {
        try
        {
            if (!_isOpen)
                _cursor.Open(Bytes);
            _isOpen = true;
            while (_cursor.TryRead())
            {
                if (_cursor.Offset < _firstOffset)
                    continue;
                record = new RawRecord(_cursor);
                return true;
            }
        }
        catch (CorruptRecordException e)
        {
            throw new UnreadableRecordException(
                e.ErrorCode, TopicPartition, _firstOffset, $"A batch of {TopicPartition} cannot be read: {e.Message}", e);
        }

        record = default;
        return false;
    }
}

/// <summary>A record of a <see cref="RawBatch"/>, valid as long as that.</summary>
public readonly struct RawRecord
{
    internal RawRecord(RecordCursor cursor)
    {
        Offset = cursor.Offset;
        TimestampMs = cursor.Timestamp;
        HasKey = cursor.HasKey;
        Key = cursor.Key;
        HasValue = cursor.HasValue;
        Value = cursor.Value;
        Headers = new ConsumedHeaders(cursor.RawHeaders, cursor.HeaderCount);
    }

    /// <summary>Its offset.</summary>
    public long Offset { get; }

    /// <summary>Its timestamp, in ms since the epoch; -1 for none.</summary>
    public long TimestampMs { get; }

    /// <summary>Whether there is a key.</summary>
    public bool HasKey { get; }

    /// <summary>The bytes of the key; empty when there is none.</summary>
    public ReadOnlyMemory<byte> Key { get; }

    /// <summary>Whether there is a value.</summary>
    public bool HasValue { get; }

    /// <summary>The bytes of the value; empty when there is none.</summary>
    public ReadOnlyMemory<byte> Value { get; }

    /// <summary>The headers.</summary>
    public ConsumedHeaders Headers { get; }
}
