using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class TopicConfigTests
{
    [Fact]
    public void HasTheBrokersDefaultsUnderItsOwn()
    {
        var broker = ConfigTestData.Broker(
            ("log.segment.bytes", "2097152"), ("log.retention.minutes", "3"), ("log.roll.hours", "2"), ("message.max.bytes", "77"),
            ("log.cleanup.policy", "compact"), ("log.flush.scheduler.interval.ms", "9"));
        var topic = TopicConfig.Create(
            broker, new Dictionary<string, string> { ["segment.bytes"] = "1048576", ["flush.ms"] = "4", ["bogus"] = "1" });
        Assert.Equal(1_048_576, topic.SegmentBytes);
        Assert.Equal(180_000, topic.RetentionMs);
        Assert.Equal(7_200_000, topic.SegmentMs);
        Assert.Equal(77, topic.MaxMessageBytes);
        Assert.Equal(4, topic.FlushMs);
        Assert.Equal(9, broker.TopicDefaults.FlushMs);
        Assert.True(topic.IsCompacted);
        Assert.False(topic.IsDeleted);
        Assert.Equal("1048576", topic.Overrides["segment.bytes"]);
    }

    [Theory]
    [InlineData("producer", null)]
    [InlineData("uncompressed", ConfiguredCompression.Uncompressed)]
    [InlineData("gzip", ConfiguredCompression.Gzip)]
    [InlineData("snappy", ConfiguredCompression.Snappy)]
    [InlineData("lz4", ConfiguredCompression.Lz4)]
    [InlineData("zstd", ConfiguredCompression.Zstd)]
    public void Compression(string text, ConfiguredCompression? expected) =>
        Assert.Equal(expected, Topic(("compression.type", text)).CompressionType);

    [Theory]
    [InlineData("delete", false, true)]
    [InlineData("compact", true, false)]
    [InlineData("compact,delete", true, true)]
    [InlineData("", false, false)]
    public void CleanupPolicy(string text, bool compacted, bool deleted)
    {
        var topic = Topic(("cleanup.policy", text));
        Assert.Equal((compacted, deleted), (topic.IsCompacted, topic.IsDeleted));
    }

    [Fact]
    public void TimestampType()
    {
        Assert.Equal(MessageTimestampType.CreateTime, Topic().MessageTimestampType);
        Assert.Equal(MessageTimestampType.LogAppendTime, Topic(("message.timestamp.type", "LogAppendTime")).MessageTimestampType);
    }

    [Fact]
    public void LocalRetentionFollowsRetention()
    {
        var topic = Topic(("retention.ms", "50"), ("retention.bytes", "60"), ("remote.copy.lag.ms", "-1"));
        Assert.Equal(
            (50, 60, 50, 60), (topic.LocalRetentionMs, topic.LocalRetentionBytes, topic.RemoteCopyLagMs, topic.RemoteCopyLagBytes));
        Assert.Equal(7, Topic(("local.retention.ms", "7")).LocalRetentionMs);
    }

    [Fact]
    public void TestsMayHaveSmallSegments() => Assert.Equal(100, Topic(("internal.segment.bytes", "100")).SegmentBytes);

    [Fact]
    public void AnyNegativeBrokerRetentionIsForEver() =>
        Assert.Equal(-1, ConfigTestData.Broker(("log.retention.hours", "-5")).TopicDefaults.RetentionMs);

    [Theory]
    [InlineData("bogus", "1", "Unknown topic config name: bogus")]
    [InlineData("segment.bytes", "1048575", "Invalid value 1048575 for configuration segment.bytes: Value must be at least 1048576")]
    [InlineData("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1")]
    [InlineData("min.compaction.lag.ms", "6", "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)")]
    [InlineData(
        "remote.storage.enable", "true",
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.")]
    public void RefusesWhatKafkaRefuses(string name, string value, string message)
    {
        var overrides = new Dictionary<string, string> { ["max.compaction.lag.ms"] = "5", [name] = value };
        Assert.Equal(message, Assert.Throws<ConfigException>(() => TopicConfig.Validate(overrides, ConfigTestData.Broker())).Message);
    }

    [Theory]
    [InlineData("cleanup.policy", "compact", "Remote log storage only supports topics with cleanup.policy=delete")]
    [InlineData(
        "local.retention.ms", "604800001",
            "Invalid value 604800001 for configuration local.retention.ms: Value must not be more than retention.ms property value: "
                + "604800000")]
    [InlineData("local.retention.ms", "-1", "Value must not be -1 as retention.ms value is set as 604800000.")]
    [InlineData("local.retention.bytes", "1001", "Value must not be more than retention.bytes property value: 1000")]
    [InlineData("remote.copy.lag.ms", "604800001", "Value must not exceed local.retention.ms (effective value: 604800000)")]
    [InlineData("remote.copy.lag.bytes", "1001", "Value must not exceed local.retention.bytes (effective value: 1000)")]
    [InlineData("cleanup.policy", "", null)]
    [InlineData("local.retention.bytes", "1000", null)]
    public void TieredTopics(string name, string value, string? message)
    {
        var broker = ConfigTestData.Broker(("remote.log.storage.system.enable", "true"));
        var overrides = new Dictionary<string, string> { ["remote.storage.enable"] = "true", ["retention.bytes"] = "1000", [name] = value };
        if (message is null)
            TopicConfig.Validate(overrides, broker);
        else
            Assert.Contains(message, Assert.Throws<ConfigException>(() => TopicConfig.Validate(overrides, broker)).Message);
    }

    [Fact]
    public void TurningTieringOffNeedsTheRemoteDataDeleted()
    {
        var existing = new Dictionary<string, string> { ["remote.storage.enable"] = "true" };
        var off = new Dictionary<string, string> { ["remote.storage.enable"] = "false" };
        var error = Assert.Throws<ConfigException>(() => TopicConfig.Validate(off, ConfigTestData.Broker(), existing));
        Assert.StartsWith("It is invalid to disable remote storage without deleting remote data.", error.Message);
        off["remote.log.delete.on.disable"] = "true";
        TopicConfig.Validate(off, ConfigTestData.Broker(), existing);
    }

    [Fact]
    public void DefaultsCountInCrossChecks()
    {
        var broker = ConfigTestData.Broker(("log.cleaner.max.compaction.lag.ms", "5"));
        Assert.Throws<ConfigException>(
            () => TopicConfig.Validate(new Dictionary<string, string> { ["min.compaction.lag.ms"] = "6" }, broker));
        TopicConfig.Validate(new Dictionary<string, string> { ["min.compaction.lag.ms"] = "6" });
    }

    private static TopicConfig Topic(params (string Name, string Value)[] overrides) =>
        TopicConfig.Create(ConfigTestData.Broker(), overrides.ToDictionary(pair => pair.Name, pair => pair.Value));
}
