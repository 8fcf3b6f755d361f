namespace Ottla.Configuration;

/// <summary>The rules between the configs of a node. Like Kafka, Ottla does not start when one is broken.</summary>
internal static class BrokerConfigRules
{
    private const string ControllerNames = "controller.listener.names";

    /// <summary>Pairs of configs; the first value must not exceed the second.</summary>
    private static readonly (string Smaller, string Larger)[] s_atMost =
    [
        .. Bounds("group.consumer", "heartbeat.interval.ms", "session.timeout.ms", "assignment.interval.ms"),
        .. Bounds(
            "group.share", "heartbeat.interval.ms", "session.timeout.ms", "assignment.interval.ms", "delivery.count.limit",
            "partition.max.record.locks", "record.lock.duration.ms"),
        .. Bounds("group.streams", "heartbeat.interval.ms", "session.timeout.ms", "assignment.interval.ms"),
        ("group.streams.num.standby.replicas", "group.streams.max.standby.replicas"),
        ("group.streams.num.warmup.replicas", "group.streams.max.warmup.replicas"),
        ("group.streams.min.task.offset.interval.ms", "group.streams.task.offset.interval.ms"),
        ("group.share.max.size", "group.share.max.share.sessions"),
    ];

    public static void Check(BrokerConfig config, List<string> warnings)
    {
        Require(
            config.Get("broker.id").AsInt == config.NodeId,
            "`node.id` and `broker.id` must be set to the same value. `broker.id` is deprecated, please use `node.id` instead.");
        CheckLogs(config);
        CheckReplication(config, warnings);
        CheckQuorum(config);
        CheckListeners(config, warnings);
        CheckConnections(config);
        CheckGroups(config, warnings);
    }

    private static void CheckLogs(BrokerConfig config)
    {
        Require(config.LogRollMs >= 1, "log.roll.ms must be greater than or equal to 1");
        Require(config.LogRollJitterMs >= 0, "log.roll.jitter.ms must be greater than or equal to 0");
        Require(
            config.LogRetentionMs is >= 1 or -1, "log.retention.ms must be unlimited (-1) or, greater than or equal to 1");
        Require(config.LogDirs.Count > 0, "At least one log directory must be defined via log.dirs or log.dir.");
        // the definition allows 0, with which Kafka fails to start
        Require(config.LogCleanerThreads >= 1, "log.cleaner.threads must be at least 1");
        Require(
            config.LogCleanerDedupeBufferSize / config.LogCleanerThreads > 1024 * 1024,
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.");
        TopicConfigRules.CheckCompactionLag(config.LogCleanerMinCompactionLagMs, config.LogCleanerMaxCompactionLagMs);
        if (config.RemoteLogStorageSystemEnable)
        {
            TopicConfigRules.CheckLocalRetention(
                "log.local.retention.ms", config.Get("log.local.retention.ms").AsLong, "log.retention.ms", config.LogRetentionMs);
            TopicConfigRules.CheckLocalRetention(
                "log.local.retention.bytes", config.Get("log.local.retention.bytes").AsLong, "log.retention.bytes",
                    config.LogRetentionBytes);
        }

        CheckCordonedLogDirs(config);
    }

    private static void CheckCordonedLogDirs(BrokerConfig config)
    {
        var cordoned = config.Get("cordoned.log.dirs");
        if (!config.IsBroker || cordoned.IsNull)
            return;
        if (cordoned.AsList.Contains("*"))
        {
            Require(cordoned.AsList.Count == 1, "When cordoned.log.dirs is set to *, it must not contain other values");
            return;
        }

        var unknown = cordoned.AsList.Where(dir => !config.LogDirs.Contains(dir)).ToList();
        Require(
            unknown.Count == 0,
            $"All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : {string.Join(", ", unknown)}");
    }

    private static void CheckReplication(BrokerConfig config, List<string> warnings)
    {
        Require(
            config.ReplicaFetchWaitMaxMs <= config.ReplicaSocketTimeoutMs,
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts");
        Require(
            config.ReplicaFetchWaitMaxMs <= config.ReplicaLagTimeMaxMs,
            "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR");
        if (config.BrokerHeartbeatIntervalMs * 2L > config.BrokerSessionTimeoutMs)
        {
            warnings.Add(
                $"broker.heartbeat.interval.ms ({config.BrokerHeartbeatIntervalMs} ms) should be at most half of "
                + "broker.session.timeout.ms " +
                $"({config.BrokerSessionTimeoutMs} ms). Otherwise a single late heartbeat can fence a broker.");
        }
    }

    private static void CheckQuorum(BrokerConfig config)
    {
        var voters = config.QuorumVoters.Select(voter => voter.Id).ToHashSet();
        var votersText = $"controller.quorum.voters=[{string.Join(", ", voters.Order())}]";
        Require(
            voters.Count > 0 || config.QuorumBootstrapServers.Count > 0,
            "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap controllers or " +
            "controller.quorum.voters must contain a parseable set of controllers.");
        if (config.IsController)
        {
            Require(
                voters.Count == 0 || voters.Contains(config.NodeId),
                $"If process.roles contains the 'controller' role, the node id {config.NodeId} must be included in the set of voters "
                + $"{votersText}");
            return;
        }

        Require(
            !voters.Contains(config.NodeId),
            $"If process.roles contains just the 'broker' role, the node id {config.NodeId} must not be included in the set of voters "
            + $"{votersText}");
        Require(
            !config.ControllerQuorumAutoJoinEnable,
            "controller.quorum.auto.join.enable is only supported when process.roles contains the 'controller' role.");
    }

    private static void CheckListeners(BrokerConfig config, List<string> warnings)
    {
        if (config.IsController)
            CheckControllerListeners(config);
        else
            CheckBrokerOnlyListeners(config, warnings);
        if (config.IsBroker)
            CheckAdvertisedListeners(config);
        Require(
            !config.AdvertisedListeners.Concat(config.AdvertisedControllerListeners).Any(listener => listener.Host == "0.0.0.0"),
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.");
        if (config.InterBrokerSecurityProtocol is SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL)
        {
            Require(
                config.Get(config.InterBrokerListenerName, "sasl.enabled.mechanisms").AsList
                    .Contains(config.Get("sasl.mechanism.inter.broker.protocol").AsString!),
                "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL is used for inter-broker "
                + "communication");
        }

        CheckEarlyListeners(config);
    }

    private static void CheckEarlyListeners(BrokerConfig config)
    {
        var names = config.Listeners.Select(listener => listener.Name).Concat(config.ControllerListenerNames).ToList();
        if (config.Get("early.start.listeners") is not { IsNull: false } early)
            return;
        foreach (var name in early.AsList.Where(name => name.Length > 0))
        {
            Require(
                names.Contains(name, StringComparer.OrdinalIgnoreCase),
                $"early.start.listeners contains listener {name.ToUpperInvariant()}, but this is not contained in listeners or "
                    + ControllerNames);
        }
    }

    private static void CheckControllerListeners(BrokerConfig config)
    {
        Require(
            config.ControllerListeners.Count > 0,
            $"{ControllerNames} must contain at least one value appearing in the 'listeners' configuration when running the KRaft "
            + "controller role");
        var names = config.Listeners.Select(listener => listener.Name).ToHashSet(StringComparer.Ordinal);
        Require(
            config.ControllerListenerNames.All(names.Contains),
            $"{ControllerNames} must only contain values appearing in the 'listeners' configuration when running the KRaft controller "
            + "role");
        if (config.IsBroker)
            return;
        Require(
            config.BrokerListeners.Count == 0,
            $"The listeners config must only contain KRaft controller listeners from {ControllerNames} when process.roles=controller");
        Require(
            config.Get("inter.broker.listener.name").IsNull || !config.ControllerListenerNames.Contains(config.InterBrokerListenerName),
            $"{ControllerNames} must not contain an explicitly set inter.broker.listener.name configuration value when "
            + "process.roles=controller");
    }

    private static void CheckBrokerOnlyListeners(BrokerConfig config, List<string> warnings)
    {
        Require(
            config.ControllerListeners.Count == 0,
            $"{ControllerNames} must not contain a value appearing in the 'listeners' configuration when running KRaft with just the "
            + "broker role");
        foreach (var name in config.ControllerListenerNames)
        {
            Require(
                config.ListenerSecurityProtocols.ContainsKey(name),
                $"Controller listener with name {name} defined in {ControllerNames} not found in listener.security.protocol.map (an "
                + "explicit " +
                "security mapping for each controller listener is required if listener.security.protocol.map is non-empty, or if there "
                + "are " +
                "security protocols other than PLAINTEXT in use)");
        }

        if (config.ControllerListenerNames.Count > 1)
            warnings.Add(
                $"{ControllerNames} has several entries. The broker uses only the first one, {config.ControllerListenerNames[0]}.");
    }

    private static void CheckAdvertisedListeners(BrokerConfig config)
    {
        var advertised = config.AdvertisedListeners.Select(listener => listener.Name).ToList();
        Require(
            advertised.Count > 0,
            $"There must be at least one broker advertised listener. Perhaps all listeners appear in {ControllerNames}?");
        Require(
            advertised.Contains(config.InterBrokerListenerName),
            "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options based on currently " +
            $"configured listeners are {string.Join(',', advertised)}");
        var names = config.Listeners.Select(listener => listener.Name).ToList();
        Require(
            advertised.All(names.Contains),
            "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. " +
            $"Found {string.Join(',', advertised)}. The valid options based on the current configuration are {string.Join(',', names)}");
    }

    private static void CheckConnections(BrokerConfig config)
    {
        Require(
            config.QueuedMaxRequestBytes <= 0 || config.QueuedMaxRequestBytes >= config.SocketRequestMaxBytes,
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes");
        Require(
            config.MaxConnectionsPerIp != 0 || config.MaxConnectionsPerIpOverrides.Count > 0,
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.");
        Require(
            config.ConnectionsMaxIdleMs < 0 || config.ConnectionFailedAuthenticationDelayMs < config.ConnectionsMaxIdleMs,
            $"connection.failed.authentication.delay.ms={config.ConnectionFailedAuthenticationDelayMs} should always be less than " +
            $"connections.max.idle.ms={config.ConnectionsMaxIdleMs} to prevent failed authentication responses from timing out");
    }

    private static void CheckGroups(BrokerConfig config, List<string> warnings)
    {
        foreach (var (smaller, larger) in s_atMost)
        {
            Require(
                config.Get(smaller).AsLong <= config.Get(larger).AsLong,
                $"{larger} ({config.Get(larger)}) must be greater than or equal to {smaller} ({config.Get(smaller)})");
        }

        foreach (var kind in (ReadOnlySpan<string>)["group.consumer", "group.share", "group.streams"])
        {
            Require(
                config.Get($"{kind}.heartbeat.interval.ms").AsInt < config.Get($"{kind}.session.timeout.ms").AsInt,
                $"{kind}.heartbeat.interval.ms must be less than {kind}.session.timeout.ms");
        }

        Require(config.GroupCoordinatorRebalanceProtocols.Contains("classic"), "Disabling the 'classic' protocol is not supported.");
        Require(
            config.Get("group.share.assignors").AsList.Count == 1, "group.share.assignors must contain exactly one assignor");
        if (config.IsSet("group.coordinator.rebalance.protocols"))
            warnings.Add(
                "group.coordinator.rebalance.protocols is deprecated. Use the features group.version, streams.version and share.version "
                + "instead.");
    }

    private static IEnumerable<(string Smaller, string Larger)> Bounds(string kind, params string[] names)
    {
        foreach (var name in names)
        {
            yield return ($"{kind}.min.{name}", $"{kind}.max.{name}");
            yield return ($"{kind}.min.{name}", $"{kind}.{name}");
            yield return ($"{kind}.{name}", $"{kind}.max.{name}");
        }
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
            throw new ConfigException(message);
    }
}
