using System.Runtime.CompilerServices;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches;

/// <summary>Reads the records of one batch of any format in order: in place when uncompressed, streaming when compressed.</summary>
/// <remarks>
/// Owned by one caller, who disposes it (pooled buffers and contexts go back). After an exception only disposing is allowed.
/// Compressed data is expanded piece by piece into a pooled window that grows, as bytes really arrive, to the largest single record
/// (bounded by <c>recordSizeBytesMax</c>), and does not grow at all for <see cref="TryReadOutline"/>.
/// The checksum is not looked at: that is the caller's choice.
/// </remarks>
public ref struct RecordReader : IDisposable
{
    /// <summary>Default bound on the expanded size of one compressed record, in bytes.</summary>
    public const int RecordSizeBytesMaxDefault = 256 * 1024 * 1024;

    private readonly long _baseOffset;
    private readonly long _baseTimestamp;
    private readonly long? _logAppendTime;
    private readonly int _baseSequence;
    private readonly int _recordCount;
    private readonly bool _isCompressed;
    private readonly int _recordSizeBytesMax;
    private readonly int _outlineSizeBytesMax;
    private readonly ReadOnlySpan<byte> _records;
    private readonly MessageSetReader? _messages;
    private int _position;
    private int _recordsRead;
    private ExpansionWindow _window;

    /// <summary>Starts at the first record of <paramref name="batch"/>.</summary>
    /// <param name="batch">A complete batch. Bytes after it are ignored.</param>
    /// <param name="recordSizeBytesMax">
    /// The most bytes to which one compressed record may expand in <see cref="TryRead"/>, which holds it. In magic 0 and 1, where the set
    /// is expanded as a whole, the bound applies to all records together.
    /// </param>
    /// <param name="outlineSizeBytesMax">
    /// The most bytes to which one record may expand in <see cref="TryReadOutline"/>, which only skips it.
    /// </param>
    /// <exception cref="CorruptRecordException">
    /// The header is none of a readable batch, or the compressed data does not start like its codec's.
    /// </exception>
    public RecordReader(
        ReadOnlyMemory<byte> batch, int recordSizeBytesMax = RecordSizeBytesMaxDefault, int outlineSizeBytesMax = int.MaxValue)
    {
        _recordSizeBytesMax = recordSizeBytesMax;
        _outlineSizeBytesMax = outlineSizeBytesMax;
        var view = new RecordBatchView(batch.Span);
        if (view.Magic > RecordBatchLayout.CurrentMagic)
            throw new CorruptRecordException(ErrorCode.CorruptMessage,
                $"Record batch has magic {view.Magic}; only 0 to {RecordBatchLayout.CurrentMagic} can be read");
        if (view.IsMessage)
        {
            _messages = new MessageSetReader(batch, recordSizeBytesMax);
            _recordCount = _messages.RecordCount;
            return;
        }

        _records = view.Records;
        _baseOffset = view.BaseOffset;
        _baseTimestamp = view.BaseTimestamp;
        _logAppendTime = view.TimestampType == TimestampType.LogAppendTime ? view.MaxTimestamp : null;
        _baseSequence = view.BaseSequence;
        _recordCount = view.RecordCount;
        if (_recordCount < 0)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Found invalid record count {_recordCount} in batch");

        _isCompressed = view.Compression != CompressionType.None;
        if (_isCompressed && _recordCount > 0)
        {
            var compressed = batch.Slice(RecordBatchLayout.HeaderSizeBytes, _records.Length);
            _window = new ExpansionWindow(CompressionCodecs.For(view.Compression).OpenDecoder(compressed));
        }
    }

    /// <summary>The number of records, according to the batch's header or the compressed message of magic 0 or 1.</summary>
    public readonly int RecordCount => _recordCount;

    /// <summary>Reads the next record.</summary>
    /// <param name="record">The record; valid until the next call.</param>
    /// <returns>False after the last record.</returns>
    /// <exception cref="CorruptRecordException">
    /// The record is malformed, the data ends before it does, bytes are left after the last record
    /// (<see cref="ErrorCode.InvalidRecord"/>), or the data cannot be decompressed (<see cref="ErrorCode.UnknownServerError"/>).
    /// </exception>
    public bool TryRead(out Record record)
    {
        if (_messages is not null)
            return _messages.TryRead(out record);
        if (_recordsRead == _recordCount)
        {
            record = default;
            return false;
        }

        var body = _isCompressed ? TakeBody(ReadBodySize(_recordSizeBytesMax), out var sizeInBytes) : NextBody(out sizeInBytes);
        Walk(body, out var fields);
        record = new Record
        {
            Offset = unchecked(_baseOffset + fields.OffsetDelta),
            OffsetDelta = fields.OffsetDelta,
            Timestamp = _logAppendTime ?? unchecked(_baseTimestamp + fields.TimestampDelta),
            Sequence = SequenceOf(fields.OffsetDelta),
            Attributes = body[0],
            SizeInBytes = sizeInBytes,
            KeySizeBytes = fields.KeySizeBytes,
            ValueSizeBytes = fields.ValueSizeBytes,
            Key = fields.KeySizeBytes > 0 ? body.Slice(fields.KeyStart, fields.KeySizeBytes) : default,
            Value = fields.ValueSizeBytes > 0 ? body.Slice(fields.ValueStart, fields.ValueSizeBytes) : default,
            HeaderCount = fields.HeaderCount,
            RawHeaders = body[fields.HeadersStart..],
        };
        EndRecord();
        return true;
    }

    /// <summary>
    /// Reads the next record like <see cref="TryRead"/>, but without its contents. Compressed contents are skipped and not held, so memory
    /// does not grow with their size.
    /// </summary>
    /// <param name="outline">The record's outline.</param>
    /// <returns>False after the last record.</returns>
    /// <exception cref="CorruptRecordException">As for <see cref="TryRead"/>.</exception>
    public bool TryReadOutline(out RecordOutline outline)
    {
        if (_messages is not null)
            return ReadOutline(_messages, out outline);
        if (_recordsRead == _recordCount)
        {
            outline = default;
            return false;
        }

        RecordFields fields;
        int sizeInBytes;
        if (!_isCompressed)
        {
            Walk(NextBody(out sizeInBytes), out fields);
        }
        else if (ReadBodySize(_outlineSizeBytesMax) is var bodySize && bodySize > _window.CapacityBytes)
        {
            sizeInBytes = SizeOfRecord(bodySize);
            SkipBody(bodySize, out fields);
        }
        else
        {
            Walk(TakeBody(bodySize, out sizeInBytes), out fields);
        }

        outline = new RecordOutline
        {
            Offset = unchecked(_baseOffset + fields.OffsetDelta),
            Timestamp = _logAppendTime ?? unchecked(_baseTimestamp + fields.TimestampDelta),
            OffsetDelta = fields.OffsetDelta,
            SizeInBytes = sizeInBytes,
            HasKey = fields.KeySizeBytes >= 0,
        };
        EndRecord();
        return true;
    }

    /// <summary>Returns pooled buffers and contexts.</summary>
    public void Dispose()
    {
        _window.Dispose();
        _messages?.Dispose();
    }

    private static bool ReadOutline(MessageSetReader messages, out RecordOutline outline)
    {
        var isThere = messages.TryRead(out var record);
        outline = new RecordOutline
        {
            Offset = record.Offset,
            Timestamp = record.Timestamp,
            OffsetDelta = record.OffsetDelta,
            SizeInBytes = record.SizeInBytes,
            HasKey = record.HasKey,
        };
        return isThere;
    }

    private void EndRecord()
    {
        if (++_recordsRead == _recordCount && !IsAtEnd())
            throw new CorruptRecordException(
                ErrorCode.InvalidRecord, "Incorrect declared batch size, records still remaining after the last");
    }

    private readonly bool IsAtEnd() => _isCompressed ? _window.IsAtEnd() : _position == _records.Length;

    /// <summary>The bytes of the next record after its length, in place.</summary>
    private ReadOnlySpan<byte> NextBody(out int sizeInBytes)
    {
        var start = _position;
        if (!Varint.TryReadInt32(_records, ref _position, out var bodySize))
            throw Truncated();
        if (bodySize < 0 || bodySize > _records.Length - _position)
            throw WrongSize(bodySize, _records.Length - _position);
        var body = _records.Slice(_position, bodySize);
        _position += bodySize;
        sizeInBytes = _position - start;
        return body;
    }

    private int ReadBodySize(int bytesMax)
    {
        if (!_window.TryReadInt32(out var bodySize))
            throw Truncated();
        if (bodySize < 0)
            throw WrongSize(bodySize, 0);
        return bodySize <= bytesMax
            ? bodySize
            : throw new CorruptRecordException(
                ErrorCode.InvalidRecord, $"A record expands to {bodySize} bytes, more than the {bytesMax} allowed")
            { ExceedsBound = true };
    }

    /// <summary>The bytes of the next record after its length, expanded.</summary>
    private ReadOnlySpan<byte> TakeBody(int bodySize, out int sizeInBytes)
    {
        sizeInBytes = SizeOfRecord(bodySize);
        return _window.TryTake(bodySize, out var body) ? body : throw Truncated();
    }

    private static int SizeOfRecord(int bodySize) => (int)Math.Min(int.MaxValue, (long)bodySize + Varint.SizeOf(bodySize));

    /// <summary>Checks a record and finds its fields.</summary>
    internal static void Walk(ReadOnlySpan<byte> body, out RecordFields fields)
    {
        // Locals, so that the loop over a batch's records keeps them in registers. The attributes, at 0, are not looked at.
        var position = 1;
        if (body.IsEmpty ||
            !Varint.TryReadInt64(body, ref position, out var timestampDelta) ||
            !Varint.TryReadInt32(body, ref position, out var offsetDelta) ||
            !TryWalkField(body, ref position, out var keyStart, out var keySizeBytes) ||
            !TryWalkField(body, ref position, out var valueStart, out var valueSizeBytes) ||
            !Varint.TryReadInt32(body, ref position, out var headerCount))
            throw Malformed();
        fields.TimestampDelta = timestampDelta;
        fields.OffsetDelta = offsetDelta;
        fields.KeyStart = keyStart;
        fields.KeySizeBytes = keySizeBytes;
        fields.ValueStart = valueStart;
        fields.ValueSizeBytes = valueSizeBytes;
        fields.HeaderCount = headerCount;
        fields.HeadersStart = position;
        if (headerCount != 0)
            WalkHeaders(body, headerCount, ref position);
        if (position != body.Length)
            throw new CorruptRecordException(ErrorCode.InvalidRecord,
                $"Invalid record size: expected to read {body.Length} bytes in record payload, but instead read {position}");
    }

    private static void WalkHeaders(ReadOnlySpan<byte> body, int count, ref int position)
    {
        if (count < 0 || count > body.Length - position)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Found invalid number of record headers {count}");
        for (var i = 0; i < count; i++)
            RecordHeaderEnumerator.Read(body, ref position);
    }

    /// <summary>Checks a record that is larger than the window, without holding it.</summary>
    private void SkipBody(int bodySize, out RecordFields fields)
    {
        fields = default;
        var end = _window.ConsumedBytes + bodySize;
        if (!_window.TryReadByte(out _) ||
            !_window.TryReadInt64(out fields.TimestampDelta) ||
            !_window.TryReadInt32(out fields.OffsetDelta) ||
            !TrySkipField(out fields.KeySizeBytes) ||
            !TrySkipField(out fields.ValueSizeBytes) ||
            !_window.TryReadInt32(out fields.HeaderCount))
            throw Malformed();
        if (fields.HeaderCount < 0)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Found invalid number of record headers {fields.HeaderCount}");

        for (var i = 0; i < fields.HeaderCount; i++)
        {
            // A false count must not make the loop leave the record: every header takes at least two bytes.
            if (_window.ConsumedBytes >= end || !TrySkipField(out var headerKeySize) || headerKeySize < 0 || !TrySkipField(out _))
                throw Malformed();
        }

        if (_window.ConsumedBytes != end)
            throw new CorruptRecordException(
                ErrorCode.InvalidRecord, $"Invalid record size: expected to read {bodySize} bytes in record payload, but instead read "
                    + $"{bodySize + _window.ConsumedBytes - end}");
    }

    private readonly int SequenceOf(int offsetDelta) =>
        _baseSequence >= 0 ? RecordBatchLayout.IncrementSequence(_baseSequence, offsetDelta) : RecordBatchLayout.NoSequence;

    private bool TrySkipField(out int sizeBytes)
    {
        if (!_window.TryReadInt32(out sizeBytes) || (sizeBytes > 0 && !_window.TrySkip(sizeBytes)))
            return false;
        sizeBytes = Math.Max(sizeBytes, -1);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryWalkField(ReadOnlySpan<byte> body, ref int position, out int start, out int sizeBytes)
    {
        var isThere = Varint.TryReadInt32(body, ref position, out sizeBytes) && sizeBytes <= body.Length - position;
        start = position;
        sizeBytes = Math.Max(sizeBytes, -1);
        if (isThere)
            position += Math.Max(sizeBytes, 0);
        return isThere;
    }

    private static CorruptRecordException Truncated() =>
        new(ErrorCode.InvalidRecord, "Incorrect declared batch size, premature EOF reached");

    private static CorruptRecordException Malformed() => new(ErrorCode.InvalidRecord, "Found invalid record structure");

    private static CorruptRecordException WrongSize(int bodySize, int remaining) =>
        new(ErrorCode.InvalidRecord, $"Invalid record size: expected {bodySize} bytes in record payload, but only {remaining} remain");

    /// <summary>
    /// The fields of a record except its contents, and the positions of the contents. It is filled field by field and never copied.
    /// </summary>
    internal struct RecordFields
    {
        public long TimestampDelta;
        public int OffsetDelta;
        public int KeyStart;
        public int KeySizeBytes;
        public int ValueStart;
        public int ValueSizeBytes;
        public int HeaderCount;
        public int HeadersStart;
    }
}
