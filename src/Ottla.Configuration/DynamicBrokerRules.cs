namespace Ottla.Configuration;

/// <summary>
/// What a broker checks before dynamic values of its own are stored: whether it can go from its present configuration to the
/// new one while it runs. Pure.
/// </summary>
public static class DynamicBrokerRules
{
    private const string NetworkThreads = "num.network.threads";

    private static readonly string[] s_threads =
    [
        "num.io.threads", "num.replica.fetchers", "num.recovery.threads.per.data.dir", "background.threads", "remote.log.reader.threads",
        "remote.log.manager.copier.thread.pool.size", "remote.log.manager.expiration.thread.pool.size",
        "remote.log.manager.follower.thread.pool.size",
    ];

    /// <summary>Refuses dynamic values that this broker cannot take over from its present ones.</summary>
    /// <param name="current">The configuration in force.</param>
    /// <param name="clusterDefault">All dynamic values of the cluster, as they would be.</param>
    /// <param name="perBroker">All dynamic values of this broker, as they would be.</param>
    /// <returns>The configuration as it would be.</returns>
    /// <exception cref="ConfigException">The change is refused, with the kind INVALID_REQUEST.</exception>
    public static BrokerConfig Validate(
        BrokerConfig current, IReadOnlyDictionary<string, string> clusterDefault, IReadOnlyDictionary<string, string> perBroker)
    {
        BrokerConfig updated;
        try
        {
            updated = current.WithAllDynamic(clusterDefault, perBroker);
        }
        catch (ConfigException e)
        {
            throw new ConfigException(e.Message, ConfigErrorKind.InvalidRequest);
        }

        if (Reason(current, updated) is { } reason)
        {
            // Kafka's words for what a part of the broker refuses.
            throw new ConfigException(
                $"Invalid value org.apache.kafka.common.config.ConfigException: {reason} for configuration Invalid dynamic configuration",
                ConfigErrorKind.InvalidRequest);
        }

        return updated;
    }

    private static string? Reason(BrokerConfig current, BrokerConfig updated) =>
        s_threads.Select(name => ThreadsReason(name, current.Get(name).AsInt, updated.Get(name).AsInt)).FirstOrDefault(reason => reason is not null)
        ?? CleanerThreadsReason(current.LogCleanerThreads, updated.LogCleanerThreads)
        ?? RetentionReason(current, updated)
        ?? ListenersReason(current, updated)
        ?? updated.BrokerListeners.Select(listener => ListenerReason(listener.Name, current, updated)).FirstOrDefault(reason => reason is not null);

    private static string? ThreadsReason(string name, int current, int updated)
    {
        if (updated == current)
            return null;
        var reason = updated <= 0 ? "value should be at least 1"
            : updated < current / 2 ? $"value should be at least half the current value {current}"
            : updated > current * 2L ? $"value should not be greater than double the current value {current}"
            : null;
        return reason is null ? null : $"Dynamic thread count update validation failed for {name}={updated}, {reason}";
    }

    /// <summary>As <see cref="ThreadsReason"/>, in the words of Kafka's cleaner.</summary>
    private static string? CleanerThreadsReason(int current, int updated) =>
        updated < current / 2 ? $"Log cleaner threads cannot be reduced to less than half the current value {current}"
        : updated > current * 2L ? $"Log cleaner threads cannot be increased to more than double the current value {current}"
        : null;

    /// <summary>What brokers start with although tiered storage is off is not checked, but a change of it is.</summary>
    private static string? RetentionReason(BrokerConfig current, BrokerConfig updated)
    {
        foreach (var (unit, total, totalBefore) in new[]
        {
            ("ms", updated.LogRetentionMs, current.LogRetentionMs), ("bytes", updated.LogRetentionBytes, current.LogRetentionBytes),
        })
        {
            var local = updated.Get($"log.local.retention.{unit}").AsLong;
            var lag = updated.Get($"log.remote.copy.lag.{unit}").AsLong;
            if (total == totalBefore && local == current.Get($"log.local.retention.{unit}").AsLong
                && lag == current.Get($"log.remote.copy.lag.{unit}").AsLong)
                continue;
            try
            {
                TopicConfigRules.CheckLocalRetention($"log.local.retention.{unit}", local, $"log.retention.{unit}", total);
            }
            catch (ConfigException e)
            {
                return e.Message;
            }

            var kept = local == -2 ? total : local;
            if (lag > 0 && kept >= 0 && lag > kept)
            {
                return $"Invalid value {lag} for configuration log.remote.copy.lag.{unit}: Value must not exceed log.local.retention.{unit} " +
                    $"(effective value: {kept})";
            }
        }

        return null;
    }

    /// <summary>Kafka can open and close listeners while it runs. This version cannot, and does not say that it did.</summary>
    private static string? ListenersReason(BrokerConfig current, BrokerConfig updated)
    {
        var names = updated.Listeners.Select(listener => listener.Name).ToList();
        var advertised = current.AdvertisedListeners.Select(listener => listener.Name).ToList();
        if (!advertised.TrueForAll(names.Contains))
        {
            return $"Advertised listeners '{string.Join(", ", advertised)}' must be a subset of listeners '{string.Join(", ", names)}'";
        }

        foreach (var listener in current.Listeners)
        {
            if (updated.ListenerSecurityProtocols.TryGetValue(listener.Name, out var protocol) && protocol != listener.SecurityProtocol)
                return $"Security protocol cannot be updated for existing listener {listener.Name}";
        }

        return current.Listeners.SequenceEqual(updated.Listeners)
            ? null
            : "listeners: this version listens where it listened when it started; set listeners in its static configuration and start it anew";
    }

    private static string? ListenerReason(string listener, BrokerConfig current, BrokerConfig updated)
    {
        foreach (var name in (ReadOnlySpan<string>)["max.connections", "max.connection.creation.rate"])
        {
            var value = updated.Get(listener, name).AsInt;
            if (value <= 0 && value != current.Get(listener, name).AsInt)
                return $"Invalid {name} {value}";
        }

        return ThreadsReason(NetworkThreads, current.Get(listener, NetworkThreads).AsInt, updated.Get(listener, NetworkThreads).AsInt);
    }
}
