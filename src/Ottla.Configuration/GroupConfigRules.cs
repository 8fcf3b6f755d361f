namespace Ottla.Configuration;

/// <summary>The rules for the configs of groups. Like in Kafka, the broker's configuration bounds them.</summary>
internal static class GroupConfigRules
{
    private static readonly string[] s_bounded =
    [
        "consumer.heartbeat.interval.ms", "consumer.session.timeout.ms", "consumer.assignment.interval.ms",
        "share.heartbeat.interval.ms", "share.session.timeout.ms", "share.record.lock.duration.ms", "share.delivery.count.limit",
        "share.partition.max.record.locks", "share.assignment.interval.ms",
        "streams.heartbeat.interval.ms", "streams.session.timeout.ms", "streams.assignment.interval.ms",
    ];

    public static void Validate(IReadOnlyDictionary<string, string> overrides, BrokerConfig broker)
    {
        var parsed = new Dictionary<string, ConfigValue>(StringComparer.Ordinal);
        foreach (var (name, value) in overrides)
        {
            var definition = ConfigRegistry.Group.Find(name) ?? throw new ConfigException($"Unknown group config name: {name}");
            if (value is null)
                throw new ConfigException($"Null value not supported for group configs: {name}");
            parsed[name] = definition.Parse(value);
        }

        foreach (var name in s_bounded)
            CheckRange(parsed, name, broker);
        CheckStreams(parsed, overrides, broker);
        foreach (var kind in (ReadOnlySpan<string>)["consumer", "share", "streams"])
            CheckSessionExceedsHeartbeat(parsed, kind, broker);
        if (parsed.TryGetValue("errors.deadletterqueue.topic.name", out var topic)
            && topic.AsString!.StartsWith("__", StringComparison.Ordinal))
            throw new ConfigException("errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'");
    }

    private static void CheckRange(Dictionary<string, ConfigValue> parsed, string name, BrokerConfig broker)
    {
        if (!parsed.TryGetValue(name, out var value))
            return;
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        var (min, max) = (Bound("min"), Bound("max"));
        if (value.AsLong < min || value.AsLong > max)
            throw new ConfigException($"{name} must be in the range {min} to {max} inclusive.");

        long Bound(string which) => broker.Get($"group.{name[..dot]}.{which}.{name[(dot + 1)..]}").AsLong;
    }

    private static void CheckStreams(
        Dictionary<string, ConfigValue> parsed, IReadOnlyDictionary<string, string> overrides, BrokerConfig broker)
    {
        CheckMax(parsed, "streams.num.standby.replicas", broker.Get("group.streams.max.standby.replicas").AsInt);
        CheckMax(parsed, "streams.num.warmup.replicas", broker.Get("group.streams.max.warmup.replicas").AsInt);
        var minIntervalMs = broker.Get("group.streams.min.task.offset.interval.ms").AsInt;
        if (parsed.TryGetValue("streams.task.offset.interval.ms", out var interval) && interval.AsInt < minIntervalMs)
            throw new ConfigException($"streams.task.offset.interval.ms must be greater than or equal to {minIntervalMs}");
        if (overrides.TryGetValue("streams.rack.aware.assignment.tags", out var tagsText))
        {
            var tags = JavaText.SplitList(JavaText.Trim(tagsText));
            if (tags.Distinct(StringComparer.Ordinal).Count() != tags.Length)
                throw new ConfigException("streams.rack.aware.assignment.tags must not contain duplicate tag keys.");
        }

        var assignors = broker.Get("group.streams.assignors").AsList;
        if (parsed.TryGetValue("streams.assignor.name", out var assignor) && !assignors.Contains(assignor.AsString!))
        {
            throw new ConfigException(
                $"streams.assignor.name '{assignor}' is not a registered task assignor. Registered assignors are: "
                + $"[{string.Join(", ", assignors)}].");
        }
    }

    private static void CheckMax(Dictionary<string, ConfigValue> parsed, string name, int max)
    {
        if (parsed.TryGetValue(name, out var value) && value.AsInt > max)
            throw new ConfigException($"{name} must be less than or equal to {max}");
    }

    private static void CheckSessionExceedsHeartbeat(Dictionary<string, ConfigValue> parsed, string kind, BrokerConfig broker)
    {
        var session = $"{kind}.session.timeout.ms";
        var heartbeat = $"{kind}.heartbeat.interval.ms";
        if (!parsed.ContainsKey(session) && !parsed.ContainsKey(heartbeat))
            return;
        if (Effective(session) <= Effective(heartbeat))
            throw new ConfigException($"{session} must be greater than {heartbeat}");

        int Effective(string name) => parsed.TryGetValue(name, out var value) ? value.AsInt : broker.Get($"group.{name}").AsInt;
    }
}
