using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

/// <summary>What a broker checks before dynamic values are stored, and what becomes of those that are stored and bad.</summary>
public sealed class DynamicBrokerRulesTests
{
    private static readonly Dictionary<string, string> s_nothing = [];

    [Theory]
    [InlineData("3", "value should be at least half the current value 8")]
    [InlineData("17", "value should not be greater than double the current value 8")]
    [InlineData("4", null)]
    [InlineData("16", null)]
    public void ThreadsChangeByAFactorOfTwoAtMost(string value, string? reason)
    {
        var broker = ConfigTestData.Broker();
        var updated = new Dictionary<string, string> { ["num.io.threads"] = value };
        if (reason is null)
            Assert.Equal(value, DynamicBrokerRules.Validate(broker, updated, s_nothing).Get("num.io.threads").ToText());
        else
            Assert.Contains(
                $"Dynamic thread count update validation failed for num.io.threads={value}, {reason}",
                Assert.Throws<ConfigException>(() => DynamicBrokerRules.Validate(broker, updated, s_nothing)).Message);
    }

    [Theory]
    [InlineData("1", "Log cleaner threads cannot be reduced to less than half the current value 4")]
    [InlineData("9", "Log cleaner threads cannot be increased to more than double the current value 4")]
    [InlineData("0", "log.cleaner.threads must be at least 1")]
    [InlineData("2", null)]
    [InlineData("8", null)]
    public void CleanerThreadsChangeByAFactorOfTwoAtMost(string value, string? message)
    {
        var broker = ConfigTestData.Broker(("log.cleaner.threads", "4"));
        var updated = new Dictionary<string, string> { ["log.cleaner.threads"] = value };
        if (message is null)
        {
            Assert.Equal(value, DynamicBrokerRules.Validate(broker, updated, s_nothing).Get("log.cleaner.threads").ToText());
            return;
        }

        var error = Assert.Throws<ConfigException>(() => DynamicBrokerRules.Validate(broker, updated, s_nothing));
        Assert.Equal(ConfigErrorKind.InvalidRequest, error.Kind);
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public void ContradictionsAreRefusedBeforeTheyAreStored()
    {
        var updated = new Dictionary<string, string> { ["max.connections.per.ip"] = "0" };
        var error = Assert.Throws<ConfigException>(() => DynamicBrokerRules.Validate(ConfigTestData.Broker(), updated, s_nothing));
        Assert.Equal(ConfigErrorKind.InvalidRequest, error.Kind);
        Assert.StartsWith("max.connections.per.ip can be set to zero only if", error.Message);
    }

    [Theory]
    [InlineData("log.roll.ms", "0", "log.roll.ms")]
    [InlineData("log.cleaner.min.compaction.lag.ms", "9223372036854775807", null)]
    [InlineData("log.cleaner.max.compaction.lag.ms", "5", null)]
    [InlineData(
        "metric.reporters", "com.example.Reporter",
            "Invalid value com.example.Reporter for configuration metric.reporters: Class com.example.Reporter could not be found.")]
    [InlineData("metric.reporters", "org.apache.kafka.common.metrics.JmxReporter", null)]
    [InlineData("principal.builder.class", "com.example.Builder", "Class com.example.Builder could not be found.")]
    [InlineData(
        "listener.name.plaintext.num.network.threads", "7",
            "Dynamic thread count update validation failed for num.network.threads=7, value should not be greater than double the current "
                + "value 3")]
    [InlineData("listener.name.plaintext.max.connections", "0", "Invalid max.connections 0")]
    [InlineData("max.connection.creation.rate", "0", "Invalid max.connection.creation.rate 0")]
    [InlineData("listeners", "CONTROLLER://:9093", "There must be at least one broker advertised listener.")]
    [InlineData("listeners", "PLAINTEXT://:9094,CONTROLLER://:9093", "Set listeners in the static configuration")]
    [InlineData(
        "listener.security.protocol.map", "PLAINTEXT:SSL,CONTROLLER:PLAINTEXT",
            "Security protocol cannot be updated for existing listener PLAINTEXT")]
    [InlineData("log.local.retention.ms", "700000000", "Value must not be more than log.retention.ms property value: 604800000")]
    [InlineData("log.remote.copy.lag.ms", "700000000", "Value must not exceed log.local.retention.ms (effective value: 604800000)")]
    [InlineData(
        "group.consumer.assignment.interval.ms", "15001",
            "group.consumer.max.assignment.interval.ms (15000) must be greater than or equal to group.consumer.assignment.interval.ms "
                + "(15001)")]
    [InlineData("cordoned.log.dirs", "/nowhere", "All entries in cordoned.log.dirs must be present in log.dirs or log.dir.")]
    [InlineData("max.connections.per.ip", "0", "max.connections.per.ip can be set to zero only if")]
    public void WhatTheBrokerCannotTakeOverIsRefused(string name, string value, string? reason)
    {
        var updated = new Dictionary<string, string> { [name] = value };
        if (reason is null)
        {
            Assert.True(DynamicBrokerRules.Validate(ConfigTestData.Broker(), s_nothing, updated).IsSet(name));
            return;
        }

        var error = Assert.Throws<ConfigException>(() => DynamicBrokerRules.Validate(ConfigTestData.Broker(), s_nothing, updated));
        Assert.Equal(ConfigErrorKind.InvalidRequest, error.Kind);
        Assert.Contains(reason, error.Message);
    }

    [Fact]
    public void OneBadStoredValueDoesNotDisableTheOthers()
    {
        var perBroker = new Dictionary<string, string> { ["max.connections.per.ip"] = "0", ["message.max.bytes"] = "17", ["my.own"] = "x" };
        var config = ConfigTestData.Broker().WithDynamic(new Dictionary<string, string> { ["num.io.threads"] = "9" }, perBroker);
        Assert.Equal(
            (17, 9, "x", int.MaxValue),
            (config.MessageMaxBytes, config.NumIoThreads, config.Original("my.own"), config.MaxConnectionsPerIp));
        Assert.StartsWith(
            "Dynamic configuration 'max.connections.per.ip' of this broker is ignored: max.connections.per.ip can be set to zero only if",
            Assert.Single(config.Warnings));
    }

    [Fact]
    public void SeveralBadStoredValuesAreLeftOutOneByOne()
    {
        var clusterDefault = new Dictionary<string, string>
        {
            ["max.connections.per.ip"] = "0",
            ["log.cleaner.threads"] = "0",
            ["log.roll.ms"] = "0",
            ["message.max.bytes"] = "17",
            ["num.io.threads"] = "4",
        };
        var config = ConfigTestData.Broker().WithDynamic(clusterDefault, s_nothing);
        Assert.Equal((17, 4), (config.MessageMaxBytes, config.NumIoThreads));
        Assert.Equal(["message.max.bytes", "num.io.threads"], config.DynamicClusterDefaults.Keys.Order());
        Assert.Equal(3, config.Warnings.Count);
        foreach (var name in new[] { "max.connections.per.ip", "log.cleaner.threads", "log.roll.ms" })
            Assert.Contains(
                config.Warnings, warning =>
                warning.StartsWith($"Dynamic configuration '{name}' of the cluster is ignored: ", StringComparison.Ordinal));
    }

    [Fact]
    public void StoredIntervalsBeyondNewBoundsAreSetToTheBound()
    {
        var broker = ConfigTestData.Broker(("group.consumer.max.assignment.interval.ms", "2000"));
        var config = broker.WithDynamic(new Dictionary<string, string> { ["group.consumer.assignment.interval.ms"] = "5000" }, s_nothing);
        Assert.Equal(2000, config.Get("group.consumer.assignment.interval.ms").AsInt);
        Assert.Contains("The broker uses 2000 instead", Assert.Single(config.Warnings));
    }
}
