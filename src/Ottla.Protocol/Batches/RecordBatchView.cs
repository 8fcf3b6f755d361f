using System.Buffers.Binary;

namespace Ottla.Protocol.Batches;

/// <summary>
/// The header of one record batch read in place: magic 2, or a message of magic 0 or 1, which counts as a batch. Lives as long as the span
/// under it.
/// </summary>
/// <remarks>
/// The span needs the 61 bytes of the header, or fewer for a message; what covers the records (<see cref="Records"/>, the checksum) needs
/// the whole batch.
/// Bytes after the batch are ignored. Nothing in the header is believed before <see cref="IsCrcValid"/>.
/// What a message does not have (leader epoch, producer, transaction) it says as a batch without it does.
/// </remarks>
public readonly ref struct RecordBatchView
{
    private readonly ReadOnlySpan<byte> _batch;
    private readonly bool _isMessage;

    /// <summary>Looks at the batch that <paramref name="batch"/> starts with.</summary>
    /// <exception cref="CorruptRecordException">There are fewer bytes than a header has.</exception>
    public RecordBatchView(ReadOnlySpan<byte> batch)
    {
        _isMessage = batch.Length >= RecordBatchLayout.SizeAndMagicBytes
            && batch[RecordBatchLayout.MagicOffset] < RecordBatchLayout.CurrentMagic;
        if (batch.Length < (_isMessage ? RecordBatchLayout.SizeBytesMin(batch[RecordBatchLayout.MagicOffset])
            : RecordBatchLayout.HeaderSizeBytes))
            throw new CorruptRecordException(ErrorCode.CorruptMessage, $"Record batch is corrupt: {batch.Length} bytes are less than a header has");
        _batch = batch;
    }

    /// <summary>
    /// The offset of the first record, also after compaction removed it; of a compressed message (magic 0 or 1) that of the last, for it
    /// does not say more.
    /// </summary>
    public long BaseOffset => ReadInt64(RecordBatchLayout.BaseOffsetOffset);

    /// <summary>The batch's size with its header, as the length field says; not checked against what is there.</summary>
    public int SizeInBytes => unchecked(RecordBatchLayout.LogOverheadBytes + ReadInt32(RecordBatchLayout.LengthOffset));

    /// <summary>The epoch of the leader that appended the batch, or -1. Outside the checksum.</summary>
    public int PartitionLeaderEpoch => _isMessage ? RecordBatchLayout.NoPartitionLeaderEpoch
        : ReadInt32(RecordBatchLayout.PartitionLeaderEpochOffset);

    /// <summary>The format.</summary>
    public byte Magic => _batch[RecordBatchLayout.MagicOffset];

    /// <summary>It is a message of magic 0 or 1.</summary>
    public bool IsMessage => _isMessage;

    /// <summary>
    /// The stored checksum: CRC-32C over everything from the attributes on; of a message CRC-32 over everything from the magic on.
    /// </summary>
    public uint Crc => (uint)ReadInt32(_isMessage ? MessageLayout.CrcOffset : RecordBatchLayout.CrcOffset);

    /// <summary>All of the batch and nothing after it is there.</summary>
    public bool IsComplete => SizeInBytes >= RecordBatchLayout.SizeBytesMin(Magic) && SizeInBytes <= _batch.Length;

    /// <summary>The batch is complete and its bytes are what its checksum says.</summary>
    public bool IsCrcValid => IsComplete && Crc == ComputeCrc();

    public short Attributes =>
        (short)(_isMessage ? _batch[MessageLayout.AttributesOffset] & MessageLayout.AttributesMask(Magic)
            : ReadInt16(RecordBatchLayout.AttributesOffset));

    public CompressionType Compression => (CompressionType)(Attributes & RecordBatchLayout.CompressionMask);

    public TimestampType TimestampType =>
        (Attributes & RecordBatchLayout.TimestampTypeMask) == 0 ? TimestampType.CreateTime : TimestampType.LogAppendTime;

    public bool IsTransactional => (Attributes & RecordBatchLayout.TransactionalMask) != 0;

    /// <summary>Its records are control records, which consumers never see.</summary>
    public bool IsControl => (Attributes & RecordBatchLayout.ControlMask) != 0;

    /// <summary>When the cleaner may drop the batch's tombstones or marker, in milliseconds since the epoch; null while it has not seen them.</summary>
    public long? DeleteHorizonMs => (Attributes & RecordBatchLayout.DeleteHorizonMask) != 0 ? BaseTimestamp : null;

    /// <summary>The last record's offset relative to the base; compaction keeps it.</summary>
    public int LastOffsetDelta => _isMessage ? 0 : ReadInt32(RecordBatchLayout.LastOffsetDeltaOffset);

    public long LastOffset => unchecked(BaseOffset + LastOffsetDelta);

    /// <summary>The offset after the batch's last.</summary>
    public long NextOffset => unchecked(LastOffset + 1);

    /// <summary>What record timestamps are relative to: the first record's, or the delete horizon. Milliseconds since the epoch; -1 in an empty batch.</summary>
    public long BaseTimestamp => _isMessage ? MessageTimestamp : ReadInt64(RecordBatchLayout.BaseTimestampOffset);

    /// <summary>The greatest record timestamp, or the append time, in milliseconds since the epoch; -1 when there is none.</summary>
    public long MaxTimestamp => _isMessage ? MessageTimestamp : ReadInt64(RecordBatchLayout.MaxTimestampOffset);

    public long ProducerId => _isMessage ? RecordBatchLayout.NoProducerId : ReadInt64(RecordBatchLayout.ProducerIdOffset);

    /// <summary>An idempotent or transactional producer wrote the batch.</summary>
    public bool HasProducerId => ProducerId > RecordBatchLayout.NoProducerId;

    public short ProducerEpoch => _isMessage ? RecordBatchLayout.NoProducerEpoch : (short)ReadInt16(RecordBatchLayout.ProducerEpochOffset);

    public int BaseSequence => _isMessage ? RecordBatchLayout.NoSequence : ReadInt32(RecordBatchLayout.BaseSequenceOffset);

    /// <summary>The last record's sequence, or -1 without one; after int.MaxValue comes 0.</summary>
    public int LastSequence =>
        BaseSequence == RecordBatchLayout.NoSequence
            ? RecordBatchLayout.NoSequence
            : RecordBatchLayout.IncrementSequence(BaseSequence, LastOffsetDelta);

    /// <summary>The number of records; -1 when only reading them tells, as with a compressed message.</summary>
    public int RecordCount => !_isMessage ? ReadInt32(RecordBatchLayout.RecordCountOffset) : Compression == CompressionType.None ? 1 : -1;

    /// <summary>
    /// The records' bytes, compressed as <see cref="Compression"/> says; not those of a message, which <see cref="RecordReader"/> reads.
    /// </summary>
    /// <exception cref="CorruptRecordException">The batch is not all there.</exception>
    public ReadOnlySpan<byte> Records => CompleteBatch()[RecordBatchLayout.HeaderSizeBytes..];

    /// <summary>The checksum that the bytes have.</summary>
    /// <exception cref="CorruptRecordException">The batch is not all there.</exception>
    public uint ComputeCrc() => _isMessage
        ? Crc32.Compute(CompleteBatch()[MessageLayout.MagicOffset..])
        : Crc32C.Compute(CompleteBatch()[RecordBatchLayout.AttributesOffset..]);

    /// <summary>Reads a batch's size and format from its first 17 bytes.</summary>
    /// <param name="source">The start of a batch.</param>
    /// <param name="sizeInBytes">The size with the header. The caller compares it with what is there.</param>
    /// <param name="magic">The format.</param>
    /// <returns>False when there are fewer than 17 bytes or the length is none that any format allows (too small, negative, overflowing).</returns>
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

    /// <summary>The message's timestamp; -1 with magic 0.</summary>
    private long MessageTimestamp => Magic == MessageLayout.Magic1 ? ReadInt64(MessageLayout.TimestampOffset)
        : RecordBatchLayout.NoTimestamp;

    private ReadOnlySpan<byte> CompleteBatch() =>
        IsComplete
            ? _batch[..SizeInBytes]
            : throw new CorruptRecordException(
                ErrorCode.CorruptMessage, $"Record batch is corrupt: it claims {SizeInBytes} bytes and {_batch.Length} are there");

    private int ReadInt16(int offset) => BinaryPrimitives.ReadInt16BigEndian(_batch[offset..]);

    private int ReadInt32(int offset) => BinaryPrimitives.ReadInt32BigEndian(_batch[offset..]);

    private long ReadInt64(int offset) => BinaryPrimitives.ReadInt64BigEndian(_batch[offset..]);
}
