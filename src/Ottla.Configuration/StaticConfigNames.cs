namespace Ottla.Configuration;

/// <summary>Warnings and errors about the names in a static configuration: invalid, unknown or unsupported.</summary>
internal static class StaticConfigNames
{
    /// <summary>Names that Kafka reads without a definition, and prefixes of plug-in configs.</summary>
    private static readonly string[] s_otherNames = ["super.users", "allow.everyone.if.no.acl.found"];

    private static readonly string[] s_pluginPrefixes = ["config.providers.", "metrics.context.", "remote.log.metadata."];

    public static void Check(Dictionary<string, string> all, string name, string value, List<string> warnings)
    {
        if (ConfigRegistry.Broker.Find(name) is { } definition)
        {
            CheckKnown(definition, value, warnings);
            return;
        }

        if (ListenerOverride.TryParse(name, out _, out var baseName))
        {
            if (ListenerOverride.Definition(baseName) is { } overridden)
                Parse(overridden, name, value);
            else
                warnings.Add($"Unknown configuration '{name}' is ignored.");
            return;
        }

        if (!s_otherNames.Contains(name, StringComparer.Ordinal) && !IsForPlugin(all, name))
            warnings.Add($"Unknown configuration '{name}' is ignored.");
    }

    /// <summary>Parses a listener's value of a config. Errors name the listener's key.</summary>
    internal static void Parse(ConfigDefinition definition, string name, string? value)
    {
        try
        {
            definition.Parse(value);
        }
        catch (ConfigException e) when (e.Message.Contains(definition.Name, StringComparison.Ordinal))
        {
            throw new ConfigException(e.Message
                .Replace($"configuration {definition.Name}", $"configuration {name}", StringComparison.Ordinal)
                .Replace($"'{definition.Name}'", $"'{name}'", StringComparison.Ordinal));
        }
    }

    private static void CheckKnown(ConfigDefinition definition, string value, List<string> warnings)
    {
        if (definition.UpdateMode == ConfigUpdateMode.DynamicOnly)
        {
            warnings.Add(
                $"Configuration '{definition.Name}' can only be set dynamically. Its value in the static configuration is ignored.");
            return;
        }

        var parsed = definition.Parse(value);
        if (!definition.HasEffect && parsed.ToRawText() != definition.Default.ToRawText())
            warnings.Add($"Configuration '{definition.Name}' is not supported yet. Its value '{parsed.ToText()}' is ignored.");
    }

    private static bool IsForPlugin(Dictionary<string, string> all, string name)
    {
        foreach (var prefix in s_pluginPrefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
                return true;
        }

        foreach (var prefixConfig in (
            ReadOnlySpan<string>)["remote.log.storage.manager.impl.prefix", "remote.log.metadata.manager.impl.prefix"])
        {
            var prefix = all.GetValueOrDefault(prefixConfig) ?? ConfigRegistry.Broker[prefixConfig].DefaultText!;
            if (name.StartsWith(prefix, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}
