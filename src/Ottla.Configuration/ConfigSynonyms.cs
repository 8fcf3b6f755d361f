using System.Collections.Frozen;
using System.Globalization;

namespace Ottla.Configuration;

/// <summary>A config that provides the value of another one, and the factor between their units.</summary>
/// <param name="Name">The config with the value.</param>
/// <param name="Multiplier">The factor for its value; 1 when the units are equal.</param>
public sealed record ConfigSynonymRule(string Name, long Multiplier = 1)
{
    internal string Convert(ConfigValue value) =>
        Multiplier == 1 ? value.ToRawText()! : (value.AsLong * Multiplier).ToString(CultureInfo.InvariantCulture);
}

/// <summary>
/// Kafka's chains of synonyms: the broker configs that provide the values of topic configs, group configs and each other.
/// </summary>
public static class ConfigSynonyms
{
    private const long MinuteMs = 60_000;
    private const long HourMs = 3_600_000;

    private static readonly ConfigSynonymRule[] s_roll = [new("log.roll.ms"), new("log.roll.hours", HourMs)];
    private static readonly ConfigSynonymRule[] s_rollJitter = [new("log.roll.jitter.ms"), new("log.roll.jitter.hours", HourMs)];
    private static readonly ConfigSynonymRule[] s_flush = [new("log.flush.interval.ms"), new("log.flush.scheduler.interval.ms")];

    private static readonly ConfigSynonymRule[] s_retention =
        [new("log.retention.ms"), new("log.retention.minutes", MinuteMs), new("log.retention.hours", HourMs)];

    private static readonly FrozenDictionary<string, ConfigSynonymRule[]> s_topic = new Dictionary<string, ConfigSynonymRule[]>
    {
        ["segment.bytes"] = [new("log.segment.bytes")],
        ["segment.ms"] = s_roll,
        ["segment.jitter.ms"] = s_rollJitter,
        ["segment.index.bytes"] = [new("log.index.size.max.bytes")],
        ["flush.messages"] = [new("log.flush.interval.messages")],
        ["flush.ms"] = s_flush,
        ["retention.bytes"] = [new("log.retention.bytes")],
        ["retention.ms"] = s_retention,
        ["max.message.bytes"] = [new("message.max.bytes")],
        ["max.decompressed.message.bytes"] = [new("max.decompressed.message.bytes")],
        ["index.interval.bytes"] = [new("log.index.interval.bytes")],
        ["delete.retention.ms"] = [new("log.cleaner.delete.retention.ms")],
        ["min.compaction.lag.ms"] = [new("log.cleaner.min.compaction.lag.ms")],
        ["max.compaction.lag.ms"] = [new("log.cleaner.max.compaction.lag.ms")],
        ["file.delete.delay.ms"] = [new("log.segment.delete.delay.ms")],
        ["min.cleanable.dirty.ratio"] = [new("log.cleaner.min.cleanable.ratio")],
        ["cleanup.policy"] = [new("log.cleanup.policy")],
        ["unclean.leader.election.enable"] = [new("unclean.leader.election.enable")],
        ["min.insync.replicas"] = [new("min.insync.replicas")],
        ["compression.type"] = [new("compression.type")],
        ["compression.gzip.level"] = [new("compression.gzip.level")],
        ["compression.lz4.level"] = [new("compression.lz4.level")],
        ["compression.zstd.level"] = [new("compression.zstd.level")],
        ["preallocate"] = [new("log.preallocate")],
        ["message.timestamp.type"] = [new("log.message.timestamp.type")],
        ["message.timestamp.before.max.ms"] = [new("log.message.timestamp.before.max.ms")],
        ["message.timestamp.after.max.ms"] = [new("log.message.timestamp.after.max.ms")],
        ["local.retention.ms"] = [new("log.local.retention.ms")],
        ["local.retention.bytes"] = [new("log.local.retention.bytes")],
        ["remote.copy.lag.ms"] = [new("log.remote.copy.lag.ms")],
        ["remote.copy.lag.bytes"] = [new("log.remote.copy.lag.bytes")],
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private static readonly FrozenSet<string> s_groupWithoutSynonym = FrozenSet.ToFrozenSet(
        [
            "share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable",
            "errors.deadletterqueue.topic.name", "errors.deadletterqueue.copy.record.enable",
        ],
        StringComparer.Ordinal);

    private const string TokenMechanism = "oauthbearer.";
    private const string TokenConfigs = "sasl.oauthbearer.";

    private static readonly string[] s_mechanismConfigs =
    [
        "sasl.jaas.config", "sasl.login.callback.handler.class", "sasl.login.class", "sasl.server.callback.handler.class",
        "connections.max.reauth.ms",
    ];

    /// <summary>The configs that provide the value when the config is not set, in order of precedence.</summary>
    public static IReadOnlyList<ConfigSynonymRule> Of(ConfigResourceType scope, string name) => scope switch
    {
        ConfigResourceType.Topic => s_topic.GetValueOrDefault(name, []),
        ConfigResourceType.Group => OfGroup(name),
        ConfigResourceType.Broker => OfBroker(name),
        _ => [],
    };

    /// <summary>
    /// The names that DescribeConfigs lists as synonyms of a broker config: its chain; for a <c>listener.name.x.y</c> key, the key itself
    /// and the config that it overrides.
    /// </summary>
    internal static IReadOnlyList<string> DescribedBrokerNames(string name)
    {
        foreach (var chain in (ReadOnlySpan<ConfigSynonymRule[]>)[s_roll, s_rollJitter, s_retention])
        {
            if (chain.Any(rule => rule.Name == name))
                return [.. chain.Select(rule => rule.Name)];
        }

        if (name == s_flush[0].Name)
            return [.. s_flush.Select(rule => rule.Name)];
        return ListenerOverride.TryParse(name, out _, out var baseName) ? [name, MechanismConfig(baseName) ?? baseName] : [name];
    }

    /// <summary>The config of a per-mechanism listener key such as <c>plain.sasl.jaas.config</c>; null for other keys.</summary>
    internal static string? MechanismConfig(string baseName) =>
        Array.Find(s_mechanismConfigs, config => baseName.EndsWith(config, StringComparison.Ordinal))
            ?? (baseName.StartsWith(TokenMechanism + TokenConfigs, StringComparison.Ordinal) ? baseName[TokenMechanism.Length..] : null);

    private static ConfigSynonymRule[] OfGroup(string name)
    {
        if (s_groupWithoutSynonym.Contains(name))
            return [];
        return name == "streams.assignor.name"
            ? [new ConfigSynonymRule("group.streams.assignors")]
            : [new ConfigSynonymRule("group." + name)];
    }

    private static ConfigSynonymRule[] OfBroker(string name)
    {
        foreach (var chain in (ReadOnlySpan<ConfigSynonymRule[]>)[s_roll, s_rollJitter, s_retention, s_flush])
        {
            if (chain[0].Name == name)
                return chain[1..];
        }

        return name switch
        {
            "log.dirs" => [new ConfigSynonymRule("log.dir")],
            "node.id" => [new ConfigSynonymRule("broker.id")],
            _ => [],
        };
    }
}
