using System.Collections.Frozen;

namespace Ottla.Configuration;

/// <summary>
/// The effective configuration of one node: static values, overridden by the dynamic values of the cluster, overridden by those of this
/// broker. Immutable: all values are parsed and checked once, so that a property costs one field read. A dynamic change makes a new
/// instance with <see cref="WithDynamic"/>; readers use the newest one.
/// </summary>
public sealed partial class BrokerConfig
{
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
        ReadMonitoring();
        ReadLog();
        ReadReplication();
        ReadGroups();
        ReadTransactions();
        ReadIdentity();
        BrokerConfigRules.Check(this, warnings);
        TopicDefaults = TopicConfig.Create(this, s_none);
    }

    /// <summary>Problems that do not stop the node, for the operator: unknown names and unsupported configs.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>
    /// The cluster id that a node uses when it formats its own directories, from the variable CLUSTER_ID as in Kafka's container images;
    /// null for a new id.
    /// </summary>
    public string? ClusterId { get; private set; }

    /// <summary>The static values as given, unparsed.</summary>
    public IReadOnlyDictionary<string, string> StaticValues { get; }

    /// <summary>The active dynamic values of the whole cluster.</summary>
    public IReadOnlyDictionary<string, string> DynamicClusterDefaults { get; }

    /// <summary>The active dynamic values of this broker.</summary>
    public IReadOnlyDictionary<string, string> DynamicPerBroker { get; }

    /// <summary>
    /// Makes the configuration of a node. In order of precedence: <paramref name="overrides"/>, <paramref name="environment"/> (variables
    /// KAFKA_* of the process), <paramref name="file"/>, defaults.
    /// </summary>
    /// <exception cref="ConfigException">A value is invalid or missing, or contradicts another one.</exception>
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

    /// <summary>Makes the configuration of a node without a file: <see cref="DevModeDefaults"/> have the lowest precedence.</summary>
    /// <exception cref="ConfigException">A value is invalid or missing, or contradicts another one.</exception>
    public static BrokerConfig LoadDevMode(
        IEnumerable<KeyValuePair<string, string>>? environment = null,
        IEnumerable<KeyValuePair<string, string>>? overrides = null)
    {
        var variables = environment?.ToList() ?? [];
        return Complete(KafkaEnvironment.ToConfigs(variables), overrides).For(variables);
    }

    /// <summary>
    /// Makes the configuration of a node in a container, from the same sources as Apache Kafka's image. In order of precedence:
    /// <paramref name="overrides"/>, <paramref name="environment"/>, <paramref name="mounted"/>, <see cref="ContainerDefaults"/>, defaults.
    /// </summary>
    /// <param name="mounted">The properties that were mounted; null when none were: then it is as without a file.</param>
    /// <param name="environment">The variables of the process.</param>
    /// <param name="overrides">Those of the command line.</param>
    /// <exception cref="ConfigException">A value is invalid or missing, or contradicts another one.</exception>
    public static BrokerConfig LoadInContainer(
        IEnumerable<KeyValuePair<string, string>>? mounted,
        IEnumerable<KeyValuePair<string, string>>? environment = null,
        IEnumerable<KeyValuePair<string, string>>? overrides = null)
    {
        var variables = environment?.ToList() ?? [];
        var config = mounted is null
            ? Complete(ContainerDefaults.WithoutFile.Concat(KafkaEnvironment.ToConfigs(variables)), overrides)
            : Load(ContainerDefaults.Always.Concat(mounted), variables, overrides);
        return config.For(variables);
    }

    /// <summary>The effective value of a broker config.</summary>
    /// <exception cref="KeyNotFoundException">The config does not exist.</exception>
    public ConfigValue Get(string name) => _values[name];

    /// <summary>
    /// The effective value of a config for one listener: <c>listener.name.{listener}.{name}</c>, or else the general one.
    /// </summary>
    /// <exception cref="KeyNotFoundException">The config does not exist.</exception>
    public ConfigValue Get(string listener, string name)
    {
        var definition = ConfigRegistry.Broker[name];
        return Original(ListenerOverride.Key(listener, name)) is { } text ? definition.Parse(text) : _values[name];
    }

    /// <summary>The text of a config, known or not, from the source with the highest precedence; null when it is not set.</summary>
    public string? Original(string name) =>
        DynamicPerBroker.TryGetValue(name, out var value) || DynamicClusterDefaults.TryGetValue(name, out value)
            || StaticValues.TryGetValue(name, out value) ? value : null;

    /// <summary>Whether a source sets the config.</summary>
    public bool IsSet(string name) => Original(name) is not null;

    /// <summary>Every name that a source sets, known or not.</summary>
    public IEnumerable<string> OriginalNames =>
        DynamicPerBroker.Keys.Concat(DynamicClusterDefaults.Keys).Concat(StaticValues.Keys).Distinct(StringComparer.Ordinal);

    /// <summary>Makes a configuration of configs that <see cref="DevModeDefaults"/> complete.</summary>
    private static BrokerConfig Complete(
        IEnumerable<KeyValuePair<string, string>> configs, IEnumerable<KeyValuePair<string, string>>? overrides)
    {
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in configs.Concat(overrides ?? []))
            given[name] = value;
        return FromStatic(DevModeDefaults.Complete(given), given);
    }

    /// <summary>The configuration with the id of the cluster that the environment names.</summary>
    private BrokerConfig For(List<KeyValuePair<string, string>> environment)
    {
        ClusterId = environment.LastOrDefault(
            variable => variable.Key == KafkaEnvironment.ClusterId).Value is { Length: > 0 } clusterId ? clusterId : null;
        return this;
    }

    /// <summary>
    /// The value of a chain of synonyms: the first one that is set, converted to the unit of the first; null when none is set.
    /// </summary>
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
    /// <param name="given">The values that an operator set, for warnings; null for all.</param>
    private static BrokerConfig FromStatic(Dictionary<string, string> values, Dictionary<string, string>? given = null)
    {
        // Two names of one config: the one that is set counts for both.
        if (values.TryGetValue("node.id", out var nodeId))
            values.TryAdd("broker.id", nodeId);
        else if (values.TryGetValue("broker.id", out var brokerId))
            values["node.id"] = brokerId;
        var warnings = new List<string>();
        foreach (var (name, value) in values.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            StaticConfigNames.Check(values, name, value, given is null || given.ContainsKey(name) ? warnings : []);
        return new BrokerConfig(values.ToFrozenDictionary(StringComparer.Ordinal), s_none, s_none, warnings);
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
