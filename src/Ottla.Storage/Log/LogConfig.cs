using Ottla.Protocol.Batches;

namespace Ottla.Storage.Log;

/// <summary>
/// The part of a topic's configuration that its log uses. Immutable; the broker creates it from the topic configuration, with
/// Kafka's defaults.
/// </summary>
public sealed record LogConfig
{
    /// <summary>The default configuration of a topic.</summary>
    public static readonly LogConfig Default = new();

    /// <summary><c>segment.bytes</c>: a segment is rolled before it grows past this.</summary>
    public int SegmentBytes { get; init; } = 1024 * 1024 * 1024;

    /// <summary><c>segment.ms</c>: a segment is rolled when its first record is older than this.</summary>
    public long SegmentMs { get; init; } = 7L * 24 * 60 * 60 * 1000;

    /// <summary><c>segment.jitter.ms</c>: at most this is subtracted from <see cref="SegmentMs"/>, by chance per segment.</summary>
    public long SegmentJitterMs { get; init; }

    /// <summary><c>segment.index.bytes</c>: the most bytes of an index; a segment whose index is full is rolled.</summary>
    public int SegmentIndexBytes { get; init; } = 10 * 1024 * 1024;

    /// <summary><c>index.interval.bytes</c>: more log bytes than this lie between two index entries.</summary>
    public int IndexIntervalBytes { get; init; } = 4096;

    /// <summary><c>flush.messages</c>: fsync when this many records are not yet flushed.</summary>
    public long FlushMessages { get; init; } = long.MaxValue;

    /// <summary><c>flush.ms</c>: fsync when the oldest record not flushed is older than this.</summary>
    public long FlushMs { get; init; } = long.MaxValue;

    /// <summary><c>retention.ms</c>: older segments are deleted; -1 keeps them.</summary>
    public long RetentionMs { get; init; } = 7L * 24 * 60 * 60 * 1000;

    /// <summary><c>retention.bytes</c>: the oldest segments are deleted while the log stays at least this large; -1 keeps them.</summary>
    public long RetentionBytes { get; init; } = -1;

    /// <summary><c>max.message.bytes</c>: the largest batch a client may send.</summary>
    public int MaxMessageBytes { get; init; } = 1024 * 1024 + 12;

    /// <summary>
    /// <c>max.decompressed.message.bytes</c>: the largest size that a record of a compressed batch is expanded to, in compaction
    /// and look-ups by time.
    /// </summary>
    public int MaxDecompressedMessageBytes { get; init; } = int.MaxValue;

    /// <summary><c>cleanup.policy</c> contains <c>compact</c>.</summary>
    public bool Compact { get; init; }

    /// <summary><c>cleanup.policy</c> contains <c>delete</c>.</summary>
    public bool Delete { get; init; } = true;

    /// <summary><c>min.cleanable.dirty.ratio</c>: a log is compacted when more of it than this is dirty, 0 to 1.</summary>
    public double MinCleanableDirtyRatio { get; init; } = 0.5;

    /// <summary><c>min.compaction.lag.ms</c>: a segment with a younger record is not compacted.</summary>
    public long MinCompactionLagMs { get; init; }

    /// <summary>
    /// <c>max.compaction.lag.ms</c>: a log whose oldest dirty segment begins before this is compacted, whatever its ratio.
    /// </summary>
    public long MaxCompactionLagMs { get; init; } = long.MaxValue;

    /// <summary><c>delete.retention.ms</c>: how long tombstones and markers stay after compaction has first seen them.</summary>
    public long DeleteRetentionMs { get; init; } = 24L * 60 * 60 * 1000;

    /// <summary><c>file.delete.delay.ms</c>: how long a removed segment's files stay on disk.</summary>
    public long FileDeleteDelayMs { get; init; } = 60_000;

    /// <summary><c>preallocate</c>: reserve a whole segment at once instead of in growing steps.</summary>
    public bool Preallocate { get; init; }

    /// <summary>
    /// The bytes to keep reserved past the end of the log, so that appends go on for a while on a full disk; 0 for none.
    /// </summary>
    public int ReserveBytes { get; init; }

    /// <summary><c>producer.id.expiration.ms</c>: an idle producer is forgotten after this.</summary>
    public long ProducerIdExpirationMs { get; init; } = 86_400_000;

    /// <summary>
    /// <c>transaction.partition.verification.enable</c>: a transaction's first batch needs a
    /// <see cref="Producers.VerificationGuard"/>.
    /// </summary>
    public bool VerifyTransactions { get; init; } = true;

    /// <summary><c>message.timestamp.type</c>.</summary>
    public TimestampType TimestampType { get; init; } = TimestampType.CreateTime;
}
