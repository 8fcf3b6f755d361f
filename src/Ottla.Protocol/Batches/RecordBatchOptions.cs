namespace Ottla.Protocol.Batches;

/// <summary>What the header of a batch to build says; the defaults are those of a plain, uncompressed batch at offset 0.</summary>
public readonly record struct RecordBatchOptions()
{
    public CompressionType Compression { get; init; } = CompressionType.None;

    /// <summary>The codec's level; null for its default.</summary>
    public int? CompressionLevel { get; init; }

    public TimestampType TimestampType { get; init; } = TimestampType.CreateTime;

    /// <summary>With <see cref="TimestampType.LogAppendTime"/>: the batch's max timestamp, in milliseconds since the epoch.</summary>
    public long LogAppendTimeMs { get; init; } = RecordBatchLayout.NoTimestamp;

    public long BaseOffset { get; init; }

    public int PartitionLeaderEpoch { get; init; } = RecordBatchLayout.NoPartitionLeaderEpoch;

    public long ProducerId { get; init; } = RecordBatchLayout.NoProducerId;

    public short ProducerEpoch { get; init; } = RecordBatchLayout.NoProducerEpoch;

    public int BaseSequence { get; init; } = RecordBatchLayout.NoSequence;

    public bool IsTransactional { get; init; }

    public bool IsControl { get; init; }

    /// <summary>Set by the cleaner (KIP-534): takes the base timestamp's place, in milliseconds since the epoch.</summary>
    public long? DeleteHorizonMs { get; init; }

    /// <summary>The last offset delta, where compaction removed the last records; null for the last record's.</summary>
    public int? LastOffsetDelta { get; init; }

    /// <summary>The header of <paramref name="batch"/>, for a batch that takes its place: all but its delete horizon and last offset.</summary>
    public static RecordBatchOptions Of(RecordBatchView batch) => new()
    {
        Compression = batch.Compression,
        TimestampType = batch.TimestampType,
        LogAppendTimeMs = batch.TimestampType == TimestampType.LogAppendTime ? batch.MaxTimestamp : RecordBatchLayout.NoTimestamp,
        BaseOffset = batch.BaseOffset,
        PartitionLeaderEpoch = batch.PartitionLeaderEpoch,
        ProducerId = batch.ProducerId,
        ProducerEpoch = batch.ProducerEpoch,
        BaseSequence = batch.BaseSequence,
        IsTransactional = batch.IsTransactional,
        IsControl = batch.IsControl,
    };
}
