using System.Buffers;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.Protocol.Batches;

/// <summary>Builds one record batch (magic 2), byte for byte like Kafka.</summary>
/// <remarks>One caller owns and disposes it; its buffer is pooled. <see cref="Reset"/> starts the next batch in the same buffer.</remarks>
public sealed class RecordBatchBuilder : IDisposable
{
    private const int InitialBytes = 4096;

    private readonly PooledBufferWriter _records;
    private RecordBatchOptions _options;
    private long _baseTimestamp;
    private long _maxTimestamp;
    private int _lastOffsetDelta;

    /// <summary>Starts a batch.</summary>
    /// <exception cref="ArgumentException">The producer state in <paramref name="options"/> is inconsistent.</exception>
    public RecordBatchBuilder(RecordBatchOptions options)
    {
        _records = new PooledBufferWriter(InitialBytes);
        Reset(options);
    }

    /// <summary>Records appended so far.</summary>
    public int RecordCount { get; private set; }

    /// <summary>The size of the batch without compression.</summary>
    public int UncompressedSizeInBytes => RecordBatchLayout.HeaderSizeBytes + _records.WrittenCount;

    /// <summary>The offset of the next record that is appended without an offset.</summary>
    public long NextOffset => _options.BaseOffset + _lastOffsetDelta + 1;

    /// <summary>Uncompressed bytes of a record, with its length prefix.</summary>
    public static int SizeOf(
        int offsetDelta, long timestampDelta, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers) =>
        RecordWriter.SizeOf(RecordWriter.BodySizeOf(offsetDelta, timestampDelta, key, value, headers));

    /// <summary>Removes the records and starts the next batch.</summary>
    public void Reset(RecordBatchOptions options)
    {
        if (options.ProducerStateFault() is { } fault)
            throw new ArgumentException(fault, nameof(options));
        _records.Clear();
        _options = options;
        _baseTimestamp = options.DeleteHorizonMs ?? RecordBatchLayout.NoTimestamp;
        _maxTimestamp = RecordBatchLayout.NoTimestamp;
        _lastOffsetDelta = -1;
        RecordCount = 0;
    }

    /// <summary>Appends a record at the next offset.</summary>
    /// <param name="timestamp">Milliseconds since the epoch, or -1.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="headers">The headers.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timestamp is negative and not -1.</exception>
    public void Append(long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers = default) =>
        AppendWithOffset(NextOffset, timestamp, key, value, headers);

    /// <summary>Appends a record at <paramref name="offset"/>, which must be after the last one.</summary>
    public void AppendWithOffset(
        long offset, long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timestamp, RecordBatchLayout.NoTimestamp);
        var headersBytes = RecordWriter.SizeOf(headers);
        var target = BeginRecord(offset, timestamp, key, value, headers.Length, headersBytes);
        foreach (var header in headers)
        {
            RecordWriter.WriteField(ref target, new NullableBytes(header.Key.Span));
            RecordWriter.WriteField(ref target, NullableBytes.From(header.Value));
        }
    }

    /// <summary>
    /// Appends a copy of <paramref name="record"/> from another batch at <paramref name="offset"/>. The record must have been read in full.
    /// </summary>
    public void AppendCopy(long offset, in Record record)
    {
        var key = record.HasKey ? new NullableBytes(record.Key) : default;
        var value = record.HasValue ? new NullableBytes(record.Value) : default;
        var target = BeginRecord(offset, record.Timestamp, key, value, record.HeaderCount, record.RawHeaders.Length);
        record.RawHeaders.CopyTo(target);
    }

    /// <summary>Returns the batch in a new array; empty when there are no records.</summary>
    public byte[] Build()
    {
        if (RecordCount == 0)
            return [];
        if (_options.Compression == CompressionType.None)
        {
            var batch = new byte[UncompressedSizeInBytes];
            _records.WrittenSpan.CopyTo(batch.AsSpan(RecordBatchLayout.HeaderSizeBytes));
            WriteHeader(batch);
            return batch;
        }

        using var output = new PooledBufferWriter(InitialBytes);
        BuildInto(output);
        return output.WrittenSpan.ToArray();
    }

    /// <summary>Appends the batch to <paramref name="output"/>.</summary>
    public void BuildInto(PooledBufferWriter output)
    {
        var start = output.WrittenCount;
        output.GetSpan(RecordBatchLayout.HeaderSizeBytes);
        output.Advance(RecordBatchLayout.HeaderSizeBytes);
        if (_options.Compression == CompressionType.None)
        {
            output.Write(_records.WrittenSpan);
        }
        else
        {
            var codec = CompressionCodecs.For(_options.Compression);
            codec.Compress(_records.WrittenSpan, _options.CompressionLevel ?? codec.Levels.Default, output);
        }

        WriteHeader(output.WrittenSpan[start..]);
    }

    /// <inheritdoc/>
    public void Dispose() => _records.Dispose();

    /// <summary>Writes a record up to the count of its headers, and returns the exact space for the headers.</summary>
    private Span<byte> BeginRecord(long offset, long timestamp, NullableBytes key, NullableBytes value, int headerCount, int headersBytes)
    {
        var offsetDelta = checked((int)(offset - _options.BaseOffset));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(offsetDelta, _lastOffsetDelta, nameof(offset));
        if (RecordCount == 0 && _options.DeleteHorizonMs is null)
            _baseTimestamp = timestamp;
        var timestampDelta = unchecked(timestamp - _baseTimestamp);
        var bodyBytes = RecordWriter.BodySizeOf(offsetDelta, timestampDelta, key, value, headerCount, headersBytes);
        var size = RecordWriter.SizeOf(bodyBytes);
        var target = RecordWriter.WriteBeginning(
            _records.GetSpan(size)[..size], bodyBytes, offsetDelta, timestampDelta, key, value, headerCount);

        _records.Advance(size);
        _lastOffsetDelta = offsetDelta;
        _maxTimestamp = Math.Max(_maxTimestamp, timestamp);
        RecordCount++;
        return target;
    }

    private void WriteHeader(Span<byte> batch) =>
        RecordBatchHeader.Write(
            batch,
            _options,
            _options.LastOffsetDelta ?? _lastOffsetDelta,
            _baseTimestamp,
            _options.TimestampType == TimestampType.LogAppendTime ? _options.LogAppendTimeMs : _maxTimestamp,
            RecordCount);
}
