namespace Ottla.Configuration;

/// <summary>
/// Checks a broker's own dynamic values before they are stored: whether the running broker can change from its current configuration to the
/// new one. Pure.
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

    /// <summary>Rejects dynamic values to which this broker cannot change.</summary>
    /// <param name="current">The current configuration.</param>
    /// <param name="clusterDefault">All new dynamic values of the cluster.</param>
    /// <param name="perBroker">All new dynamic values of this broker.</param>
    /// <returns>The new configuration.</returns>
    /// <exception cref="ConfigException">The change is invalid; the kind is INVALID_REQUEST.</exception>
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
            // Kafka's wording when a component of the broker rejects a value.
            throw new ConfigException(
                $"Invalid value org.apache.kafka.common.config.ConfigException: {reason} for configuration Invalid dynamic configuration",
                ConfigErrorKind.InvalidRequest);
        }

        return updated;
    }

    private static string? Reason(BrokerConfig current, BrokerConfig updated) =>
        s_threads.Select(name => ThreadsReason(name, current.Get(name).AsInt, updated.Get(name).AsInt))
            .FirstOrDefault(reason => reason is not null)
        ?? CleanerThreadsReason(current.LogCleanerThreads, updated.LogCleanerThreads)
        ?? RetentionReason(current, updated)
        ?? ListenersReason(current, updated)
        ?? updated.BrokerListeners.Select(listener => ListenerReason(listener.Name, current, updated))
            .FirstOrDefault(reason => reason is not null);

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

    /// <summary>Like <see cref="ThreadsReason"/>, in the words of Kafka's cleaner.</summary>
    private static string? CleanerThreadsReason(int current, int updated) =>
        updated < current / 2 ? $"Log cleaner threads cannot be reduced to less than half the current value {current}"
        : updated > current * 2L ? $"Log cleaner threads cannot be increased to more than double the current value {current}"
        : null;

    /// <summary>Checks only changes of the values, because brokers may start with any value while tiered storage is off.</summary>
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
                return $"Invalid value {lag} for configuration log.remote.copy.lag.{unit}: Value must not exceed "
                    + $"log.local.retention.{unit} " +
                    $"(effective value: {kept})";
            }
        }

        return null;
    }

    /// <summary>Kafka can open and close listeners while it runs. Ottla cannot yet, and rejects the change.</summary>
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
            : "listeners: this version cannot change its listeners while it runs. Set listeners in the static configuration and restart "
                + "the broker";
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
