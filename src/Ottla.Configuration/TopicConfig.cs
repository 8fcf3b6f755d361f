using System.Collections.Frozen;

namespace Ottla.Configuration;

/// <summary>
/// The effective configuration of one topic: its own values, then the broker's. Immutable and parsed once, so that logs can read it on hot
/// paths; a change makes a new instance.
/// </summary>
public sealed class TopicConfig
{
    private readonly FrozenDictionary<string, ConfigValue> _values;

    private TopicConfig(FrozenDictionary<string, ConfigValue> values, IReadOnlyDictionary<string, string> overrides)
    {
        _values = values;
        Overrides = overrides;
        SegmentBytes = Get("internal.segment.bytes") is { IsNull: false } forTests ? forTests.AsInt : Int("segment.bytes");
        SegmentMs = Long("segment.ms");
        SegmentJitterMs = Long("segment.jitter.ms");
        SegmentIndexBytes = Int("segment.index.bytes");
        FlushMessages = Long("flush.messages");
        FlushMs = Long("flush.ms");
        RetentionBytes = Long("retention.bytes");
        RetentionMs = Long("retention.ms");
        MaxMessageBytes = Int("max.message.bytes");
        MaxDecompressedMessageBytes = Int("max.decompressed.message.bytes");
        IndexIntervalBytes = Int("index.interval.bytes");
        DeleteRetentionMs = Long("delete.retention.ms");
        MinCompactionLagMs = Long("min.compaction.lag.ms");
        MaxCompactionLagMs = Long("max.compaction.lag.ms");
        FileDeleteDelayMs = Long("file.delete.delay.ms");
        MinCleanableDirtyRatio = Get("min.cleanable.dirty.ratio").AsDouble;
        var policy = Get("cleanup.policy").AsList;
        IsCompacted = policy.Contains("compact");
        IsDeleted = policy.Contains("delete");
        UncleanLeaderElectionEnable = Boolean("unclean.leader.election.enable");
        MinInsyncReplicas = Int("min.insync.replicas");
        CompressionType = ParseCompression(Get("compression.type").AsString!);
        CompressionGzipLevel = Int("compression.gzip.level");
        CompressionLz4Level = Int("compression.lz4.level");
        CompressionZstdLevel = Int("compression.zstd.level");
        Preallocate = Boolean("preallocate");
        MessageTimestampType =
            Get("message.timestamp.type").AsString == "CreateTime" ? MessageTimestampType.CreateTime : MessageTimestampType.LogAppendTime;
        MessageTimestampBeforeMaxMs = Long("message.timestamp.before.max.ms");
        MessageTimestampAfterMaxMs = Long("message.timestamp.after.max.ms");
        LeaderReplicationThrottledReplicas = Get("leader.replication.throttled.replicas").AsList;
        FollowerReplicationThrottledReplicas = Get("follower.replication.throttled.replicas").AsList;
        RemoteStorageEnable = Boolean("remote.storage.enable");
        RemoteLogCopyDisable = Boolean("remote.log.copy.disable");
        RemoteLogDeleteOnDisable = Boolean("remote.log.delete.on.disable");
        LocalRetentionMs = Long("local.retention.ms") is var localMs and not -2 ? localMs : RetentionMs;
        LocalRetentionBytes = Long("local.retention.bytes") is var localBytes and not -2 ? localBytes : RetentionBytes;
        RemoteCopyLagMs = Long("remote.copy.lag.ms") is var lagMs and not -1 ? lagMs : LocalRetentionMs;
        RemoteCopyLagBytes = Long("remote.copy.lag.bytes") is var lagBytes and not -1 ? lagBytes : LocalRetentionBytes;
        ErrorsDeadletterqueueGroupEnable = Boolean("errors.deadletterqueue.group.enable");
    }

    /// <summary>The values that are set on the topic, as text.</summary>
    public IReadOnlyDictionary<string, string> Overrides { get; }

    /// <summary><c>segment.bytes</c>: Largest size of a segment.</summary>
    public int SegmentBytes { get; }

    /// <summary><c>segment.ms</c>: Longest age of the active segment before it is rolled.</summary>
    public long SegmentMs { get; }

    /// <summary><c>segment.jitter.ms</c>: Largest random time taken off <see cref="SegmentMs"/>.</summary>
    public long SegmentJitterMs { get; }

    /// <summary><c>segment.index.bytes</c>: Largest size of an offset or time index.</summary>
    public int SegmentIndexBytes { get; }

    /// <summary><c>flush.messages</c>: Records after which the log is flushed.</summary>
    public long FlushMessages { get; }

    /// <summary><c>flush.ms</c>: Longest time a record stays unflushed.</summary>
    public long FlushMs { get; }

    /// <summary><c>retention.bytes</c>: Size beyond which the oldest segments are deleted; negative for no limit.</summary>
    public long RetentionBytes { get; }

    /// <summary><c>retention.ms</c>: How long records are kept; -1 for ever.</summary>
    public long RetentionMs { get; }

    /// <summary><c>max.message.bytes</c>: Largest record batch accepted.</summary>
    public int MaxMessageBytes { get; }

    /// <summary>
    /// <c>max.decompressed.message.bytes</c>: Largest size that one record of a compressed batch may have when it is expanded.
    /// </summary>
    public int MaxDecompressedMessageBytes { get; }

    /// <summary><c>index.interval.bytes</c>: Bytes of records between two index entries.</summary>
    public int IndexIntervalBytes { get; }

    /// <summary><c>delete.retention.ms</c>: How long tombstones and transaction markers survive compaction.</summary>
    public long DeleteRetentionMs { get; }

    /// <summary><c>min.compaction.lag.ms</c>: How long a record stays uncompacted at least.</summary>
    public long MinCompactionLagMs { get; }

    /// <summary><c>max.compaction.lag.ms</c>: How long a record may stay out of compaction at most.</summary>
    public long MaxCompactionLagMs { get; }

    /// <summary><c>file.delete.delay.ms</c>: How long a deleted segment stays on disk.</summary>
    public long FileDeleteDelayMs { get; }

    /// <summary><c>min.cleanable.dirty.ratio</c>: Part of the log that must be dirty before it is compacted, 0 to 1.</summary>
    public double MinCleanableDirtyRatio { get; }

    /// <summary>Whether <c>cleanup.policy</c> includes compact.</summary>
    public bool IsCompacted { get; }

    /// <summary>Whether <c>cleanup.policy</c> includes delete.</summary>
    public bool IsDeleted { get; }

    /// <summary><c>unclean.leader.election.enable</c>: Whether a replica out of the in-sync set may become leader.</summary>
    public bool UncleanLeaderElectionEnable { get; }

    /// <summary><c>min.insync.replicas</c>: In-sync replicas without which acks=all writes are refused.</summary>
    public int MinInsyncReplicas { get; }

    /// <summary><c>compression.type</c>: the codec with which batches are recompressed; null keeps the producer's.</summary>
    public ConfiguredCompression? CompressionType { get; }

    /// <summary><c>compression.gzip.level</c>; -1 for gzip's default.</summary>
    public int CompressionGzipLevel { get; }

    /// <summary><c>compression.lz4.level</c>.</summary>
    public int CompressionLz4Level { get; }

    /// <summary><c>compression.zstd.level</c>.</summary>
    public int CompressionZstdLevel { get; }

    /// <summary><c>preallocate</c>: Whether segment files are allocated in full when they are created.</summary>
    public bool Preallocate { get; }

    /// <summary><c>message.timestamp.type</c>: the source of record timestamps.</summary>
    public MessageTimestampType MessageTimestampType { get; }

    /// <summary><c>message.timestamp.before.max.ms</c>: How far a record's own timestamp may lie in the past.</summary>
    public long MessageTimestampBeforeMaxMs { get; }

    /// <summary><c>message.timestamp.after.max.ms</c>: How far a record's own timestamp may lie in the future.</summary>
    public long MessageTimestampAfterMaxMs { get; }

    /// <summary><c>leader.replication.throttled.replicas</c>: partition:broker entries, or * alone.</summary>
    public IReadOnlyList<string> LeaderReplicationThrottledReplicas { get; }

    /// <summary><c>follower.replication.throttled.replicas</c>: partition:broker entries, or * alone.</summary>
    public IReadOnlyList<string> FollowerReplicationThrottledReplicas { get; }

    /// <summary><c>remote.storage.enable</c>: whether the topic uses tiered storage.</summary>
    public bool RemoteStorageEnable { get; }

    /// <summary><c>remote.log.copy.disable</c>: Whether nothing more is copied to remote storage.</summary>
    public bool RemoteLogCopyDisable { get; }

    /// <summary><c>remote.log.delete.on.disable</c>: Whether remote data is deleted when tiering is turned off.</summary>
    public bool RemoteLogDeleteOnDisable { get; }

    /// <summary><c>local.retention.ms</c>, with -2 resolved to <see cref="RetentionMs"/>.</summary>
    public long LocalRetentionMs { get; }

    /// <summary><c>local.retention.bytes</c>, with -2 resolved to <see cref="RetentionBytes"/>.</summary>
    public long LocalRetentionBytes { get; }

    /// <summary><c>remote.copy.lag.ms</c>, with -1 resolved to <see cref="LocalRetentionMs"/>.</summary>
    public long RemoteCopyLagMs { get; }

    /// <summary><c>remote.copy.lag.bytes</c>, with -1 resolved to <see cref="LocalRetentionBytes"/>.</summary>
    public long RemoteCopyLagBytes { get; }

    /// <summary><c>errors.deadletterqueue.group.enable</c>: Whether the topic may be a share group's dead letter queue.</summary>
    public bool ErrorsDeadletterqueueGroupEnable { get; }

    /// <summary>Makes the configuration of a topic. Like in Kafka, stored names that are not topic configs are ignored.</summary>
    /// <exception cref="ConfigException">A value is invalid.</exception>
    public static TopicConfig Create(BrokerConfig defaults, IReadOnlyDictionary<string, string> topicOverrides)
    {
        var values = new Dictionary<string, ConfigValue>(StringComparer.Ordinal);
        foreach (var definition in ConfigRegistry.Topic.All)
            values[definition.Name] =
                definition.Parse(topicOverrides.TryGetValue(definition.Name, out var text) ? text : Inherited(defaults, definition));
        return new TopicConfig(
            values.ToFrozenDictionary(StringComparer.Ordinal),
            topicOverrides.Count == 0 ? FrozenDictionary<string, string>.Empty : topicOverrides.ToFrozenDictionary(StringComparer.Ordinal));
    }

    /// <summary>
    /// Rejects invalid values of a topic: unknown names, invalid values, and values that contradict each other or the defaults.
    /// CreateTopics and the AlterConfigs requests answer INVALID_CONFIG then.
    /// </summary>
    /// <param name="overrides">All values of the topic after the change.</param>
    /// <param name="defaults">The broker's configuration; null for Kafka's own defaults.</param>
    /// <param name="existing">The values before the change, for rules about changes; null for a new topic.</param>
    /// <exception cref="ConfigException">A value is invalid.</exception>
    public static void Validate(
        IReadOnlyDictionary<string, string> overrides, BrokerConfig? defaults = null, IReadOnlyDictionary<string, string>? existing =
            null) =>
        TopicConfigRules.Validate(overrides, defaults, existing ?? FrozenDictionary<string, string>.Empty);

    /// <summary>The effective value of a topic config.</summary>
    /// <exception cref="KeyNotFoundException">The config does not exist.</exception>
    public ConfigValue Get(string name) => _values[name];

    /// <summary>The text of a topic config that is not set on the topic.</summary>
    internal static string? Inherited(BrokerConfig? defaults, ConfigDefinition definition)
    {
        if (defaults is null || definition.Synonyms.Count == 0)
            return definition.DefaultText;
        var text = defaults.FirstOf(definition.Synonyms);
        // For brokers any negative retention means unlimited; topics accept only -1.
        return definition.Name == "retention.ms" && text!.StartsWith('-') ? "-1" : text;
    }

    private static ConfiguredCompression? ParseCompression(string name) => name switch
    {
        "uncompressed" => ConfiguredCompression.Uncompressed,
        "gzip" => ConfiguredCompression.Gzip,
        "snappy" => ConfiguredCompression.Snappy,
        "lz4" => ConfiguredCompression.Lz4,
        "zstd" => ConfiguredCompression.Zstd,
        _ => null,
    };

    private bool Boolean(string name) => _values[name].AsBoolean;

    private int Int(string name) => _values[name].AsInt;

    private long Long(string name) => _values[name].AsLong;
}
