namespace Ottla.Protocol.Batches;

/// <summary>The header of a batch to build. The defaults are those of an uncompressed batch at offset 0 without a producer.</summary>
public readonly record struct RecordBatchOptions()
{
    public CompressionType Compression { get; init; } = CompressionType.None;

    /// <summary>The level of the codec; null for its default.</summary>
    public int? CompressionLevel { get; init; }

    public TimestampType TimestampType { get; init; } = TimestampType.CreateTime;

    /// <summary>
    /// The max timestamp of the batch if <see cref="TimestampType.LogAppendTime"/> is set, in milliseconds since the epoch.
    /// </summary>
    public long LogAppendTimeMs { get; init; } = RecordBatchLayout.NoTimestamp;

    public long BaseOffset { get; init; }

    public int PartitionLeaderEpoch { get; init; } = RecordBatchLayout.NoPartitionLeaderEpoch;

    public long ProducerId { get; init; } = RecordBatchLayout.NoProducerId;

    public short ProducerEpoch { get; init; } = RecordBatchLayout.NoProducerEpoch;

    public int BaseSequence { get; init; } = RecordBatchLayout.NoSequence;

    public bool IsTransactional { get; init; }

    public bool IsControl { get; init; }

    /// <summary>Set by the cleaner (KIP-534): replaces the base timestamp, in milliseconds since the epoch.</summary>
    public long? DeleteHorizonMs { get; init; }

    /// <summary>The last offset delta if compaction removed the last records; null for that of the last record.</summary>
    public int? LastOffsetDelta { get; init; }

    /// <summary>The header of <paramref name="batch"/> for a batch that replaces it, without its delete horizon and last offset.</summary>
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

    /// <summary>Why the producer state is invalid, in the words of Kafka's builder; null when it is valid.</summary>
    internal string? ProducerStateFault()
    {
        if (ProducerId == RecordBatchLayout.NoProducerId)
            return IsTransactional ? "Cannot write transactional messages without a valid producer ID" : null;
        if (ProducerEpoch == RecordBatchLayout.NoProducerEpoch)
            return "Invalid negative producer epoch";
        return BaseSequence < 0 && !IsControl ? "Invalid negative sequence number used" : null;
    }
}
