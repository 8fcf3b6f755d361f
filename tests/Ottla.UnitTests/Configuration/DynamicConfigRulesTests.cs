using Ottla.Configuration;
using static Ottla.Configuration.AlterConfigOperation;
using static Ottla.Configuration.ConfigResourceType;

namespace Ottla.UnitTests.Configuration;

public sealed class DynamicConfigRulesTests
{
    private static readonly Dictionary<string, string> s_nothing = [];

    [Theory]
    [InlineData(ConfigResourceType.Broker, "", "log.segment.bytes", "2097152")]
    [InlineData(ConfigResourceType.Broker, "1", "log.segment.bytes", "2097152")]
    [InlineData(ConfigResourceType.Broker, "1", "leader.replication.throttled.rate", "5")]
    [InlineData(ConfigResourceType.Broker, "1", "listeners", "A://:1")]
    [InlineData(ConfigResourceType.Broker, "1", "listener.name.external.ssl.keystore.location", "/k")]
    [InlineData(ConfigResourceType.Broker, "", "listener.name.external.max.connections", "5")]
    [InlineData(ConfigResourceType.Broker, "", "a.plugin.key", "x")]
    [InlineData(Topic, "t", "retention.ms", "-1")]
    [InlineData(Group, "g", "consumer.session.timeout.ms", "45000")]
    [InlineData(ClientMetrics, "s", "interval.ms", "100")]
    public void Accepts(ConfigResourceType type, string resource, string key, string value) =>
        Assert.Equal(value, DynamicConfigRules.ValidateAlteration(type, resource, key, Set, value, s_nothing));

    [Theory]
    [InlineData(
        ConfigResourceType.Broker, "1", "node.id", "2", "Cannot update these configs dynamically: [node.id]",
            ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ConfigResourceType.Broker, "", "listeners", "A://:1",
            "Cannot update these configs at default cluster level, broker id must be specified: [listeners]",
                ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ConfigResourceType.Broker, "", "listener.name.external.ssl.keystore.location", "/k",
            "Cannot update these configs at default cluster level, broker id must be specified: "
                + "[listener.name.external.ssl.keystore.location]", ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ConfigResourceType.Broker, "1", "ssl.keystore.location", "/k",
            "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.location]",
                ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ConfigResourceType.Broker, "1", "num.io.threads", "0", "Invalid value 0 for configuration num.io.threads: Value must be at least 1",
            ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ConfigResourceType.Broker, "1", "listener.name.a.max.connections", "-1",
            "Invalid value -1 for configuration listener.name.a.max.connections: Value must be at least 0", ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ConfigResourceType.Broker, "x", "num.io.threads", "1", "Unable to parse broker name as a base 10 number.",
            ConfigErrorKind.InvalidRequest)]
    [InlineData(ConfigResourceType.Broker, "-1", "num.io.threads", "1", "Invalid negative broker ID.", ConfigErrorKind.InvalidRequest)]
    [InlineData(Topic, "", "retention.ms", "1", "Default topic resources are not allowed.", ConfigErrorKind.InvalidRequest)]
    [InlineData(Topic, "t", "retention.msx", "1", "Unknown topic config name: retention.msx", ConfigErrorKind.InvalidConfig)]
    [InlineData(
        Topic, "t", "retention.ms", "x", "Invalid value x for configuration retention.ms: Not a number of type LONG",
            ConfigErrorKind.InvalidConfig)]
    [InlineData(Topic, "t", "retention.ms", null, "Null value not supported for : retention.ms", ConfigErrorKind.InvalidRequest)]
    [InlineData(Group, "", "consumer.session.timeout.ms", "1", "Default group resources are not allowed.", ConfigErrorKind.InvalidRequest)]
    [InlineData(Group, "g", "session.timeout.ms", "1", "Unknown group config name: session.timeout.ms", ConfigErrorKind.InvalidConfig)]
    [InlineData(ClientMetrics, "", "interval.ms", "100", "Subscription name can't be empty", ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ClientMetrics, "s", "interval.ms", "99", "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
            ConfigErrorKind.InvalidRequest)]
    [InlineData(
        ClientMetrics, "s", "interval.ms", "often", "Invalid value often for configuration interval.ms: Not a number of type INT",
            ConfigErrorKind.InvalidConfig)]
    [InlineData(ClientMetrics, "s", "match", "colour=red", "Illegal client matching pattern: colour=red", ConfigErrorKind.InvalidConfig)]
    [InlineData(
        Topic, "t", "leader.replication.throttled.replicas", "a,b",
            "Invalid value [a, b] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be "
                + "the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                ConfigErrorKind.InvalidConfig)]
    [InlineData(ClientMetrics, "s", "bogus", "1", "Unknown client metrics configuration: bogus", ConfigErrorKind.InvalidRequest)]
    [InlineData(BrokerLogger, "1", "root", "INFO", "Unknown resource type BrokerLogger", ConfigErrorKind.InvalidRequest)]
    public void Refuses(ConfigResourceType type, string resource, string key, string? value, string message, ConfigErrorKind kind)
    {
        var error = Assert.Throws<ConfigException>(() => DynamicConfigRules.ValidateAlteration(type, resource, key, Set, value, s_nothing));
        Assert.Equal(message, error.Message);
        Assert.Equal(kind, error.Kind);
    }

    [Fact]
    public void DeletingNeedsNoValueAndGivesNone() =>
        Assert.Null(DynamicConfigRules.ValidateAlteration(Topic, "t", "retention.ms", Delete, null, s_nothing));

    [Theory]
    [InlineData(Append, null, "compact", "delete,compact")]
    [InlineData(Append, "compact", "compact", "compact")]
    [InlineData(Append, "", "compact", "compact")]
    [InlineData(Subtract, "compact,delete", "delete", "compact")]
    [InlineData(Subtract, null, "delete", "")]
    [InlineData(Subtract, "compact", "delete", "compact")]
    public void ListsGrowAndShrink(AlterConfigOperation operation, string? existing, string value, string expected)
    {
        var set = existing is null ? s_nothing : new Dictionary<string, string> { ["cleanup.policy"] = existing };
        Assert.Equal(expected, DynamicConfigRules.ValidateAlteration(Topic, "t", "cleanup.policy", operation, value, set));
    }

    [Fact]
    public void OnlyListsGrowAndShrink()
    {
        var error = Assert.Throws<ConfigException>(
            () => DynamicConfigRules.ValidateAlteration(Topic, "t", "retention.ms", Append, "1", s_nothing));
        Assert.Equal("Can't APPEND to key retention.ms because its type is not LIST.", error.Message);
    }

    [Theory]
    [InlineData("num.io.threads", "Config value append is not allowed for config key: num.io.threads")]
    [InlineData("my.own", "Unknown config name: my.own")]
    public void OnlyKnownListsOfBrokersGrow(string key, string message)
    {
        var error = Assert.Throws<ConfigException>(
            () => DynamicConfigRules.ValidateAlteration(ConfigResourceType.Broker, "", key, Append, "1", s_nothing));
        Assert.Equal((ConfigErrorKind.InvalidConfig, message), (error.Kind, error.Message));
    }

    [Fact]
    public void WhatGrowsIsChecked() =>
        Assert.Throws<ConfigException>(
            () => DynamicConfigRules.ValidateAlteration(Topic, "t", "cleanup.policy", Append, "bogus", s_nothing));

    [Fact]
    public void ValuesHaveALimit()
    {
        var longest = new string('x', DynamicConfigRules.ValueLengthMax);
        Assert.Equal(
            longest, DynamicConfigRules.ValidateAlteration(ConfigResourceType.Broker, "", "a.plugin.key", Set, longest, s_nothing));
        var error = Assert.Throws<ConfigException>(
            () => DynamicConfigRules.ValidateAlteration(ConfigResourceType.Broker, "", "a.plugin.key", Set, longest + "x", s_nothing));
        Assert.Contains("exceeds the maximum value size of 32767 bytes", error.Message);
    }

    [Theory]
    [InlineData("consumer.session.timeout.ms", "44999", "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.")]
    [InlineData("consumer.session.timeout.ms", "60001", "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.")]
    [InlineData("consumer.session.timeout.ms", "60000", null)]
    [InlineData("share.record.lock.duration.ms", "14999", "share.record.lock.duration.ms must be in the range 15000 to 60000 inclusive.")]
    [InlineData("streams.num.standby.replicas", "3", "streams.num.standby.replicas must be less than or equal to 2")]
    [InlineData("streams.num.standby.replicas", "2", null)]
    [InlineData("streams.task.offset.interval.ms", "14999", "streams.task.offset.interval.ms must be greater than or equal to 15000")]
    [InlineData("streams.rack.aware.assignment.tags", "a,a", "streams.rack.aware.assignment.tags must not contain duplicate tag keys.")]
    [InlineData(
        "streams.assignor.name", "x", "streams.assignor.name 'x' is not a registered task assignor. Registered assignors are: [sticky].")]
    [InlineData("streams.assignor.name", "sticky", null)]
    [InlineData("errors.deadletterqueue.topic.name", "__x", "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'")]
    public void GroupsAreBoundedByTheBroker(string name, string value, string? message)
    {
        var updated = new Dictionary<string, string> { [name] = value };
        void Validate() => DynamicConfigRules.ValidateResource(Group, "g", updated, s_nothing, ConfigTestData.Broker());
        if (message is null)
            Validate();
        else
            Assert.Equal(message, Assert.Throws<ConfigException>(Validate).Message);
    }

    [Fact]
    public void ASessionOutlivesItsHeartbeat()
    {
        var broker = ConfigTestData.Broker(
            ("group.consumer.min.session.timeout.ms", "5000"), ("group.consumer.max.heartbeat.interval.ms", "15000"));
        var updated = new Dictionary<string, string> { ["consumer.session.timeout.ms"] = "5000" };
        var error = Assert.Throws<ConfigException>(() => DynamicConfigRules.ValidateResource(Group, "g", updated, s_nothing, broker));
        Assert.Equal("consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms", error.Message);
    }

    [Fact]
    public void ATopicIsCheckedAsAWhole()
    {
        var updated = new Dictionary<string, string> { ["min.compaction.lag.ms"] = "2", ["max.compaction.lag.ms"] = "1" };
        Assert.Throws<ConfigException>(() => DynamicConfigRules.ValidateResource(Topic, "t", updated, s_nothing, ConfigTestData.Broker()));
    }
}
