using Ottla.Configuration;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas;

/// <summary>A topic's effective configuration, in the form that each layer below needs. Immutable; created once per change.</summary>
public sealed class TopicSettings
{
    /// <summary>Translates a topic's configuration.</summary>
    public TopicSettings(TopicConfig topic, BrokerConfig broker)
    {
        Topic = topic;
        Log = new LogConfig
        {
            SegmentBytes = topic.SegmentBytes,
            SegmentMs = topic.IsCompacted ? Math.Min(topic.SegmentMs, topic.MaxCompactionLagMs) : topic.SegmentMs,
            SegmentJitterMs = topic.SegmentJitterMs,
            SegmentIndexBytes = topic.SegmentIndexBytes,
            IndexIntervalBytes = topic.IndexIntervalBytes,
            FlushMessages = topic.FlushMessages,
            FlushMs = topic.FlushMs,
            RetentionMs = topic.RetentionMs,
            RetentionBytes = topic.RetentionBytes,
            MaxMessageBytes = topic.MaxMessageBytes,
            MaxDecompressedMessageBytes = topic.MaxDecompressedMessageBytes,
            Compact = topic.IsCompacted,
            Delete = topic.IsDeleted,
            MinCleanableDirtyRatio = topic.MinCleanableDirtyRatio,
            MinCompactionLagMs = topic.MinCompactionLagMs,
            MaxCompactionLagMs = topic.MaxCompactionLagMs,
            DeleteRetentionMs = topic.DeleteRetentionMs,
            FileDeleteDelayMs = topic.FileDeleteDelayMs,
            Preallocate = topic.Preallocate,
            ProducerIdExpirationMs = broker.ProducerIdExpirationMs,
            VerifyTransactions = broker.TransactionPartitionVerificationEnable,
            TimestampType = TimestampTypeOf(topic),
        };
        ClientRules = new RecordValidationRules
        {
            Origin = AppendOrigin.Client,
            TargetCompression = CompressionOf(topic),
            TargetCompressionLevel = CompressionLevelOf(topic),
            Compacted = topic.IsCompacted,
            TimestampType = TimestampTypeOf(topic),
            TimestampBeforeMaxMs = topic.MessageTimestampBeforeMaxMs,
            TimestampAfterMaxMs = topic.MessageTimestampAfterMaxMs,
            MaxMessageBytes = topic.MaxMessageBytes,
            MaxDecompressedMessageBytes = topic.MaxDecompressedMessageBytes,
        };
    }

    /// <summary>The topic's configuration by Kafka's names.</summary>
    public TopicConfig Topic { get; }

    /// <summary>The settings of the log.</summary>
    public LogConfig Log { get; }

    /// <summary>The rules for records that producers send.</summary>
    public RecordValidationRules ClientRules { get; }

    private static TimestampType TimestampTypeOf(TopicConfig topic) =>
        topic.MessageTimestampType == MessageTimestampType.LogAppendTime ? TimestampType.LogAppendTime : TimestampType.CreateTime;

    private static CompressionType? CompressionOf(TopicConfig topic) => topic.CompressionType switch
    {
        null => null,
        ConfiguredCompression.Gzip => CompressionType.Gzip,
        ConfiguredCompression.Snappy => CompressionType.Snappy,
        ConfiguredCompression.Lz4 => CompressionType.Lz4,
        ConfiguredCompression.Zstd => CompressionType.Zstd,
        _ => CompressionType.None,
    };

    private static int? CompressionLevelOf(TopicConfig topic) => topic.CompressionType switch
    {
        ConfiguredCompression.Gzip => topic.CompressionGzipLevel,
        ConfiguredCompression.Lz4 => topic.CompressionLz4Level,
        ConfiguredCompression.Zstd => topic.CompressionZstdLevel,
        _ => null,
    };
}
