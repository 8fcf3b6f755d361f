using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Wire;

namespace Ottla.Storage.Producers;

/// <summary>The content of a transaction marker.</summary>
/// <param name="IsAbort">True for an abort, false for a commit.</param>
/// <param name="CoordinatorEpoch">The epoch of the coordinator that wrote it.</param>
internal readonly record struct EndTransactionMarker(bool IsAbort, int CoordinatorEpoch)
{
    /// <summary>Reads a control batch of a producer.</summary>
    /// <exception cref="CorruptRecordException">The batch is not a transaction marker.</exception>
    public static EndTransactionMarker Read(in RecordBatchView batch) =>
        TryRead(batch, out var marker)
            ? marker
            : throw new CorruptRecordException(
                ErrorCode.InvalidRecord, $"The control batch at offset {batch.BaseOffset} is not a transaction marker.");

    /// <summary>Reads a control batch; false when it is not a transaction marker.</summary>
    public static bool TryRead(in RecordBatchView batch, out EndTransactionMarker marker)
    {
        marker = default;
        var record = batch.Records;
        var position = 0;
        if (!Varint.TryReadInt32(record, ref position, out _) || position >= record.Length)
            return false;
        position++; // attributes
        if (!Varint.TryReadInt64(record, ref position, out _) || !Varint.TryReadInt32(record, ref position, out _)
            || !TryReadField(record, ref position, out var key) || !ControlBatches.TryReadType(key, out var type)
            || type is not (ControlRecordType.Abort or ControlRecordType.Commit)
            || !TryReadField(record, ref position, out var value)
            || !ControlBatches.TryReadCoordinatorEpoch(value, out var coordinatorEpoch))
            return false;
        marker = new EndTransactionMarker(type == ControlRecordType.Abort, coordinatorEpoch);
        return true;
    }

    private static bool TryReadField(ReadOnlySpan<byte> record, ref int position, out ReadOnlySpan<byte> field)
    {
        field = default;
        if (!Varint.TryReadInt32(record, ref position, out var length) || length < 0 || length > record.Length - position)
            return false;
        field = record.Slice(position, length);
        position += length;
        return true;
    }
}
