using Ottla.Kernel;

namespace Ottla.Configuration;

/// <summary>A source of a config's value, for DescribeConfigs.</summary>
/// <param name="Name">The config that sets it.</param>
/// <param name="Value">The value; null when it is secret.</param>
/// <param name="Source">What set it.</param>
public sealed record ConfigSynonym(string Name, string? Value, ConfigSource Source);

/// <summary>One config of a resource, for DescribeConfigs.</summary>
/// <param name="Name">The config.</param>
/// <param name="Value">The effective value; null when there is none or it is secret.</param>
/// <param name="Source">The source of the value.</param>
/// <param name="IsSensitive">Whether values are secret.</param>
/// <param name="IsReadOnly">Whether it cannot be changed dynamically.</param>
/// <param name="Type">The value's type.</param>
/// <param name="Documentation">One sentence of documentation; null for unknown names.</param>
/// <param name="Synonyms">All sources that set it, in order of precedence.</param>
public sealed record ConfigEntry(
    string Name,
    string? Value,
    ConfigSource Source,
    bool IsSensitive,
    bool IsReadOnly,
    ConfigType Type,
    string? Documentation,
    IReadOnlyList<ConfigSynonym> Synonyms);

/// <summary>
/// Lists the configs of a resource for DescribeConfigs. The optional names filter comes from the request; null or empty means all.
/// </summary>
public static class ConfigDescription
{
    /// <summary>Lists a topic's configs: its own values, then the broker's.</summary>
    /// <exception cref="ConfigException">A stored value is invalid.</exception>
    public static IReadOnlyList<ConfigEntry> Topic(
        BrokerConfig broker, IReadOnlyDictionary<string, string> overrides, IReadOnlyCollection<string>? names = null)
    {
        var topic = TopicConfig.Create(broker, overrides);
        var entries = new List<ConfigEntry>();
        foreach (var definition in Selected(ConfigRegistry.Topic, overrides, names))
        {
            var value = topic.Get(definition.Name);
            var synonyms = definition.Synonyms.Count > 0 ? BrokerSynonyms(broker, definition.Synonyms[0].Name, definition.IsSensitive) : [];
            entries.Add(Entry(definition, value, overrides, ConfigSource.DynamicTopic, synonyms));
        }

        return entries;
    }

    /// <summary>Lists a group's configs: its own values, then the broker's.</summary>
    /// <exception cref="ConfigException">A stored value is invalid.</exception>
    public static IReadOnlyList<ConfigEntry> Group(
        BrokerConfig broker, IReadOnlyDictionary<string, string> overrides, IReadOnlyCollection<string>? names = null)
    {
        var entries = new List<ConfigEntry>();
        foreach (var definition in Selected(ConfigRegistry.Group, overrides, names))
        {
            var synonym = definition.Synonyms.Count > 0 ? definition.Synonyms[0].Name : null;
            var value = definition.Parse(
                overrides.TryGetValue(definition.Name, out var text) ? text : InheritedByGroup(broker, definition, synonym));
            List<ConfigSynonym> synonyms = synonym is not null ? BrokerSynonyms(broker, synonym, definition.IsSensitive)
                : definition.DefaultText is null ? []
                : [new ConfigSynonym(definition.Name, definition.DefaultText, ConfigSource.Default)];
            entries.Add(Entry(definition, value, overrides, ConfigSource.Group, synonyms));
        }

        return entries;
    }

    /// <summary>Lists the configs of a client metrics subscription.</summary>
    /// <exception cref="ConfigException">A stored value is invalid.</exception>
    public static IReadOnlyList<ConfigEntry> ClientMetrics(
        IReadOnlyDictionary<string, string> overrides, IReadOnlyCollection<string>? names = null)
    {
        var entries = new List<ConfigEntry>();
        foreach (var definition in Selected(ConfigRegistry.ClientMetrics, overrides, names))
        {
            var value = overrides.TryGetValue(definition.Name, out var text) ? definition.Parse(text) : definition.Default;
            entries.Add(Entry(definition, value, overrides, ConfigSource.ClientMetrics, []));
        }

        return entries;
    }

    /// <summary>Lists this broker's configs: every documented one, and all others that are set.</summary>
    public static IReadOnlyList<ConfigEntry> Broker(BrokerConfig broker, IReadOnlyCollection<string>? names = null)
    {
        var entries = new List<ConfigEntry>();
        var described = ConfigRegistry.Broker.Described.Select(definition => definition.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var name in JavaHashOrder.Of(broker.OriginalNames.Where(name => !described.Contains(name))))
        {
            if (IsSelected(name, names))
                entries.Add(BrokerEntry(broker, name, broker.Original(name), _ => true));
        }

        foreach (var definition in ConfigRegistry.Broker.Described)
        {
            if (IsSelected(definition.Name, names))
                entries.Add(BrokerEntry(broker, definition.Name, broker.Get(definition.Name).ToText(), _ => true));
        }

        return entries;
    }

    /// <summary>Lists the cluster-wide defaults of brokers: only the configs that are set.</summary>
    public static IReadOnlyList<ConfigEntry> BrokerDefaults(BrokerConfig broker, IReadOnlyCollection<string>? names = null) =>
    [
        .. JavaHashOrder.Of(broker.DynamicClusterDefaults, pair => JavaHashCode.Of(pair.Key))
            .Where(pair => IsSelected(pair.Key, names))
            .Select(pair => BrokerEntry(
                broker, pair.Key, pair.Value, synonym => synonym.Source == ConfigSource.DynamicDefaultBroker)),
    ];

    private static string? InheritedByGroup(BrokerConfig broker, ConfigDefinition definition, string? synonym)
    {
        if (synonym is null)
            return definition.DefaultText;
        var value = broker.Get(synonym);
        // A group has one assignor. The broker has a list, with the default first.
        return definition.Type == ConfigType.String && value.Type == ConfigType.List ? value.AsList[0] : value.ToRawText();
    }

    private static ConfigEntry Entry(
        ConfigDefinition definition,
        ConfigValue value,
        IReadOnlyDictionary<string, string> overrides,
        ConfigSource source,
        List<ConfigSynonym> synonyms)
    {
        var text = definition.IsSensitive ? null : value.ToText();
        if (overrides.ContainsKey(definition.Name))
            synonyms.Insert(0, new ConfigSynonym(definition.Name, text, source));
        return new ConfigEntry(
            definition.Name,
            text,
            synonyms.Count > 0 ? synonyms[0].Source : ConfigSource.Default,
            definition.IsSensitive,
            IsReadOnly: false,
            definition.Type,
            definition.Documentation,
            synonyms);
    }

    private static ConfigEntry BrokerEntry(BrokerConfig broker, string name, string? value, Func<ConfigSynonym, bool> select)
    {
        var definition = Definition(name);
        // An unknown config may be a secret.
        var isSensitive = definition is null || definition.IsSensitive;
        var synonyms = BrokerSynonyms(broker, name, isSensitive).Where(select).ToList();
        var isReadOnly = ConfigRegistry.Broker.Find(name) is not { UpdateMode: not ConfigUpdateMode.ReadOnly };
        return new ConfigEntry(
            name,
            isSensitive ? null : value,
            synonyms.Count > 0 ? synonyms[0].Source : ConfigSource.Default,
            isSensitive,
            isReadOnly,
            definition?.Type ?? ConfigType.Unknown,
            definition?.Documentation,
            synonyms);
    }

    private static ConfigDefinition? Definition(string name) =>
        ConfigRegistry.Broker.Find(name)
        ?? (ListenerOverride.TryParse(name, out _, out var baseName) ? ListenerOverride.Definition(baseName) : null);

    /// <summary>
    /// All sources of a broker config or its synonyms, in order of precedence, starting with the first that sets it by its own name.
    /// </summary>
    private static List<ConfigSynonym> BrokerSynonyms(BrokerConfig broker, string name, bool isSensitive)
    {
        var names = ConfigSynonyms.DescribedBrokerNames(name);
        var all = new List<ConfigSynonym>();
        Add(broker.DynamicPerBroker, ConfigSource.DynamicBroker);
        Add(broker.DynamicClusterDefaults, ConfigSource.DynamicDefaultBroker);
        Add(broker.StaticValues, ConfigSource.StaticBroker);
        foreach (var synonym in names)
        {
            if (ConfigRegistry.Broker.Find(synonym) is { DefaultText: { } text, UpdateMode: not ConfigUpdateMode.DynamicOnly })
                all.Add(new ConfigSynonym(synonym, isSensitive ? null : text, ConfigSource.Default));
        }

        return [.. all.SkipWhile(synonym => synonym.Name != name)];

        void Add(IReadOnlyDictionary<string, string> values, ConfigSource source)
        {
            foreach (var synonym in names)
            {
                if (values.TryGetValue(synonym, out var value))
                    all.Add(new ConfigSynonym(synonym, isSensitive ? null : value, source));
            }
        }
    }

    /// <summary>The requested configs. Internal ones are included only where they are set.</summary>
    private static IEnumerable<ConfigDefinition> Selected(
        ConfigTable table, IReadOnlyDictionary<string, string> overrides, IReadOnlyCollection<string>? names) =>
        table.All.Where(definition => definition.IsInternal && overrides.ContainsKey(definition.Name))
            .Concat(table.Described)
            .Where(definition => IsSelected(definition.Name, names));

    private static bool IsSelected(string name, IReadOnlyCollection<string>? names) =>
        names is null or { Count: 0 } || names.Contains(name);
}
