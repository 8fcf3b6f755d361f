namespace Ottla.Cli.Framework;

/// <summary>Which properties are secrets, by their names.</summary>
internal static class Secrets
{
    /// <summary>What stands for a secret where it is not shown.</summary>
    public const string Hidden = "[hidden]";

    private static readonly string[] Marks =
        ["password", "secret", "jaas.config", "private.key", "keystore.key", "credential", "token", "passphrase", "hmac",
            "sasl.oauthbearer.assertion"];

    /// <summary>Whether the value of a property must not be shown. Names that are not known count when they sound like it.</summary>
    public static bool IsSecret(string name) =>
        Array.Exists(Marks, mark => name.Replace('_', '.').Contains(mark, StringComparison.OrdinalIgnoreCase));

    /// <summary>The value of a property, or what stands for it.</summary>
    public static string Show(string name, string value) => IsSecret(name) ? Hidden : value;
}
