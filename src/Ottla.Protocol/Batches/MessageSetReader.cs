using System.Buffers;
using System.Buffers.Binary;
using Ottla.Protocol.Batches.Compression;

namespace Ottla.Protocol.Batches;

/// <summary>
/// Reads the records of one message of magic 0 or 1: the message itself or, when it is compressed, the messages in its value.
/// </summary>
/// <remarks>
/// One <see cref="RecordReader"/> owns and disposes it. A compressed set is expanded as a whole into a pooled buffer that grows as bytes
/// arrive, because in magic 1 only the last message tells the base of all offsets.
/// </remarks>
internal sealed class MessageSetReader : IDisposable
{
    private const int InitialBytes = 16 * 1024;

    private readonly long _wrapperOffset;
    private readonly long? _logAppendTime;
    private readonly byte _magic;
    private readonly long _offsetShift;
    private readonly ReadOnlyMemory<byte> _messages;
    private byte[]? _expanded;
    private int _position;

    /// <summary>Starts at the first record.</summary>
    /// <param name="batch">A complete message. Bytes after it are ignored.</param>
    /// <param name="expandedBytesMax">The most bytes to which a compressed message may expand.</param>
    /// <exception cref="CorruptRecordException">The message is corrupt or too large.</exception>
    public MessageSetReader(ReadOnlyMemory<byte> batch, int expandedBytesMax)
    {
        var view = new RecordBatchView(batch.Span);
        if (!view.IsComplete)
            throw new CorruptRecordException(ErrorCode.CorruptMessage,
                $"Record batch is corrupt: it claims {view.SizeInBytes} bytes and {batch.Length} are there");
        batch = batch[..view.SizeInBytes];
        _magic = view.Magic;
        _wrapperOffset = view.LastOffset;
        _logAppendTime = view.TimestampType == TimestampType.LogAppendTime ? view.MaxTimestamp : null;
        if (view.Compression == CompressionType.None)
        {
            _messages = batch;
            RecordCount = 1;
            return;
        }

        _messages = Expand(batch, view.Compression, expandedBytesMax);
        try
        {
            _offsetShift = CountMessages();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The number of records.</summary>
    public int RecordCount { get; private set; }

    /// <summary>Reads the next record, which is valid until the reader is disposed.</summary>
    /// <exception cref="CorruptRecordException">The message is malformed.</exception>
    public bool TryRead(out Record record)
    {
        if (!TryTake(out var message))
        {
            record = default;
            return false;
        }

        var position = MessageLayout.KeyOffset(_magic);
        var keySize = ReadSize(message, ref position);
        var key = message.Slice(position, Math.Max(keySize, 0));
        position += key.Length;
        var valueSize = ReadSize(message, ref position);
        var value = message.Slice(position, Math.Max(valueSize, 0));
        if (position + value.Length != message.Length)
            throw new CorruptRecordException(ErrorCode.InvalidRecord,
                $"Invalid record size: a message of {message.Length} bytes has {position + value.Length}");
        var offset = OffsetOf(message) + _offsetShift;
        record = new Record
        {
            Offset = offset,
            OffsetDelta = unchecked((int)(offset - _wrapperOffset)),
            Timestamp = _logAppendTime ?? TimestampOf(message),
            Sequence = RecordBatchLayout.NoSequence,
            SizeInBytes = message.Length,
            KeySizeBytes = keySize,
            ValueSizeBytes = valueSize,
            Key = key,
            Value = value,
        };
        return true;
    }

    public void Dispose()
    {
        if (_expanded is not null)
            ArrayPool<byte>.Shared.Return(_expanded);
        _expanded = null;
    }

    private static long OffsetOf(ReadOnlySpan<byte> message) => BinaryPrimitives.ReadInt64BigEndian(message);

    private long TimestampOf(ReadOnlySpan<byte> message) =>
        _magic == MessageLayout.Magic0 ? RecordBatchLayout.NoTimestamp
            : BinaryPrimitives.ReadInt64BigEndian(message[MessageLayout.TimestampOffset..]);

    /// <summary>Reads the length of a key or value: -1 for null.</summary>
    private static int ReadSize(ReadOnlySpan<byte> message, ref int position)
    {
        if (message.Length - position < sizeof(int))
            throw new CorruptRecordException(ErrorCode.InvalidRecord, "Found invalid record structure");
        var size = BinaryPrimitives.ReadInt32BigEndian(message[position..]);
        position += sizeof(int);
        return size <= message.Length - position ? Math.Max(size, -1) : throw new CorruptRecordException(ErrorCode.InvalidRecord,
            "Found invalid record structure");
    }

    /// <summary>The next complete message. Like in Kafka, an incomplete message at the end of a set is ignored.</summary>
    private bool TryTake(out ReadOnlySpan<byte> message)
    {
        message = default;
        var rest = _messages.Span[_position..];
        if (!RecordBatchView.TryReadSize(rest, out var size, out var magic) || size > rest.Length)
            return false;
        if (magic != _magic || size < RecordBatchLayout.SizeBytesMin(magic))
            throw new CorruptRecordException(ErrorCode.InvalidRecord,
                $"Compressed message magic {magic} does not match wrapper magic {_magic}");
        message = rest[..size];
        _position += size;
        return true;
    }

    /// <summary>Counts the messages of a compressed set.</summary>
    /// <returns>The number to add to their offsets.</returns>
    private long CountMessages()
    {
        long lastOffset = 0;
        while (TryTake(out var message))
        {
            if ((message[MessageLayout.AttributesOffset] & RecordBatchLayout.CompressionMask) != 0)
                throw new CorruptRecordException(ErrorCode.InvalidRecord, "Inner messages must not be compressed");
            lastOffset = OffsetOf(message);
            RecordCount++;
        }

        if (RecordCount == 0)
            throw new CorruptRecordException(ErrorCode.InvalidRecord, "Found invalid compressed record set with no inner records");
        _position = 0;
        if (_magic == MessageLayout.Magic0 || _wrapperOffset == 0) // some producers left the offset of the outer message at 0
            return 0;
        return lastOffset <= _wrapperOffset
            ? _wrapperOffset - lastOffset
            : throw new CorruptRecordException(ErrorCode.InvalidRecord,
                $"A compressed message has the offset {_wrapperOffset}, and the last one in it the relative offset {lastOffset}");
    }

    private ReadOnlyMemory<byte> Expand(ReadOnlyMemory<byte> batch, CompressionType compression, int expandedBytesMax)
    {
        if (compression >= CompressionType.Zstd) // newer than these formats
            throw new CorruptRecordException(ErrorCode.CorruptMessage,
                $"A message of magic {_magic} has the compression type {(int)compression}");
        var position = MessageLayout.KeyOffset(_magic);
        var keySize = ReadSize(batch.Span, ref position);
        position += Math.Max(keySize, 0);
        if (ReadSize(batch.Span, ref position) < 0)
            throw new CorruptRecordException(ErrorCode.InvalidRecord,
                $"Found invalid compressed record set with null value (magic = {_magic})");
        var value = batch[position..];
        if (compression == CompressionType.Lz4 && _magic == MessageLayout.Magic0)
            value = Lz4FrameRepair.WithRightHeaderChecksum(value);

        using var decoder = CompressionCodecs.For(compression).OpenDecoder(value);
        var expanded = ArrayPool<byte>.Shared.Rent(InitialBytes);
        _expanded = expanded;
        try
        {
            var length = 0;
            while (decoder.Read(expanded.AsSpan(length)) is var read and > 0)
            {
                length += read;
                if (length > expandedBytesMax)
                {
                    throw new CorruptRecordException(
                        ErrorCode.InvalidRecord,
                            $"A compressed message expands to more than the {expandedBytesMax} bytes allowed")
                    { ExceedsBound = true };
                }

                if (length == expanded.Length)
                    _expanded = expanded = Grow(expanded);
            }

            return expanded.AsMemory(0, length);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private static byte[] Grow(byte[] full)
    {
        var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, 2L * full.Length));
        full.CopyTo(larger, 0);
        ArrayPool<byte>.Shared.Return(full);
        return larger;
    }
}
