namespace Ottla.Configuration;

/// <summary>The rules between the configs of a topic.</summary>
internal static class TopicConfigRules
{
    public static void Validate(
        IReadOnlyDictionary<string, string> overrides, BrokerConfig? defaults, IReadOnlyDictionary<string, string> existing)
    {
        foreach (var (name, value) in overrides)
        {
            if (ConfigRegistry.Topic.Find(name) is null)
                throw new ConfigException($"Unknown topic config name: {name}");
            if (value is null)
                throw new ConfigException($"Null value not supported for topic configs: {name}");
        }

        var values = new Dictionary<string, ConfigValue>(StringComparer.Ordinal);
        foreach (var definition in ConfigRegistry.Topic.All)
        {
            values[definition.Name] =
                definition.Parse(overrides.TryGetValue(definition.Name, out var text) ? text : TopicConfig.Inherited(defaults, definition));
        }

        CheckCompactionLag(values["min.compaction.lag.ms"].AsLong, values["max.compaction.lag.ms"].AsLong);
        // Kafka's own defaults have no tiered storage to check.
        if (defaults is not null)
            CheckRemoteStorage(values, defaults.RemoteLogStorageSystemEnable, existing);
    }

    public static void CheckCompactionLag(long minMs, long maxMs)
    {
        if (minMs > maxMs)
            throw new ConfigException($"conflict topic config setting min.compaction.lag.ms ({minMs}) > max.compaction.lag.ms ({maxMs})");
    }

    /// <summary>Local retention must not exceed retention, and may be unlimited only if retention is.</summary>
    public static void CheckLocalRetention(string localName, long local, string totalName, long total)
    {
        const long likeTotal = -2;
        if (total < 0 || local == likeTotal)
            return;
        if (local == -1)
            throw Refused(localName, local, $"Value must not be -1 as {totalName} value is set as {total}.");
        if (local > total)
            throw Refused(localName, local, $"Value must not be more than {totalName} property value: {total}");
    }

    private static void CheckRemoteStorage(
        Dictionary<string, ConfigValue> values, bool systemEnabled, IReadOnlyDictionary<string, string> existing)
    {
        if (!values["remote.storage.enable"].AsBoolean)
        {
            CheckTurningOff(values, existing);
            return;
        }

        if (!systemEnabled)
            throw new ConfigException(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.");
        var policy = values["cleanup.policy"].AsList;
        if (policy.Count > 0 && !(policy.Count == 1 && policy[0] == "delete"))
        {
            throw new ConfigException(
                "Remote log storage only supports topics with cleanup.policy=delete or cleanup.policy being an empty list.");
        }

        foreach (var unit in (ReadOnlySpan<string>)["bytes", "ms"])
        {
            var total = values[$"retention.{unit}"].AsLong;
            var local = values[$"local.retention.{unit}"].AsLong;
            CheckLocalRetention($"local.retention.{unit}", local, $"retention.{unit}", total);
            CheckCopyLag(unit, values[$"remote.copy.lag.{unit}"].AsLong, local == -2 ? total : local);
            if (values["remote.log.copy.disable"].AsBoolean && local != -2 && local != total)
            {
                throw new ConfigException(
                    $"When `remote.log.copy.disable` is set to true, the `local.retention.{unit}` and `retention.{unit}` must be set to " +
                    "the identical value because there will be no more logs copied to the remote storage.");
            }
        }
    }

    private static void CheckTurningOff(Dictionary<string, ConfigValue> values, IReadOnlyDictionary<string, string> existing)
    {
        var wasEnabled = existing.TryGetValue("remote.storage.enable", out var text)
            && JavaText.Trim(text).Equals("true", StringComparison.OrdinalIgnoreCase);
        if (!wasEnabled || values["remote.log.delete.on.disable"].AsBoolean)
            return;
        throw new ConfigException(
            "It is invalid to disable remote storage without deleting remote data. If you want to keep the remote data and turn to read " +
            "only, please set `remote.storage.enable=true,remote.log.copy.disable=true`. If you want to disable remote storage and "
            + "delete " +
            "all remote data, please set `remote.storage.enable=false,remote.log.delete.on.disable=true`.");
    }

    private static void CheckCopyLag(string unit, long lag, long effectiveLocalRetention)
    {
        if (lag > 0 && effectiveLocalRetention >= 0 && lag > effectiveLocalRetention)
        {
            throw Refused(
                $"remote.copy.lag.{unit}", lag,
                    $"Value must not exceed local.retention.{unit} (effective value: {effectiveLocalRetention})");
        }
    }

    private static ConfigException Refused(string name, long value, string reason) =>
        new(name, FormattableString.Invariant($"{value}"), reason);
}
