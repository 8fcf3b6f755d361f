namespace Ottla.Configuration;

/// <summary>Keys of the form <c>listener.name.{listener}.{config}</c>, which set a config of one listener.</summary>
internal static class ListenerOverride
{
    public const string Prefix = "listener.name.";

    /// <summary>Splits such a key. The base name may still begin with a SASL mechanism.</summary>
    public static bool TryParse(string key, out string listener, out string baseName)
    {
        listener = baseName = "";
        if (!key.StartsWith(Prefix, StringComparison.Ordinal))
            return false;
        var dot = key.IndexOf('.', Prefix.Length);
        if (dot < 0)
            return false;
        listener = key[Prefix.Length..dot];
        baseName = key[(dot + 1)..];
        return true;
    }

    /// <summary>The config that such a key overrides; null when the base name is unknown.</summary>
    public static ConfigDefinition? Definition(string baseName) =>
        ConfigRegistry.Broker.Find(baseName)
        ?? (ConfigSynonyms.MechanismConfig(baseName) is { } config ? ConfigRegistry.Broker.Find(config) : null);

    /// <summary>The key that sets a config of one listener.</summary>
    public static string Key(string listener, string name) => $"{Prefix}{listener.ToLowerInvariant()}.{name}";
}
