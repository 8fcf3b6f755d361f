using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class BrokerConfigTests
{
    [Fact]
    public void OverridesBeatEnvironmentBeatsFileBeatsDefaults()
    {
        var file = ConfigTestData.Node(("num.partitions", "2"), ("num.io.threads", "2"), ("num.network.threads", "2"));
        var config = BrokerConfig.Load(
            file,
            [new("KAFKA_NUM_PARTITIONS", "3"), new("KAFKA_NUM_IO_THREADS", "3")],
            [new("num.partitions", "4")]);
        Assert.Equal(4, config.NumPartitions);
        Assert.Equal(3, config.NumIoThreads);
        Assert.Equal(2, config.NumNetworkThreads);
        Assert.Equal(10, config.BackgroundThreads);
        Assert.Equal("4", config.Original("num.partitions"));
        Assert.Null(config.Original("background.threads"));
        Assert.False(config.IsSet("background.threads"));
    }

    [Fact]
    public void ReadsIdentityAndListeners()
    {
        var config = ConfigTestData.Broker();
        Assert.Equal(1, config.NodeId);
        Assert.Equal(ProcessRoles.Broker | ProcessRoles.Controller, config.ProcessRoles);
        Assert.True(config.IsCombined);
        Assert.True(config.IsSingleNodeQuorum);
        Assert.Equal([new Listener("PLAINTEXT", SecurityProtocol.PLAINTEXT, "broker.example", 9092)], config.BrokerListeners);
        Assert.Equal([new Listener("CONTROLLER", SecurityProtocol.PLAINTEXT, "broker.example", 9093)], config.ControllerListeners);
        Assert.Equal(config.BrokerListeners, config.AdvertisedListeners);
        Assert.Equal("PLAINTEXT", config.InterBrokerListenerName);
        Assert.Equal([new QuorumVoter(1, "broker.example", 9093)], config.QuorumVoters);
        Assert.Equal(["/data/a", "/data/b"], config.LogDirs);
        Assert.Equal("/data/a", config.MetadataLogDir);
        Assert.Empty(config.Warnings);
    }

    [Theory]
    [InlineData("PLAINTEXT://:9092", null, 9092)]
    [InlineData("PLAINTEXT://[::1]:9092", "::1", 9092)]
    [InlineData("plaintext://127.0.0.1:0", "127.0.0.1", 0)]
    public void ParsesListeners(string text, string? host, int port)
    {
        var config = ConfigTestData.Broker(("listeners", text + ",CONTROLLER://h:9093"));
        Assert.Equal(new Listener("PLAINTEXT", SecurityProtocol.PLAINTEXT, host, port), config.BrokerListeners[0]);
    }

    [Fact]
    public void AnIpv4AndAnIpv6ListenerMayShareAPort()
    {
        var config = ConfigTestData.Broker(
            ("listeners", "PLAINTEXT://127.0.0.1:9092,EXTERNAL://[::1]:9092,CONTROLLER://h:9093"),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,EXTERNAL:SASL_SSL,CONTROLLER:PLAINTEXT"));
        Assert.Equal(2, config.BrokerListeners.Count);
        Assert.Equal(SecurityProtocol.SASL_SSL, config.ListenerSecurityProtocols["EXTERNAL"]);
    }

    [Fact]
    public void AWildcardControllerListenerIsAdvertisedAsItsVoter()
    {
        var config = ConfigTestData.Broker(
            ("listeners", "PLAINTEXT://h:9092,CONTROLLER://0.0.0.0:9093"), ("controller.quorum.voters", "1@c.example:19093"));
        Assert.Equal([new Listener("CONTROLLER", SecurityProtocol.PLAINTEXT, "c.example", 19093)], config.AdvertisedControllerListeners);
    }

    [Theory]
    [InlineData("process.roles", null, "Missing required configuration \"process.roles\" which has no default value.")]
    [InlineData("node.id", null, "Missing required configuration \"node.id\" which has no default value.")]
    [InlineData("broker.id", "2", "`node.id` and `broker.id` must be set to the same value.")]
    [InlineData("process.roles", "broker,boss", "String must be one of: broker, controller")]
    [InlineData("listeners", "PLAINTEXT://h:9092,PLAINTEXT://h:9094,CONTROLLER://h:9093", "Each listener must have a different name")]
    [InlineData("listeners", "PLAINTEXT://h:9092,CONTROLLER://h:9092", "Each listener must have a different port")]
    [InlineData(
        "listeners", "PLAINTEXT://h:9092",
            "controller.listener.names must contain at least one value appearing in the 'listeners' configuration")]
    [InlineData(
        "early.start.listeners", "CONTROLLER,other",
            "early.start.listeners contains listener OTHER, but this is not contained in listeners or controller.listener.names")]
    [InlineData("listeners", "CONTROLLER://h:9093", "There must be at least one broker advertised listener.")]
    [InlineData("listeners", "PLAINTEXT:9092,CONTROLLER://h:9093", "Unable to parse it to a broker endpoint")]
    [InlineData("listeners", "PLAINTEXT://h:65536,CONTROLLER://h:9093", "Unable to parse it to a broker endpoint")]
    [InlineData("listeners", "INTERNAL://h:9092,CONTROLLER://h:9093", "No security protocol defined for listener INTERNAL")]
    [InlineData(
        "listeners", "PLAINTEXT://0.0.0.0:9092,CONTROLLER://h:9093",
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0.")]
    [InlineData(
        "advertised.listeners", "SSL://h:9092", "inter.broker.listener.name must be a listener name defined in advertised.listeners.")]
    [InlineData(
        "advertised.listeners", "PLAINTEXT://h:1,SSL://h:2",
            "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners.")]
    [InlineData("advertised.listeners", "PLAINTEXT://0.0.0.0:1", "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0.")]
    [InlineData(
        "listener.security.protocol.map", "PLAINTEXT:PLAIN",
            "Invalid security protocol `PLAIN` defined in listener.security.protocol.map.")]
    [InlineData("listener.security.protocol.map", "PLAINTEXT", "each entry should be in the form NAME:PROTOCOL")]
    [InlineData(
        "security.inter.broker.protocol", "SSL", "inter.broker.listener.name must be a listener name defined in advertised.listeners.")]
    [InlineData(
        "inter.broker.listener.name", "OTHER",
            "Listener with name OTHER defined in inter.broker.listener.name not found in listener.security.protocol.map.")]
    [InlineData("controller.quorum.voters", "2@h:9093", "the node id 1 must be included in the set of voters controller.quorum.voters=[2]")]
    [InlineData(
        "controller.quorum.voters", null, "either controller.quorum.bootstrap.servers must contain the set of bootstrap controllers")]
    [InlineData("process.roles", "broker", "must not be included in the set of voters controller.quorum.voters=[1]")]
    [InlineData("process.roles", "controller", "The listeners config must only contain KRaft controller listeners")]
    [InlineData("log.roll.ms", "0", "log.roll.ms must be greater than or equal to 1")]
    [InlineData("log.retention.ms", "0", "log.retention.ms must be unlimited (-1) or, greater than or equal to 1")]
    [InlineData("log.cleaner.threads", "0", "log.cleaner.threads must be at least 1")]
    [InlineData("log.cleaner.dedupe.buffer.size", "1048576", "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")]
    [InlineData("log.cleaner.max.compaction.lag.ms", "1", null)]
    [InlineData("replica.fetch.wait.max.ms", "30001", "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms")]
    [InlineData("queued.max.request.bytes", "1", "queued.max.request.bytes must be larger or equal to socket.request.max.bytes")]
    [InlineData(
        "max.connections.per.ip", "0",
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.")]
    [InlineData("max.connections.per.ip.overrides", "a b:1", "max.connections.per.ip.overrides contains invalid addresses : a b")]
    [InlineData("max.connections.per.ip.overrides", "a", "each entry should be in the form host:count")]
    [InlineData(
        "connections.max.idle.ms", "100",
            "connection.failed.authentication.delay.ms=100 should always be less than connections.max.idle.ms=100")]
    [InlineData(
        "group.consumer.session.timeout.ms", "44999",
            "group.consumer.session.timeout.ms (44999) must be greater than or equal to group.consumer.min.session.timeout.ms (45000)")]
    [InlineData(
        "group.share.max.share.sessions", "199",
            "group.share.max.share.sessions (199) must be greater than or equal to group.share.max.size (200)")]
    [InlineData("group.coordinator.rebalance.protocols", "consumer", "Disabling the 'classic' protocol is not supported.")]
    [InlineData("cordoned.log.dirs", "/data/c", "Missing entries : /data/c")]
    [InlineData("cordoned.log.dirs", "*,/data/a", "When cordoned.log.dirs is set to *, it must not contain other values")]
    [InlineData(
        "listener.name.external.ssl.client.auth", "maybe", "Invalid value maybe for configuration listener.name.external.ssl.client.auth")]
    public void RefusesWhatKafkaRefuses(string name, string? value, string? message)
    {
        var values = ConfigTestData.Node((name, value!));
        if (message is null)
            Assert.NotNull(BrokerConfig.Load(values));
        else
            Assert.Contains(message, Assert.Throws<ConfigException>(() => BrokerConfig.Load(values)).Message);
    }

    [Fact]
    public void OneOfInterBrokerNameAndProtocol()
    {
        var values = ConfigTestData.Node(("inter.broker.listener.name", "PLAINTEXT"), ("security.inter.broker.protocol", "PLAINTEXT"));
        Assert.Equal(
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set.",
            Assert.Throws<ConfigException>(() => BrokerConfig.Load(values)).Message);
    }

    [Fact]
    public void SaslBetweenBrokersNeedsTheMechanismEnabled()
    {
        var values = ConfigTestData.Node(
            ("listeners", "SASL_PLAINTEXT://h:9092,CONTROLLER://h:9093"),
            ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("security.inter.broker.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism.inter.broker.protocol", "PLAIN"));
        Assert.Contains(
            "must be included in sasl.enabled.mechanisms", Assert.Throws<ConfigException>(() => BrokerConfig.Load(values)).Message);
        values["listener.name.sasl_plaintext.sasl.enabled.mechanisms"] = "PLAIN";
        var config = BrokerConfig.Load(values);
        Assert.Equal(["PLAIN"], config.Get("SASL_PLAINTEXT", "sasl.enabled.mechanisms").AsList);
        Assert.Equal(["GSSAPI"], config.Get("CONTROLLER", "sasl.enabled.mechanisms").AsList);
    }

    [Fact]
    public void BrokerAndControllerAlone()
    {
        var broker = ConfigTestData.Broker(
            ("process.roles", "broker"), ("node.id", "5"), ("listeners", "PLAINTEXT://h:9092"));
        Assert.False(broker.IsController);
        Assert.False(broker.IsSingleNodeQuorum);
        var controller = ConfigTestData.Broker(("process.roles", "controller"), ("listeners", "CONTROLLER://h:9093"));
        Assert.False(controller.IsBroker);
        Assert.Empty(controller.AdvertisedListeners);
    }

    [Fact]
    public void BrokerIdStandsForNodeId() => Assert.Equal(1, ConfigTestData.Broker(("node.id", null!), ("broker.id", "1")).NodeId);

    [Fact]
    public void WarnsOfUnknownAndIneffectiveNamesOnly()
    {
        Assert.DoesNotContain("kafka.metrics.polling.interval.secs", EffectiveConfigs.Names(ConfigResourceType.Broker));
        var config = ConfigTestData.Broker(
            ("no.such.thing", "1"),
            ("kafka.metrics.polling.interval.secs", "11"),
            ("telemetry.max.bytes", "1048576"),
            ("leader.replication.throttled.rate", "5"),
            ("super.users", "User:admin"),
            ("allow.everyone.if.no.acl.found", "true"),
            ("rsm.config.x", "1"),
            ("listener.name.external.plain.sasl.jaas.config", "x"),
            ("unstable.api.versions.enable", "false"));
        Assert.Equal(
            [
                "Configuration 'kafka.metrics.polling.interval.secs' is not supported yet. Its value '11' is ignored.",
                "Configuration 'leader.replication.throttled.rate' can only be set dynamically. Its value in the static configuration is "
                    + "ignored.",
                "Unknown configuration 'no.such.thing' is ignored.",
            ],
            config.Warnings);
        Assert.Equal("User:admin", config.Original("super.users"));
    }

    [Fact]
    public void WarnsOfATightHeartbeat() =>
        Assert.Contains(
            ConfigTestData.Broker(("broker.heartbeat.interval.ms", "5000")).Warnings, warning =>
            warning.Contains("at most half", StringComparison.Ordinal));

    [Fact]
    public void SynonymChains()
    {
        Assert.Equal(604_800_000, ConfigTestData.Broker().LogRetentionMs);
        Assert.Equal(7_200_000, ConfigTestData.Broker(("log.retention.hours", "2")).LogRetentionMs);
        Assert.Equal(180_000, ConfigTestData.Broker(("log.retention.hours", "2"), ("log.retention.minutes", "3")).LogRetentionMs);
        Assert.Equal(5, ConfigTestData.Broker(("log.retention.minutes", "3"), ("log.retention.ms", "5")).LogRetentionMs);
        Assert.Equal(-1, ConfigTestData.Broker(("log.retention.hours", "-1")).LogRetentionMs);
        Assert.Equal(3_600_000, ConfigTestData.Broker(("log.roll.hours", "1")).LogRollMs);
        Assert.Equal(9, ConfigTestData.Broker(("log.roll.hours", "1"), ("log.roll.ms", "9")).LogRollMs);
        Assert.Equal(7, ConfigTestData.Broker(("log.flush.scheduler.interval.ms", "7")).LogFlushIntervalMs);
        Assert.Equal(["/x"], ConfigTestData.Broker(("log.dirs", null!), ("log.dir", "/x")).LogDirs);
    }

    [Fact]
    public void ConnectionOverrides()
    {
        var config = ConfigTestData.Broker(("max.connections.per.ip", "0"), ("max.connections.per.ip.overrides", "host-1:5, 127.0.0.1:6"));
        Assert.Equal(5, config.MaxConnectionsPerIpOverrides["host-1"]);
        Assert.Equal(6, config.MaxConnectionsPerIpOverrides["127.0.0.1"]);
    }

    [Fact]
    public void DynamicPerBrokerBeatsDynamicDefaultBeatsStatic()
    {
        var config = ConfigTestData.Broker(("num.io.threads", "2"), ("log.segment.bytes", "2097152"), ("message.max.bytes", "10"));
        var updated = config.WithDynamic(
            new Dictionary<string, string> { ["num.io.threads"] = "3", ["message.max.bytes"] = "20" },
            new Dictionary<string, string> { ["num.io.threads"] = "4" });
        Assert.Equal(4, updated.NumIoThreads);
        Assert.Equal(20, updated.MessageMaxBytes);
        Assert.Equal(2_097_152, updated.LogSegmentBytes);
        Assert.Equal(20, updated.TopicDefaults.MaxMessageBytes);
        Assert.Equal(2, config.NumIoThreads);
        Assert.Equal(2, updated.WithDynamic(new Dictionary<string, string>(), new Dictionary<string, string>()).NumIoThreads);
    }

    [Fact]
    public void BadDynamicValuesAreLeftOutWithAWarning()
    {
        var updated = ConfigTestData.Broker().WithDynamic(
            new Dictionary<string, string> { ["num.io.threads"] = "x", ["node.id"] = "9", ["listeners"] = "A://:1" },
            new Dictionary<string, string> { ["ssl.key.password"] = "s3cret" });
        Assert.Equal(8, updated.NumIoThreads);
        Assert.Equal(1, updated.NodeId);
        Assert.Equal(4, updated.Warnings.Count);
        Assert.DoesNotContain(updated.Warnings, warning => warning.Contains("s3cret", StringComparison.Ordinal));
    }
}
