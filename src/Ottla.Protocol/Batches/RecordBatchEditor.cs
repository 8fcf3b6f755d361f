using System.Buffers.Binary;

namespace Ottla.Protocol.Batches;

/// <summary>Patches the header of a batch in place, so that an append neither copies nor recompresses it.</summary>
public static class RecordBatchEditor
{
    /// <summary>Sets the offset of the first record, which the checksum does not cover.</summary>
    public static void SetBaseOffset(Span<byte> batch, long baseOffset) =>
        BinaryPrimitives.WriteInt64BigEndian(batch[RecordBatchLayout.BaseOffsetOffset..], baseOffset);

    /// <summary>Sets the base offset so that the last record gets <paramref name="lastOffset"/>. The checksum does not cover it.</summary>
    public static void SetLastOffset(Span<byte> batch, long lastOffset) =>
        SetBaseOffset(batch, lastOffset - BinaryPrimitives.ReadInt32BigEndian(batch[RecordBatchLayout.LastOffsetDeltaOffset..]));

    /// <summary>Sets the epoch of the appending leader, which the checksum does not cover.</summary>
    public static void SetPartitionLeaderEpoch(Span<byte> batch, int leaderEpoch) =>
        BinaryPrimitives.WriteInt32BigEndian(batch[RecordBatchLayout.PartitionLeaderEpochOffset..], leaderEpoch);

    /// <summary>Sets the timestamp type and the max timestamp and updates the checksum. Does nothing when both are set already.</summary>
    /// <param name="batch">The whole batch.</param>
    /// <param name="timestampType">The source of the timestamps.</param>
    /// <param name="maxTimestamp">Milliseconds since the epoch.</param>
    /// <returns>Whether anything changed.</returns>
    public static bool SetMaxTimestampAndType(Span<byte> batch, TimestampType timestampType, long maxTimestamp)
    {
        var view = new RecordBatchView(batch);
        if (view.TimestampType == timestampType && view.MaxTimestamp == maxTimestamp)
            return false;

        var attributes = view.Attributes & ~RecordBatchLayout.TimestampTypeMask;
        if (timestampType == TimestampType.LogAppendTime)
            attributes |= RecordBatchLayout.TimestampTypeMask;
        BinaryPrimitives.WriteInt16BigEndian(batch[RecordBatchLayout.AttributesOffset..], (short)attributes);
        BinaryPrimitives.WriteInt64BigEndian(batch[RecordBatchLayout.MaxTimestampOffset..], maxTimestamp);
        UpdateCrc(batch);
        return true;
    }

    /// <summary>Computes and stores the checksum.</summary>
    /// <exception cref="CorruptRecordException">The batch is truncated.</exception>
    public static void UpdateCrc(Span<byte> batch) =>
        BinaryPrimitives.WriteUInt32BigEndian(batch[RecordBatchLayout.CrcOffset..], new RecordBatchView(batch).ComputeCrc());
}
