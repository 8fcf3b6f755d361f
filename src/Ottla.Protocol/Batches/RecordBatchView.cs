using System.Buffers.Binary;

namespace Ottla.Protocol.Batches;

/// <summary>
/// The header of one record batch, read in place: magic 2, or a message of magic 0 or 1, which counts as a batch. Lives as long as its
/// span.
/// </summary>
/// <remarks>
/// The span must contain the 61 bytes of the header (fewer for a message); <see cref="Records"/> and the checksum need the whole batch.
/// Bytes after the batch are ignored. The header is not trustworthy unless <see cref="IsCrcValid"/>. Fields that a message does not have
/// (leader epoch, producer, transaction) have the values of a batch without them.
/// </remarks>
public readonly ref struct RecordBatchView
{
    private readonly ReadOnlySpan<byte> _batch;
    private readonly bool _isMessage;

    /// <summary>Reads the batch at the start of <paramref name="batch"/>.</summary>
    /// <exception cref="CorruptRecordException">The span is shorter than a header.</exception>
    public RecordBatchView(ReadOnlySpan<byte> batch)
    {
        _batch = batch;
        if (batch.Length < RecordBatchLayout.HeaderSizeBytes || batch[RecordBatchLayout.MagicOffset] < RecordBatchLayout.CurrentMagic)
            _isMessage = RequireMessage(batch);
    }

    /// <summary>Checks the length of what is no batch of the current format.</summary>
    /// <returns>True: it is a message.</returns>
    private static bool RequireMessage(ReadOnlySpan<byte> batch)
    {
        var isMessage = batch.Length >= RecordBatchLayout.SizeAndMagicBytes
            && batch[RecordBatchLayout.MagicOffset] < RecordBatchLayout.CurrentMagic;
        return isMessage && batch.Length >= RecordBatchLayout.SizeBytesMin(batch[RecordBatchLayout.MagicOffset])
            ? true
            : throw new CorruptRecordException(
                ErrorCode.CorruptMessage, $"Record batch is corrupt: it has {batch.Length} bytes, fewer than its header");
    }

    /// <summary>
    /// The offset of the first record, even if compaction removed it. For a compressed message (magic 0 or 1) it is the offset of the last
    /// record, because the header has no other.
    /// </summary>
    public long BaseOffset => ReadInt64(RecordBatchLayout.BaseOffsetOffset);

    /// <summary>
    /// The size of the batch including its header, according to its length field. It is not compared with the length of the span.
    /// </summary>
    public int SizeInBytes => unchecked(RecordBatchLayout.LogOverheadBytes + ReadInt32(RecordBatchLayout.LengthOffset));

    /// <summary>The epoch of the leader that appended the batch; -1 for none. The checksum does not cover it.</summary>
    public int PartitionLeaderEpoch => _isMessage ? RecordBatchLayout.NoPartitionLeaderEpoch
        : ReadInt32(RecordBatchLayout.PartitionLeaderEpochOffset);

    /// <summary>The format.</summary>
    public byte Magic => _batch[RecordBatchLayout.MagicOffset];

    /// <summary>Whether it is a message of magic 0 or 1.</summary>
    public bool IsMessage => _isMessage;

    /// <summary>
    /// The stored checksum: CRC-32C over everything from the attributes on; for a message CRC-32 over everything from the magic on.
    /// </summary>
    public uint Crc => (uint)ReadInt32(_isMessage ? MessageLayout.CrcOffset : RecordBatchLayout.CrcOffset);

    /// <summary>Whether the span contains the whole batch.</summary>
    public bool IsComplete => SizeInBytes >= RecordBatchLayout.SizeBytesMin(Magic) && SizeInBytes <= _batch.Length;

    /// <summary>Whether the batch is complete and its checksum is correct.</summary>
    public bool IsCrcValid => IsComplete && Crc == ComputeCrc();

    public short Attributes =>
        (short)(_isMessage ? _batch[MessageLayout.AttributesOffset] & MessageLayout.AttributesMask(Magic)
            : ReadInt16(RecordBatchLayout.AttributesOffset));

    public CompressionType Compression => (CompressionType)(Attributes & RecordBatchLayout.CompressionMask);

    public TimestampType TimestampType =>
        (Attributes & RecordBatchLayout.TimestampTypeMask) == 0 ? TimestampType.CreateTime : TimestampType.LogAppendTime;

    public bool IsTransactional => (Attributes & RecordBatchLayout.TransactionalMask) != 0;

    /// <summary>Whether the records are control records, which consumers do not see.</summary>
    public bool IsControl => (Attributes & RecordBatchLayout.ControlMask) != 0;

    /// <summary>
    /// The time after which the cleaner may remove the batch's tombstones or marker, in milliseconds since the epoch; null until the
    /// cleaner sets it.
    /// </summary>
    public long? DeleteHorizonMs => (Attributes & RecordBatchLayout.DeleteHorizonMask) != 0 ? BaseTimestamp : null;

    /// <summary>The offset of the last record relative to the base offset; compaction keeps it.</summary>
    public int LastOffsetDelta => _isMessage ? 0 : ReadInt32(RecordBatchLayout.LastOffsetDeltaOffset);

    public long LastOffset => unchecked(BaseOffset + LastOffsetDelta);

    /// <summary>The offset after the last one of the batch.</summary>
    public long NextOffset => unchecked(LastOffset + 1);

    /// <summary>
    /// The base of the records' timestamps: the first record's timestamp or the delete horizon. Milliseconds since the epoch; -1 in an
    /// empty batch.
    /// </summary>
    public long BaseTimestamp => _isMessage ? MessageTimestamp : ReadInt64(RecordBatchLayout.BaseTimestampOffset);

    /// <summary>The greatest timestamp of the records or the append time, in milliseconds since the epoch; -1 for none.</summary>
    public long MaxTimestamp => _isMessage ? MessageTimestamp : ReadInt64(RecordBatchLayout.MaxTimestampOffset);

    public long ProducerId => _isMessage ? RecordBatchLayout.NoProducerId : ReadInt64(RecordBatchLayout.ProducerIdOffset);

    /// <summary>Whether an idempotent or transactional producer wrote the batch.</summary>
    public bool HasProducerId => ProducerId > RecordBatchLayout.NoProducerId;

    public short ProducerEpoch => _isMessage ? RecordBatchLayout.NoProducerEpoch : (short)ReadInt16(RecordBatchLayout.ProducerEpochOffset);

    public int BaseSequence => _isMessage ? RecordBatchLayout.NoSequence : ReadInt32(RecordBatchLayout.BaseSequenceOffset);

    /// <summary>The sequence number of the last record; -1 for none. int.MaxValue is followed by 0.</summary>
    public int LastSequence =>
        BaseSequence == RecordBatchLayout.NoSequence
            ? RecordBatchLayout.NoSequence
            : RecordBatchLayout.IncrementSequence(BaseSequence, LastOffsetDelta);

    /// <summary>The number of records; -1 when the header does not tell, as in a compressed message.</summary>
    public int RecordCount => !_isMessage ? ReadInt32(RecordBatchLayout.RecordCountOffset) : Compression == CompressionType.None ? 1 : -1;

    /// <summary>
    /// The bytes of the records, compressed with <see cref="Compression"/>. Not for messages, which <see cref="RecordReader"/> reads.
    /// </summary>
    /// <exception cref="CorruptRecordException">The batch is truncated.</exception>
    public ReadOnlySpan<byte> Records => CompleteBatch()[RecordBatchLayout.HeaderSizeBytes..];

    /// <summary>Computes the checksum of the bytes.</summary>
    /// <exception cref="CorruptRecordException">The batch is truncated.</exception>
    public uint ComputeCrc() => _isMessage
        ? Crc32.Compute(CompleteBatch()[MessageLayout.MagicOffset..])
        : Crc32C.Compute(CompleteBatch()[RecordBatchLayout.AttributesOffset..]);

    /// <summary>Reads the size and format of a batch from its first 17 bytes.</summary>
    /// <param name="source">The start of a batch.</param>
    /// <param name="sizeInBytes">The size including the header. The caller compares it with the available bytes.</param>
    /// <param name="magic">The format.</param>
    /// <returns>
    /// False when there are fewer than 17 bytes, or when no format allows the length (too small, negative or overflowing).
    /// </returns>
    public static bool TryReadSize(ReadOnlySpan<byte> source, out int sizeInBytes, out byte magic)
    {
        sizeInBytes = 0;
        magic = 0;
        if (source.Length < RecordBatchLayout.SizeAndMagicBytes)
            return false;
        var length = BinaryPrimitives.ReadInt32BigEndian(source[RecordBatchLayout.LengthOffset..]);
        if (length is < RecordBatchLayout.LengthFieldMin or > int.MaxValue - RecordBatchLayout.LogOverheadBytes)
            return false;
        sizeInBytes = RecordBatchLayout.LogOverheadBytes + length;
        magic = source[RecordBatchLayout.MagicOffset];
        return true;
    }

    /// <summary>The timestamp of a message; -1 in magic 0.</summary>
    private long MessageTimestamp => Magic == MessageLayout.Magic1 ? ReadInt64(MessageLayout.TimestampOffset)
        : RecordBatchLayout.NoTimestamp;

    private ReadOnlySpan<byte> CompleteBatch() =>
        IsComplete
            ? _batch[..SizeInBytes]
            : throw new CorruptRecordException(
                ErrorCode.CorruptMessage, $"Record batch is corrupt: it claims {SizeInBytes} bytes, but has {_batch.Length}");

    private int ReadInt16(int offset) => BinaryPrimitives.ReadInt16BigEndian(_batch[offset..]);

    private int ReadInt32(int offset) => BinaryPrimitives.ReadInt32BigEndian(_batch[offset..]);

    private long ReadInt64(int offset) => BinaryPrimitives.ReadInt64BigEndian(_batch[offset..]);
}
