using System.Buffers.Binary;

namespace Ottla.Protocol.Batches;

/// <summary>Writes batch headers.</summary>
public static class RecordBatchHeader
{
    /// <summary>
    /// Makes a batch without records. The cleaner keeps it so that a producer's last sequence number survives compaction. Never compressed.
    /// </summary>
    /// <param name="options">The header. Base offset and last offset delta determine the offsets that the batch covers.</param>
    /// <param name="lastOffsetDelta">The last offset it covers, relative to the base offset.</param>
    /// <param name="maxTimestamp">Milliseconds since the epoch, or -1.</param>
    public static byte[] WriteEmptyBatch(RecordBatchOptions options, int lastOffsetDelta, long maxTimestamp)
    {
        var batch = new byte[RecordBatchLayout.HeaderSizeBytes];
        var header = options with { Compression = CompressionType.None, DeleteHorizonMs = null };
        Write(batch, header, lastOffsetDelta, RecordBatchLayout.NoTimestamp, maxTimestamp, recordCount: 0);
        return batch;
    }

    /// <summary>Writes the header and checksum of <paramref name="batch"/>, whose records are in place.</summary>
    /// <param name="batch">The whole batch.</param>
    /// <param name="options">The header.</param>
    /// <param name="lastOffsetDelta">The offset of the last record relative to the first.</param>
    /// <param name="baseTimestamp">What the records' timestamps are relative to, in milliseconds since the epoch.</param>
    /// <param name="maxTimestamp">The largest timestamp.</param>
    /// <param name="recordCount">Records.</param>
    public static void Write(
        Span<byte> batch, in RecordBatchOptions options, int lastOffsetDelta, long baseTimestamp, long maxTimestamp, int recordCount)
    {
        BinaryPrimitives.WriteInt64BigEndian(batch[RecordBatchLayout.BaseOffsetOffset..], options.BaseOffset);
        BinaryPrimitives.WriteInt32BigEndian(batch[RecordBatchLayout.LengthOffset..], batch.Length - RecordBatchLayout.LogOverheadBytes);
        BinaryPrimitives.WriteInt32BigEndian(batch[RecordBatchLayout.PartitionLeaderEpochOffset..], options.PartitionLeaderEpoch);
        batch[RecordBatchLayout.MagicOffset] = RecordBatchLayout.CurrentMagic;
        BinaryPrimitives.WriteInt16BigEndian(batch[RecordBatchLayout.AttributesOffset..], AttributesOf(options));
        BinaryPrimitives.WriteInt32BigEndian(batch[RecordBatchLayout.LastOffsetDeltaOffset..], lastOffsetDelta);
        BinaryPrimitives.WriteInt64BigEndian(batch[RecordBatchLayout.BaseTimestampOffset..], baseTimestamp);
        BinaryPrimitives.WriteInt64BigEndian(batch[RecordBatchLayout.MaxTimestampOffset..], maxTimestamp);
        BinaryPrimitives.WriteInt64BigEndian(batch[RecordBatchLayout.ProducerIdOffset..], options.ProducerId);
        BinaryPrimitives.WriteInt16BigEndian(batch[RecordBatchLayout.ProducerEpochOffset..], options.ProducerEpoch);
        BinaryPrimitives.WriteInt32BigEndian(batch[RecordBatchLayout.BaseSequenceOffset..], options.BaseSequence);
        BinaryPrimitives.WriteInt32BigEndian(batch[RecordBatchLayout.RecordCountOffset..], recordCount);
        RecordBatchEditor.UpdateCrc(batch);
    }

    private static short AttributesOf(in RecordBatchOptions options)
    {
        var attributes = (int)options.Compression & RecordBatchLayout.CompressionMask;
        if (options.TimestampType == TimestampType.LogAppendTime)
            attributes |= RecordBatchLayout.TimestampTypeMask;
        if (options.IsTransactional)
            attributes |= RecordBatchLayout.TransactionalMask;
        if (options.IsControl)
            attributes |= RecordBatchLayout.ControlMask;
        if (options.DeleteHorizonMs is not null)
            attributes |= RecordBatchLayout.DeleteHorizonMask;
        return (short)attributes;
    }
}
