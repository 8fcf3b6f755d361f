using System.Buffers;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches;

/// <summary>
/// Reads the records of one batch after another and stays where it is in between, for a reader that hands them out one by one.
/// </summary>
/// <remarks>
/// Owned by one caller. What it returns is memory that stays valid: the batch's own, or an array into which a compressed batch is expanded
/// as a whole. It allocates that array alone, and nothing per record; the messages of magic 0 and 1 are copied, each for itself. The
/// checksum is not looked at: that is the caller's choice.
/// </remarks>
public sealed class RecordCursor : IDisposable
{
    private const int InitialBytes = 16 * 1024;

    private MessageSetReader? _messages;
    private ReadOnlyMemory<byte> _records;
    private int _position;
    private int _left;
    private long _baseOffset;
    private long _baseTimestamp;
    private long? _logAppendTime;

    /// <summary>The absolute offset of the record.</summary>
    public long Offset { get; private set; }

    /// <summary>Milliseconds since the epoch: the record's own time or the batch's append time; -1 for none.</summary>
    public long Timestamp { get; private set; }

    /// <summary>Whether the key is not null.</summary>
    public bool HasKey { get; private set; }

    /// <summary>The key; empty when null.</summary>
    public ReadOnlyMemory<byte> Key { get; private set; }

    /// <summary>Whether the value is not null.</summary>
    public bool HasValue { get; private set; }

    /// <summary>The value; empty when null.</summary>
    public ReadOnlyMemory<byte> Value { get; private set; }

    /// <summary>The number of headers.</summary>
    public int HeaderCount { get; private set; }

    /// <summary>The bytes of the headers as they are in the batch, after their count; for <see cref="RecordHeaderEnumerator"/>.</summary>
    public ReadOnlyMemory<byte> RawHeaders { get; private set; }

    /// <summary>Starts before the first record of a batch, and lets go of the one before.</summary>
    /// <param name="batch">A complete batch. Bytes after it are ignored.</param>
    /// <param name="expandedBytesMax">The most bytes to which a compressed batch may expand.</param>
    /// <exception cref="CorruptRecordException">It is no readable batch, or expands to more.</exception>
    public void Open(ReadOnlyMemory<byte> batch, int expandedBytesMax = RecordReader.RecordSizeBytesMaxDefault)
    {
        Close();
        var view = new RecordBatchView(batch.Span);
        if (view.Magic > RecordBatchLayout.CurrentMagic)
            throw new CorruptRecordException(ErrorCode.CorruptMessage,
                $"Record batch has magic {view.Magic}; only 0 to {RecordBatchLayout.CurrentMagic} can be read");
        if (view.IsMessage)
        {
            _messages = new MessageSetReader(batch, expandedBytesMax);
            return;
        }

        var records = batch.Slice(RecordBatchLayout.HeaderSizeBytes, view.Records.Length);
        if (view.RecordCount < 0)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Found invalid record count {view.RecordCount} in batch");
        _baseOffset = view.BaseOffset;
        _baseTimestamp = view.BaseTimestamp;
        _logAppendTime = view.TimestampType == TimestampType.LogAppendTime ? view.MaxTimestamp : null;
        _records = view.Compression == CompressionType.None || view.RecordCount == 0
            ? records
            : Expand(records, view.Compression, expandedBytesMax);
        _left = view.RecordCount;
    }

    /// <summary>Reads the next record.</summary>
    /// <returns>False after the last one, and when no batch is open.</returns>
    /// <exception cref="CorruptRecordException">The record is malformed, or the data ends before it does.</exception>
    public bool TryRead()
    {
        if (_messages is not null)
            return TryReadMessage(_messages);
        if (_left == 0)
            return false;
        var span = _records.Span;
        if (!Varint.TryReadInt32(span, ref _position, out var bodySize) || bodySize < 0 || bodySize > span.Length - _position)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, "Incorrect declared batch size, premature EOF reached");
        var body = _records.Slice(_position, bodySize);
        _position += bodySize;
        _left--;
        RecordReader.Walk(body.Span, out var fields);
        Offset = unchecked(_baseOffset + fields.OffsetDelta);
        Timestamp = _logAppendTime ?? unchecked(_baseTimestamp + fields.TimestampDelta);
        HasKey = fields.KeySizeBytes >= 0;
        Key = fields.KeySizeBytes > 0 ? body.Slice(fields.KeyStart, fields.KeySizeBytes) : default;
        HasValue = fields.ValueSizeBytes >= 0;
        Value = fields.ValueSizeBytes > 0 ? body.Slice(fields.ValueStart, fields.ValueSizeBytes) : default;
        HeaderCount = fields.HeaderCount;
        RawHeaders = body[fields.HeadersStart..];
        return true;
    }

    /// <summary>Lets go of the batch.</summary>
    public void Close()
    {
        _messages?.Dispose();
        _messages = null;
        _records = default;
        _position = 0;
        _left = 0;
        Key = Value = RawHeaders = default;
    }

    /// <inheritdoc/>
    public void Dispose() => Close();

    private bool TryReadMessage(MessageSetReader messages)
    {
        if (!messages.TryRead(out var record))
            return false;
        Offset = record.Offset;
        Timestamp = record.Timestamp;
        HasKey = record.HasKey;
        Key = record.Key.ToArray();
        HasValue = record.HasValue;
        Value = record.Value.ToArray();
        HeaderCount = 0;
        RawHeaders = default;
        return true;
    }

    private static byte[] Expand(ReadOnlyMemory<byte> records, CompressionType compression, int bytesMax)
    {
        using var decoder = CompressionCodecs.For(compression).OpenDecoder(records);
        var buffer = ArrayPool<byte>.Shared.Rent(InitialBytes);
        try
        {
            var length = 0;
            while (true)
            {
                if (length == buffer.Length)
                    buffer = Grow(buffer);
                var read = decoder.Read(buffer.AsSpan(length));
                if (read == 0)
                    return buffer.AsSpan(0, length).ToArray();
                length += read;
                if (length > bytesMax)
                    throw new CorruptRecordException(ErrorCode.InvalidRecord, $"A batch expands to more than the {bytesMax} bytes allowed")
                    {
                        ExceedsBound = true,
                    };
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static byte[] Grow(byte[] buffer)
    {
        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, 2L * buffer.Length));
        buffer.CopyTo(larger, 0);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}
