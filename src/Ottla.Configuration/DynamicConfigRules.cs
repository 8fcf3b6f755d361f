using System.Collections.Frozen;
using System.Globalization;

namespace Ottla.Configuration;

/// <summary>The rules for dynamic changes of each kind of resource. Pure; brokers and the controller use it.</summary>
public static class DynamicConfigRules
{
    /// <summary>The longest value that can be stored, in UTF-16 characters.</summary>
    public const int ValueLengthMax = short.MaxValue;

    private const string MetricReporters = "metric.reporters";

    private static readonly FrozenSet<string> s_perListenerOnly = FrozenSet.ToFrozenSet(
        [
            "ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.key.password", "ssl.keystore.key",
            "ssl.keystore.certificate.chain", "ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.password",
            "ssl.truststore.certificates",
        ],
        StringComparer.Ordinal);

    private static readonly FrozenSet<string> s_clusterWideListenerConfigs = FrozenSet.ToFrozenSet(
        ["max.connections", "max.connection.creation.rate", "num.network.threads"], StringComparer.Ordinal);

    /// <summary>Applies one operation of IncrementalAlterConfigs to one config.</summary>
    /// <param name="resourceType">The kind of resource.</param>
    /// <param name="resourceName">The name of a topic, group or subscription, a broker id, or "" for all brokers.</param>
    /// <param name="key">The config.</param>
    /// <param name="operation">The operation.</param>
    /// <param name="value">The operand; unused for a deletion.</param>
    /// <param name="existing">The values that are set on the resource now.</param>
    /// <returns>The value to store; null to remove the config.</returns>
    /// <exception cref="ConfigException">The change is invalid; its kind determines the protocol error.</exception>
    public static string? ValidateAlteration(
        ConfigResourceType resourceType,
        string resourceName,
        string key,
        AlterConfigOperation operation,
        string? value,
        IReadOnlyDictionary<string, string> existing)
    {
        ValidateResourceName(resourceType, resourceName);
        if (operation == AlterConfigOperation.Delete)
            return null;
        if (value is null)
            throw new ConfigException($"Null value not supported for : {key}", ConfigErrorKind.InvalidRequest);
        var result = operation switch
        {
            AlterConfigOperation.Set => value,
            AlterConfigOperation.Append => Combine(resourceType, key, operation, value, existing),
            AlterConfigOperation.Subtract => Combine(resourceType, key, operation, value, existing),
            _ => throw new ConfigException($"Unknown operations type {(int)operation}", ConfigErrorKind.InvalidRequest),
        };
        if (result.Length > ValueLengthMax)
        {
            throw new ConfigException(
                $"The configuration value cannot be added because it exceeds the maximum value size of {ValueLengthMax} bytes.");
        }

        ValidateValue(resourceType, resourceName, key, result);
        return result;
    }

    /// <summary>Rejects combinations of values on a resource, after each value was checked.</summary>
    /// <param name="resourceType">The kind of resource.</param>
    /// <param name="resourceName">Its name.</param>
    /// <param name="updated">All values after the change.</param>
    /// <param name="existing">All values before the change.</param>
    /// <param name="broker">The configuration of this node, for defaults and bounds.</param>
    /// <exception cref="ConfigException">The combination is invalid; its kind determines the protocol error.</exception>
    public static void ValidateResource(
        ConfigResourceType resourceType,
        string resourceName,
        IReadOnlyDictionary<string, string> updated,
        IReadOnlyDictionary<string, string> existing,
        BrokerConfig broker)
    {
        ValidateResourceName(resourceType, resourceName);
        switch (resourceType)
        {
            case ConfigResourceType.Topic:
                TopicConfig.Validate(updated, broker, existing);
                break;
            case ConfigResourceType.Group:
                GroupConfigRules.Validate(updated, broker);
                break;
            default:
                foreach (var (name, value) in updated)
                    ValidateValue(resourceType, resourceName, name, value);
                break;
        }
    }

    /// <summary>Rejects an invalid resource name.</summary>
    /// <exception cref="ConfigException">The name is invalid; the kind is INVALID_REQUEST.</exception>
    public static void ValidateResourceName(ConfigResourceType resourceType, string resourceName)
    {
        var reason = resourceType switch
        {
            ConfigResourceType.Topic when resourceName.Length == 0 => "Default topic resources are not allowed.",
            ConfigResourceType.Group when resourceName.Length == 0 => "Default group resources are not allowed.",
            ConfigResourceType.ClientMetrics when resourceName.Length == 0 => "Subscription name can't be empty",
            ConfigResourceType.Broker when resourceName.Length > 0 => BrokerNameError(resourceName),
            ConfigResourceType.Topic or ConfigResourceType.Group or ConfigResourceType.ClientMetrics or ConfigResourceType.Broker => null,
            _ => $"Unknown resource type {resourceType}",
        };
        if (reason is not null)
            throw new ConfigException(reason, ConfigErrorKind.InvalidRequest);
    }

    /// <summary>
    /// Rejects a dynamic broker value: names that can only be set statically, names that need a listener or a broker id, and invalid
    /// values.
    /// </summary>
    internal static void CheckBrokerValue(string key, string value, bool perBroker)
    {
        var isListenerKey = ListenerOverride.TryParse(key, out _, out var baseName);
        var definition = Definition(key);
        if (!isListenerKey && definition is { UpdateMode: ConfigUpdateMode.ReadOnly })
            throw BrokerRefused($"Cannot update these configs dynamically: [{key}]");
        // Who may change configs must not make this node ask any URL, or take tokens of another issuer (CVE-2025-27817).
        if (isListenerKey && definition?.Name.StartsWith("sasl.oauthbearer.", StringComparison.Ordinal) == true)
            throw BrokerRefused($"Cannot update these configs dynamically: [{key}]");
        if (!isListenerKey && s_perListenerOnly.Contains(key))
            throw BrokerRefused($"These security configs can be dynamically updated only per-listener using the listener prefix: [{key}]");
        var needsBroker = isListenerKey
            ? !s_clusterWideListenerConfigs.Contains(baseName)
            : definition is { UpdateMode: ConfigUpdateMode.PerBroker };
        try
        {
            // Unknown names are accepted, because they may belong to a plug-in.
            if (definition is not null)
            {
                StaticConfigNames.Parse(definition, key, value);
                CheckClass(definition, key, value);
                if (definition.Name == "sasl.jaas.config") // also where no listener looks at it (CVE-2025-27819)
                    Security.JaasLogin.Parse(key, value, mechanism: null);
            }
        }
        catch (ConfigException e)
        {
            throw BrokerRefused(e.Message);
        }

        if (needsBroker && !perBroker)
            throw BrokerRefused($"Cannot update these configs at default cluster level, broker id must be specified: [{key}]");
    }

    /// <summary>The broker config that a key sets, for one listener or all; null when the key is unknown.</summary>
    internal static ConfigDefinition? Definition(string key) =>
        ListenerOverride.TryParse(key, out _, out var baseName) ? ListenerOverride.Definition(baseName) : ConfigRegistry.Broker.Find(key);

    /// <summary>Rejects all classes but the default, because Ottla cannot load Java classes.</summary>
    private static void CheckClass(ConfigDefinition definition, string key, string value)
    {
        IReadOnlyList<string> classes = definition.Type == ConfigType.Class ? [JavaText.Trim(value)]
            : definition.Name == MetricReporters ? definition.Parse(value).AsList
            : [];
        var known = definition.DefaultText?.Split(',') ?? [];
        if (classes.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
            throw new ConfigException(key, unknown, $"Class {unknown} could not be found.");
    }

    private static void ValidateValue(ConfigResourceType resourceType, string resourceName, string key, string value)
    {
        if (resourceType == ConfigResourceType.Broker)
        {
            CheckBrokerValue(key, value, perBroker: resourceName.Length > 0);
            return;
        }

        if (ConfigRegistry.For(resourceType).Find(key) is { } definition)
        {
            Parse(resourceType, definition, value);
            return;
        }

        throw resourceType switch
        {
            ConfigResourceType.Topic => new ConfigException($"Unknown topic config name: {key}"),
            ConfigResourceType.Group => new ConfigException($"Unknown group config name: {key}"),
            _ => new ConfigException($"Unknown client metrics configuration: {key}", ConfigErrorKind.InvalidRequest),
        };
    }

    private static void Parse(ConfigResourceType resourceType, ConfigDefinition definition, string value)
    {
        try
        {
            definition.Parse(value);
        }
        catch (ConfigException) when (resourceType == ConfigResourceType.ClientMetrics
            && int.TryParse(value, CultureInfo.InvariantCulture, out _))
        {
            throw new ConfigException(
                $"Invalid value {value} for {definition.Name}, interval must be between 100 and 3600000 (1 hour)",
                    ConfigErrorKind.InvalidRequest);
        }
    }

    private static string Combine(
        ConfigResourceType resourceType, string key, AlterConfigOperation operation, string value,
            IReadOnlyDictionary<string, string> existing)
    {
        var definition = resourceType == ConfigResourceType.Broker ? Definition(key) : ConfigRegistry.For(resourceType).Find(key);
        if (definition?.Type != ConfigType.List)
        {
            throw new ConfigException(
                resourceType != ConfigResourceType.Broker
                    ? $"Can't {operation.ToString().ToUpperInvariant()} to key {key} because its type is not LIST."
                : definition is null ? $"Unknown config name: {key}"
                : $"Config value {operation.ToString().ToLowerInvariant()} is not allowed for config key: {key}");
        }

        var old = existing.TryGetValue(key, out var set) ? set : definition.DefaultText ?? "";
        var items = old.Split(',', StringSplitOptions.RemoveEmptyEntries).ToList();
        foreach (var item in value.Split(','))
        {
            if (operation == AlterConfigOperation.Subtract)
                items.Remove(item);
            else if (!items.Contains(item))
                items.Add(item);
        }

        return string.Join(',', items);
    }

    private static string? BrokerNameError(string name)
    {
        if (!int.TryParse(name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id))
            return "Unable to parse broker name as a base 10 number.";
        return id < 0 ? "Invalid negative broker ID." : null;
    }

    private static ConfigException BrokerRefused(string message) => new(message, ConfigErrorKind.InvalidRequest);
}
