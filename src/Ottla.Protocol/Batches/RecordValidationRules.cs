using Ottla.Kernel;

namespace Ottla.Protocol.Batches;

/// <summary>The rules for appending records to one partition, from the topic's configuration and the request.</summary>
public readonly record struct RecordValidationRules()
{
    /// <summary>The partition; used only in messages.</summary>
    public TopicPartition Partition { get; init; } = new("", 0);

    /// <summary>The source of the records.</summary>
    public AppendOrigin Origin { get; init; } = AppendOrigin.Client;

    /// <summary>The version of the Produce request; used only in messages.</summary>
    public short ProduceVersion { get; init; } = 13;

    /// <summary>Whether zstd is allowed. It is not below Produce 7, because consumers of that age may not know it (KIP-110).</summary>
    public bool ZstdAllowed { get; init; } = true;

    /// <summary>Whether <c>cleanup.policy</c> includes <c>compact</c>, so that every record needs a key.</summary>
    public bool Compacted { get; init; }

    /// <summary><c>message.timestamp.type</c>.</summary>
    public TimestampType TimestampType { get; init; } = TimestampType.CreateTime;

    /// <summary><c>message.timestamp.before.max.ms</c>.</summary>
    public long TimestampBeforeMaxMs { get; init; } = long.MaxValue;

    /// <summary><c>message.timestamp.after.max.ms</c>.</summary>
    public long TimestampAfterMaxMs { get; init; } = 3_600_000;

    /// <summary><c>max.message.bytes</c>: the largest batch, compressed. Not applied to replicated batches.</summary>
    public int MaxMessageBytes { get; init; } = 1_048_588;

    /// <summary><c>max.decompressed.message.bytes</c>: the largest expanded record of a compressed batch.</summary>
    public int MaxDecompressedMessageBytes { get; init; } = int.MaxValue;

    /// <summary><c>compression.type</c>; null for <c>producer</c>.</summary>
    public CompressionType? TargetCompression { get; init; }

    /// <summary><c>compression.*.level</c> of the target; null for the codec's default.</summary>
    public int? TargetCompressionLevel { get; init; }

    /// <summary>
    /// Whether to decompress batches that stay unchanged, to check their records as Kafka does. If false, their headers are trusted.
    /// </summary>
    public bool VerifyCompressedRecords { get; init; } = true;
}
