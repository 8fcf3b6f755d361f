using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class ConfigDescriptionTests
{
    private static readonly Dictionary<string, string> s_nothing = [];

    [Fact]
    public void ATopicShowsItsOwnValueOverTheBrokers()
    {
        var broker = ConfigTestData.Broker(("log.segment.bytes", "2097152"))
            .WithDynamic(new Dictionary<string, string> { ["log.segment.bytes"] = "3145728" }, s_nothing);
        var entry = Assert.Single(ConfigDescription.Topic(
            broker, new Dictionary<string, string> { ["segment.bytes"] = "1048576" }, ["segment.bytes"]));
        Assert.Equal("1048576", entry.Value);
        Assert.Equal(ConfigSource.DynamicTopic, entry.Source);
        Assert.Equal(ConfigType.Int, entry.Type);
        Assert.False(entry.IsReadOnly);
        Assert.False(entry.IsSensitive);
        Assert.Equal(
            [
                new ConfigSynonym("segment.bytes", "1048576", ConfigSource.DynamicTopic),
                new ConfigSynonym("log.segment.bytes", "3145728", ConfigSource.DynamicDefaultBroker),
                new ConfigSynonym("log.segment.bytes", "2097152", ConfigSource.StaticBroker),
                new ConfigSynonym("log.segment.bytes", "1073741824", ConfigSource.Default),
            ],
            entry.Synonyms);
    }

    [Fact]
    public void ATopicShowsEveryPublicConfig()
    {
        var entries = ConfigDescription.Topic(ConfigTestData.Broker(), s_nothing);
        Assert.Equal(37, entries.Count);
        Assert.All(entries, entry => Assert.Equal(ConfigSource.Default, entry.Source));
        Assert.Equal("604800000", entries.Single(entry => entry.Name == "retention.ms").Value);
        // The default is log.retention.hours', and the chain starts at the first synonym's own name.
        Assert.Empty(entries.Single(entry => entry.Name == "retention.ms").Synonyms);
    }

    [Fact]
    public void ATopicsConfigsAreInKafkasOrder() => Assert.Equal(
        [
            "compression.type", "errors.deadletterqueue.group.enable", "remote.copy.lag.bytes", "remote.log.delete.on.disable",
            "leader.replication.throttled.replicas", "remote.storage.enable", "min.insync.replicas", "segment.jitter.ms",
                "remote.log.copy.disable",
            "local.retention.ms", "cleanup.policy", "flush.ms", "follower.replication.throttled.replicas", "compression.lz4.level",
                "segment.bytes",
            "retention.ms", "compression.gzip.level", "remote.copy.lag.ms", "flush.messages", "compression.zstd.level",
                "max.compaction.lag.ms",
            "file.delete.delay.ms", "max.message.bytes", "min.compaction.lag.ms", "message.timestamp.type", "local.retention.bytes",
                "preallocate",
            "index.interval.bytes", "min.cleanable.dirty.ratio", "unclean.leader.election.enable", "retention.bytes", "delete.retention.ms",
            "message.timestamp.after.max.ms", "max.decompressed.message.bytes", "message.timestamp.before.max.ms", "segment.ms",
                "segment.index.bytes",
        ],
        ConfigDescription.Topic(ConfigTestData.Broker(), s_nothing).Select(entry => entry.Name));

    [Fact]
    public void ABrokersConfigsAreInKafkasOrder()
    {
        var names = ConfigDescription.Broker(ConfigTestData.Broker()).Select(entry => entry.Name).ToList();
        Assert.Equal(
            [
                "log.cleaner.min.compaction.lag.ms", "offsets.topic.num.partitions", "sasl.oauthbearer.jwks.endpoint.refresh.ms",
                "remote.log.metadata.manager.listener.name", "log.flush.interval.messages", "controller.socket.timeout.ms",
                    "log.flush.interval.ms",
                "principal.builder.class",
            ],
            names.Take(8));
    }

    [Fact]
    public void InternalConfigsCanBeAlteredAndAreShownOnlyWhereTheyAreSet()
    {
        const string Offload = "consumer.assignor.offload.enable";
        const string Warmup = "streams.num.warmup.replicas";
        Assert.DoesNotContain(ConfigDescription.Group(ConfigTestData.Broker(), s_nothing), entry => entry.Name is Offload or Warmup);
        Assert.DoesNotContain(
            ConfigDescription.Broker(ConfigTestData.Broker()), entry => entry.Name.EndsWith(Offload, StringComparison.Ordinal));

        var set = new Dictionary<string, string> { [Offload] = "false" };
        Assert.Equal(
            "false", DynamicConfigRules.ValidateAlteration(
                ConfigResourceType.Group, "g", Offload, AlterConfigOperation.Set, "false", s_nothing));
        var ofGroup = Assert.Single(ConfigDescription.Group(ConfigTestData.Broker(), set), entry => entry.Name == Offload);
        Assert.Equal(("false", ConfigSource.Group), (ofGroup.Value, ofGroup.Source));

        var broker = ConfigTestData.Broker(("group.streams.num.warmup.replicas", "3"))
            .WithDynamic(new Dictionary<string, string> { ["group.consumer.assignor.offload.enable"] = "false" }, s_nothing);
        var ofBroker = ConfigDescription.Broker(broker).ToDictionary(entry => entry.Name);
        Assert.Equal(
            ("3", ConfigSource.StaticBroker, true), (
                ofBroker["group.streams.num.warmup.replicas"].Value, ofBroker["group.streams.num.warmup.replicas"].Source,
                ofBroker["group.streams.num.warmup.replicas"].IsReadOnly));
        Assert.Equal(ConfigSource.DynamicDefaultBroker, ofBroker["group.consumer.assignor.offload.enable"].Source);
        Assert.DoesNotContain("group.share.assignor.offload.enable", ofBroker.Keys);
    }

    [Fact]
    public void ABrokerShowsEverythingStatic()
    {
        var broker = ConfigTestData.Broker(("ssl.key.password", "s3cret"), ("my.own.key", "x"), ("log.retention.minutes", "5"));
        var entries = ConfigDescription.Broker(broker).ToDictionary(entry => entry.Name);
        Assert.Equal(353 - 3 + 1, entries.Count);
        Assert.Equal(
            ("1", ConfigSource.StaticBroker, true), (entries["node.id"].Value, entries["node.id"].Source, entries["node.id"].IsReadOnly));
        Assert.False(entries["log.segment.bytes"].IsReadOnly);
        Assert.False(entries["listeners"].IsReadOnly);
        Assert.Null(entries["ssl.key.password"].Value);
        Assert.True(entries["ssl.key.password"].IsSensitive);
        Assert.Equal([new ConfigSynonym("ssl.key.password", null, ConfigSource.StaticBroker)], entries["ssl.key.password"].Synonyms);
        Assert.Equal(
            (null, true, ConfigType.Unknown), (entries["my.own.key"].Value, entries["my.own.key"].IsSensitive, entries["my.own.key"].Type));
        Assert.Equal(
            [
                new ConfigSynonym("log.retention.minutes", "5", ConfigSource.StaticBroker),
                new ConfigSynonym("log.retention.hours", "168", ConfigSource.Default),
            ],
            entries["log.retention.minutes"].Synonyms);
        Assert.Equal(ConfigRegistry.Broker["node.id"].Documentation, entries["node.id"].Documentation);
        Assert.DoesNotContain(entries.Values, entry => entry.Value == "s3cret");
    }

    [Fact]
    public void ABrokerShowsDynamicOnlyConfigsWhereSet()
    {
        var broker = ConfigTestData.Broker().WithDynamic(
            s_nothing,
            new Dictionary<string, string>
            {
                ["leader.replication.throttled.rate"] = "5",
                ["listener.name.external.ssl.client.auth"] = "none"
            });
        var entries = ConfigDescription.Broker(broker).ToDictionary(entry => entry.Name);
        var rate = entries["leader.replication.throttled.rate"];
        Assert.Equal(("5", ConfigSource.DynamicBroker, false), (rate.Value, rate.Source, rate.IsReadOnly));
        var listener = entries["listener.name.external.ssl.client.auth"];
        Assert.Equal(("none", ConfigSource.DynamicBroker, ConfigType.String), (listener.Value, listener.Source, listener.Type));
        Assert.Equal(["listener.name.external.ssl.client.auth", "ssl.client.auth"], listener.Synonyms.Select(synonym => synonym.Name));
    }

    [Fact]
    public void TheClusterDefaultShowsOnlyWhatIsSetOnIt()
    {
        var broker = ConfigTestData.Broker(("num.io.threads", "2"))
            .WithDynamic(
                new Dictionary<string, string> { ["num.io.threads"] = "3" }, new Dictionary<string, string> { ["num.io.threads"] = "4" });
        var entry = Assert.Single(ConfigDescription.BrokerDefaults(broker));
        Assert.Equal(("3", ConfigSource.DynamicDefaultBroker), (entry.Value, entry.Source));
        Assert.Single(entry.Synonyms);
        Assert.Equal("4", Assert.Single(ConfigDescription.Broker(broker, ["num.io.threads"])).Value);
        Assert.Empty(ConfigDescription.BrokerDefaults(broker, ["num.network.threads"]));
    }

    [Fact]
    public void AGroupShowsItsOwnValueOverTheBrokers()
    {
        var broker = ConfigTestData.Broker(("group.consumer.session.timeout.ms", "50000"));
        var entries = ConfigDescription.Group(broker, new Dictionary<string, string> { ["consumer.heartbeat.interval.ms"] = "6000" })
            .ToDictionary(entry => entry.Name);
        Assert.Equal(21, entries.Count);
        Assert.Equal(
            ("6000", ConfigSource.Group),
            (entries["consumer.heartbeat.interval.ms"].Value, entries["consumer.heartbeat.interval.ms"].Source));
        Assert.Equal(
            ("50000", ConfigSource.StaticBroker),
            (entries["consumer.session.timeout.ms"].Value, entries["consumer.session.timeout.ms"].Source));
        Assert.Equal("sticky", entries["streams.assignor.name"].Value);
        Assert.Equal(
            ("latest", ConfigSource.Default), (entries["share.auto.offset.reset"].Value, entries["share.auto.offset.reset"].Source));
    }

    [Fact]
    public void AClientMetricsSubscription()
    {
        var entries = ConfigDescription.ClientMetrics(new Dictionary<string, string> { ["interval.ms"] = "100" })
            .ToDictionary(entry => entry.Name);
        Assert.Equal(3, entries.Count);
        Assert.Equal(("100", ConfigSource.ClientMetrics), (entries["interval.ms"].Value, entries["interval.ms"].Source));
        Assert.Equal(("", ConfigSource.Default), (entries["metrics"].Value, entries["metrics"].Source));
    }
}
