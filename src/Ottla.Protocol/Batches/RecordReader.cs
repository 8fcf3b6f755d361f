using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Wire;

namespace Ottla.Protocol.Batches;

/// <summary>Reads the records of one batch in order, in place when they are not compressed and streaming when they are.</summary>
/// <remarks>
/// Owned by one caller, who disposes it (pooled buffers and contexts go back). After an exception only disposing is allowed.
/// Compressed data is expanded piece by piece into a pooled window that grows, as bytes really arrive, to the largest single record
/// (bounded by <c>recordSizeBytesMax</c>), and does not grow at all in <see cref="RecordReadMode.SkipContents"/>.
/// The checksum is not looked at: that is the caller's choice.
/// </remarks>
public ref struct RecordReader : IDisposable
{
    /// <summary>The most bytes one compressed record may expand to unless the caller says otherwise.</summary>
    public const int RecordSizeBytesMaxDefault = 256 * 1024 * 1024;

    private readonly RecordReadMode _mode;
    private readonly long _baseOffset;
    private readonly long _baseTimestamp;
    private readonly long? _logAppendTime;
    private readonly int _baseSequence;
    private readonly int _recordCount;
    private readonly bool _isCompressed;
    private readonly ReadOnlySpan<byte> _records;
    private int _position;
    private int _recordsRead;
    private ExpansionWindow _window;

    /// <summary>Starts at the first record of <paramref name="batch"/>.</summary>
    /// <param name="batch">A whole batch (magic 2); bytes after it are ignored.</param>
    /// <param name="mode">How much to hand out.</param>
    /// <param name="recordSizeBytesMax">The most bytes one compressed record may expand to; nothing is held in <see cref="RecordReadMode.SkipContents"/>.</param>
    /// <exception cref="CorruptRecordException">The header is none of a readable batch, or the compressed data does not start like its codec's.</exception>
    /// <exception cref="CompressionUnavailableException">The codec's library is not installed.</exception>
    public RecordReader(ReadOnlyMemory<byte> batch, RecordReadMode mode = RecordReadMode.Full, int recordSizeBytesMax = RecordSizeBytesMaxDefault)
    {
        var view = new RecordBatchView(batch.Span);
        if (view.Magic != RecordBatchLayout.CurrentMagic)
            throw new CorruptRecordException(ErrorCode.CorruptMessage, $"Record batch has magic {view.Magic}; only {RecordBatchLayout.CurrentMagic} can be read");
        _records = view.Records;
        _mode = mode;
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
            _window = new ExpansionWindow(CompressionCodecs.For(view.Compression).OpenDecoder(compressed), recordSizeBytesMax);
        }
    }

    /// <summary>The records that the batch's header promises.</summary>
    public readonly int RecordCount => _recordCount;

    /// <summary>Reads the next record.</summary>
    /// <param name="record">The record; valid until the next call.</param>
    /// <returns>False after the promised number of records.</returns>
    /// <exception cref="CorruptRecordException">
    /// The record is malformed, the data ends before it does, bytes are left after the last record
    /// (<see cref="ErrorCode.InvalidRecord"/>), or the data cannot be decompressed (<see cref="ErrorCode.CorruptMessage"/>).
    /// </exception>
    public bool TryRead(out Record record)
    {
        if (_recordsRead == _recordCount)
        {
            record = default;
            return false;
        }

        _recordsRead++;
        record = _isCompressed ? ReadCompressed() : ReadInPlace();
        if (_recordsRead == _recordCount && !IsAtEnd())
            throw new CorruptRecordException(ErrorCode.InvalidRecord, "Incorrect declared batch size, records still remaining after the last");
        return true;
    }

    /// <summary>Gives pooled buffers and contexts back.</summary>
    public void Dispose() => _window.Dispose();

    private readonly bool IsAtEnd() => _isCompressed ? _window.IsAtEnd() : _position == _records.Length;

    private Record ReadInPlace()
    {
        var start = _position;
        if (!Varint.TryReadInt32(_records, ref _position, out var bodySize))
            throw Truncated();
        if (bodySize < 0 || bodySize > _records.Length - _position)
            throw WrongSize(bodySize, _records.Length - _position);
        var body = _records.Slice(_position, bodySize);
        _position += bodySize;
        return Parse(body, _position - start);
    }

    private Record ReadCompressed()
    {
        if (!_window.TryReadInt32(out var bodySize))
            throw Truncated();
        if (bodySize < 0)
            throw WrongSize(bodySize, 0);
        var sizeInBytes = (int)Math.Min(int.MaxValue, (long)bodySize + Varint.SizeOf(bodySize));
        if (_mode == RecordReadMode.SkipContents && bodySize > _window.CapacityBytes)
            return SkipBody(bodySize, sizeInBytes);
        if (!_window.TryTake(bodySize, out var body))
            throw Truncated();
        return Parse(body, sizeInBytes);
    }

    private readonly Record Parse(ReadOnlySpan<byte> body, int sizeInBytes)
    {
        if (body.IsEmpty)
            throw Malformed();
        var position = 1;
        if (!Varint.TryReadInt64(body, ref position, out var timestampDelta) ||
            !Varint.TryReadInt32(body, ref position, out var offsetDelta) ||
            !TryReadField(body, ref position, out var key, out var keySize) ||
            !TryReadField(body, ref position, out var value, out var valueSize) ||
            !Varint.TryReadInt32(body, ref position, out var headerCount))
            throw Malformed();
        if (headerCount < 0 || headerCount > body.Length - position)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Found invalid number of record headers {headerCount}");

        var headersStart = position;
        for (var i = 0; i < headerCount; i++)
            RecordHeaderEnumerator.Read(body, ref position);
        if (position != body.Length)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Invalid record size: expected to read {body.Length} bytes in record payload, but instead read {position}");

        var isFull = _mode == RecordReadMode.Full;
        return new Record
        {
            Offset = unchecked(_baseOffset + offsetDelta),
            OffsetDelta = offsetDelta,
            Timestamp = _logAppendTime ?? unchecked(_baseTimestamp + timestampDelta),
            Sequence = SequenceOf(offsetDelta),
            Attributes = body[0],
            SizeInBytes = sizeInBytes,
            KeySizeBytes = keySize,
            ValueSizeBytes = valueSize,
            Key = isFull ? key : default,
            Value = isFull ? value : default,
            HeaderCount = headerCount,
            RawHeaders = isFull ? body[headersStart..] : default,
        };
    }

    /// <summary>Walks over a record that is larger than the window.</summary>
    private Record SkipBody(int bodySize, int sizeInBytes)
    {
        var end = _window.ConsumedBytes + bodySize;
        if (!_window.TryReadByte(out var attributes) ||
            !_window.TryReadInt64(out var timestampDelta) ||
            !_window.TryReadInt32(out var offsetDelta) ||
            !TrySkipField(out var keySize) ||
            !TrySkipField(out var valueSize) ||
            !_window.TryReadInt32(out var headerCount))
            throw Malformed();
        if (headerCount < 0)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Found invalid number of record headers {headerCount}");

        for (var i = 0; i < headerCount; i++)
        {
            // A lying count must not outrun the record: every header takes two bytes at least.
            if (_window.ConsumedBytes >= end || !TrySkipField(out var headerKeySize) || headerKeySize < 0 || !TrySkipField(out _))
                throw Malformed();
        }

        if (_window.ConsumedBytes != end)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, $"Invalid record size: expected to read {bodySize} bytes in record payload, but instead read {bodySize + _window.ConsumedBytes - end}");

        return new Record
        {
            Offset = unchecked(_baseOffset + offsetDelta),
            OffsetDelta = offsetDelta,
            Timestamp = _logAppendTime ?? unchecked(_baseTimestamp + timestampDelta),
            Sequence = SequenceOf(offsetDelta),
            Attributes = attributes,
            SizeInBytes = sizeInBytes,
            KeySizeBytes = keySize,
            ValueSizeBytes = valueSize,
            HeaderCount = headerCount,
        };
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

    private static bool TryReadField(ReadOnlySpan<byte> body, scoped ref int position, out ReadOnlySpan<byte> field, out int sizeBytes)
    {
        field = default;
        if (!Varint.TryReadInt32(body, ref position, out sizeBytes) || sizeBytes > body.Length - position)
            return false;
        if (sizeBytes < 0)
        {
            sizeBytes = -1;
            return true;
        }

        field = body.Slice(position, sizeBytes);
        position += sizeBytes;
        return true;
    }

    private static CorruptRecordException Truncated() =>
        new(ErrorCode.InvalidRecord, "Incorrect declared batch size, premature EOF reached");

    private static CorruptRecordException Malformed() => new(ErrorCode.InvalidRecord, "Found invalid record structure");

    private static CorruptRecordException WrongSize(int bodySize, int remaining) =>
        new(ErrorCode.InvalidRecord, $"Invalid record size: expected {bodySize} bytes in record payload, but only {remaining} remain");
}
