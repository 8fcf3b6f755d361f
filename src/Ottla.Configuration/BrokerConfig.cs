using System.Collections.Frozen;

namespace Ottla.Configuration;

/// <summary>
/// The effective configuration of one node: static values, under the dynamic ones of the cluster, under the dynamic ones of
/// this broker. Immutable: everything is parsed and checked once, when it is made, so that properties cost a field read.
/// A dynamic change makes another instance through <see cref="WithDynamic"/>; readers hold the latest one.
/// </summary>
public sealed partial class BrokerConfig
{
    private const string NoControllerListener =
        "this node is its own controller and needs no connection to it. Tools with --bootstrap-controller, and other nodes, cannot connect.";

    private static readonly FrozenDictionary<string, string> s_none = FrozenDictionary<string, string>.Empty;

    private readonly FrozenDictionary<string, ConfigValue> _values;

    private BrokerConfig(
        FrozenDictionary<string, string> staticValues,
        FrozenDictionary<string, string> clusterDefaults,
        FrozenDictionary<string, string> perBroker,
        List<string> warnings)
    {
        StaticValues = staticValues;
        DynamicClusterDefaults = clusterDefaults;
        DynamicPerBroker = perBroker;
        Warnings = warnings;
        _values = ParseAll();
        ReadNetwork();
        ReadLog();
        ReadReplication();
        ReadGroups();
        ReadTransactions();
        ReadIdentity();
        BrokerConfigRules.Check(this, warnings);
        TopicDefaults = TopicConfig.Create(this, s_none);
    }

    /// <summary>What an operator should know and that does not stop the node: unknown names, names without an effect yet.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>
    /// The cluster that directories are formatted for by a node that formats them itself, from the variable CLUSTER_ID as in Kafka's
    /// container images; null for a new one.
    /// </summary>
    public string? ClusterId { get; private set; }

    /// <summary>The static values as they were given, before parsing.</summary>
    public IReadOnlyDictionary<string, string> StaticValues { get; }

    /// <summary>The dynamic values of the whole cluster that are in force.</summary>
    public IReadOnlyDictionary<string, string> DynamicClusterDefaults { get; }

    /// <summary>The dynamic values of this broker that are in force.</summary>
    public IReadOnlyDictionary<string, string> DynamicPerBroker { get; }

    /// <summary>
    /// Makes the configuration of a node: <paramref name="overrides"/> before <paramref name="environment"/> (the process's
    /// environment, of which KAFKA_* counts) before <paramref name="file"/> before the defaults.
    /// </summary>
    /// <exception cref="ConfigException">A value is not allowed, is missing, or contradicts another one.</exception>
    public static BrokerConfig Load(
        IEnumerable<KeyValuePair<string, string>> file,
        IEnumerable<KeyValuePair<string, string>>? environment = null,
        IEnumerable<KeyValuePair<string, string>>? overrides = null)
    {
        var merged = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in file)
            merged[name] = value;
        foreach (var (name, value) in KafkaEnvironment.ToConfigs(environment ?? []))
            merged[name] = value;
        foreach (var (name, value) in overrides ?? [])
            merged[name] = value;
        return FromStatic(merged);
    }

    /// <summary>Makes the configuration of a node started without a file: <see cref="DevModeDefaults"/> below everything else.</summary>
    /// <exception cref="ConfigException">A value is not allowed, is missing, or contradicts another one.</exception>
    public static BrokerConfig LoadDevMode(
        IEnumerable<KeyValuePair<string, string>>? environment = null,
        IEnumerable<KeyValuePair<string, string>>? overrides = null)
    {
        var variables = environment?.ToList() ?? [];
        var given = new Dictionary<string, string>(KafkaEnvironment.ToConfigs(variables), StringComparer.Ordinal);
        foreach (var (name, value) in overrides ?? [])
            given[name] = value;
        var config = FromStatic(DevModeDefaults.Complete(given), given);
        config.ClusterId = variables.LastOrDefault(variable => variable.Key == KafkaEnvironment.ClusterId).Value is { Length: > 0 } clusterId ? clusterId : null;
        return config;
    }

    /// <summary>The effective value of a broker config.</summary>
    /// <exception cref="KeyNotFoundException">There is no such config.</exception>
    public ConfigValue Get(string name) => _values[name];

    /// <summary>The effective value of a config on one listener: <c>listener.name.{listener}.{name}</c>, or else the general one.</summary>
    /// <exception cref="KeyNotFoundException">There is no such config.</exception>
    public ConfigValue Get(string listener, string name)
    {
        var definition = ConfigRegistry.Broker[name];
        return Original(ListenerOverride.Key(listener, name)) is { } text ? definition.Parse(text) : _values[name];
    }

    /// <summary>The text a name was given, known or not, by the strongest source that has it; null when none has.</summary>
    public string? Original(string name) =>
        DynamicPerBroker.TryGetValue(name, out var value) || DynamicClusterDefaults.TryGetValue(name, out value)
            || StaticValues.TryGetValue(name, out value) ? value : null;

    /// <summary>True when a name was given by any source.</summary>
    public bool IsSet(string name) => Original(name) is not null;

    /// <summary>Every name given by any source, known or not.</summary>
    public IEnumerable<string> OriginalNames =>
        DynamicPerBroker.Keys.Concat(DynamicClusterDefaults.Keys).Concat(StaticValues.Keys).Distinct(StringComparer.Ordinal);

    /// <summary>The value a synonym chain gives: the first one that is set, in the unit of the first, or null.</summary>
    internal string? FirstOf(IReadOnlyList<ConfigSynonymRule> chain)
    {
        foreach (var rule in chain)
        {
            var value = _values[rule.Name];
            if (!value.IsNull)
                return rule.Convert(value);
        }

        return null;
    }

    /// <param name="values">The static values.</param>
    /// <param name="given">Those that somebody chose, and is to be warned of; null for all.</param>
    private static BrokerConfig FromStatic(Dictionary<string, string> values, Dictionary<string, string>? given = null)
    {
        // The two names of one thing: whichever is given stands for both.
        if (values.TryGetValue("node.id", out var nodeId))
            values.TryAdd("broker.id", nodeId);
        else if (values.TryGetValue("broker.id", out var brokerId))
            values["node.id"] = brokerId;
        var warnings = new List<string>();
        foreach (var (name, value) in values.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            StaticConfigNames.Check(values, name, value, given is null || given.ContainsKey(name) ? warnings : []);
        var config = new BrokerConfig(values.ToFrozenDictionary(StringComparer.Ordinal), s_none, s_none, warnings);
        var listeners = given is null ? values.GetValueOrDefault("listeners") : given.GetValueOrDefault("listeners");
        if (config.IsCombined && listeners is not null)
            warnings.AddRange(config.ControllerListeners.Where(IsAskedFor).Select(listener => $"listeners: {listener} is not opened: {NoControllerListener}"));
        return config;

        bool IsAskedFor(Listener listener) => JavaText.SplitList(JavaText.Trim(listeners)).Any(entry => ListenerParser.NameOf(entry) == listener.Name);
    }

    private FrozenDictionary<string, ConfigValue> ParseAll()
    {
        var parsed = new Dictionary<string, ConfigValue>(StringComparer.Ordinal);
        foreach (var definition in ConfigRegistry.Broker.All)
            parsed[definition.Name] = Effective(definition);
        return parsed.ToFrozenDictionary(StringComparer.Ordinal);
    }

    private ConfigValue Effective(ConfigDefinition definition)
    {
        var isStatic = definition.UpdateMode != ConfigUpdateMode.DynamicOnly;
        if (DynamicPerBroker.TryGetValue(definition.Name, out var text) || DynamicClusterDefaults.TryGetValue(definition.Name, out text)
            || (isStatic && StaticValues.TryGetValue(definition.Name, out text)))
            return definition.Parse(text);
        if (definition.IsRequired)
            throw new ConfigException($"Missing required configuration \"{definition.Name}\" which has no default value.");
        return definition.Default;
    }

    private bool Boolean(string name) => _values[name].AsBoolean;

    private int Int(string name) => _values[name].AsInt;

    private short Short(string name) => _values[name].AsShort;

    private long Long(string name) => _values[name].AsLong;

    private double Double(string name) => _values[name].AsDouble;

    private string? Text(string name) => _values[name].AsString;

    private IReadOnlyList<string> List(string name) => _values[name].AsList;
}
