using Ottla.Kernel;

namespace Ottla.Protocol.Batches;

/// <summary>What records must satisfy to be appended to one partition: the topic's configuration and the request's.</summary>
public readonly record struct RecordValidationRules()
{
    /// <summary>Where the records go; only named in messages.</summary>
    public TopicPartition Partition { get; init; } = new("", 0);

    /// <summary>Where the records come from.</summary>
    public AppendOrigin Origin { get; init; } = AppendOrigin.Client;

    /// <summary>The Produce request's version; only named in messages.</summary>
    public short ProduceVersion { get; init; } = 13;

    /// <summary>False below Produce 7, whose consumers might not know zstd (KIP-110).</summary>
    public bool ZstdAllowed { get; init; } = true;

    /// <summary><c>cleanup.policy</c> includes <c>compact</c>: every record needs a key.</summary>
    public bool Compacted { get; init; }

    /// <summary><c>message.timestamp.type</c>.</summary>
    public TimestampType TimestampType { get; init; } = TimestampType.CreateTime;

    /// <summary><c>message.timestamp.before.max.ms</c>.</summary>
    public long TimestampBeforeMaxMs { get; init; } = long.MaxValue;

    /// <summary><c>message.timestamp.after.max.ms</c>.</summary>
    public long TimestampAfterMaxMs { get; init; } = 3_600_000;

    /// <summary><c>max.message.bytes</c>: of a whole batch, compressed. Not asked of replicated batches.</summary>
    public int MaxMessageBytes { get; init; } = 1_048_588;

    /// <summary><c>max.decompressed.message.bytes</c>: of one record of a compressed batch, expanded.</summary>
    public int MaxDecompressedMessageBytes { get; init; } = int.MaxValue;

    /// <summary><c>compression.type</c>; null for <c>producer</c>.</summary>
    public CompressionType? TargetCompression { get; init; }

    /// <summary><c>compression.*.level</c> of the target; null for the codec's default.</summary>
    public int? TargetCompressionLevel { get; init; }

    /// <summary>Decompress batches that stay as they are, to check their records as Kafka does. When false, their headers are trusted.</summary>
    public bool VerifyCompressedRecords { get; init; } = true;
}
