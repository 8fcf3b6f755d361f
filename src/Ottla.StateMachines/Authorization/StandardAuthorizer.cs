using System.Collections.Frozen;
using Ottla.Configuration;

namespace Ottla.StateMachines.Authorization;

/// <summary>How an authorizer is configured. Immutable.</summary>
/// <param name="SuperUsers">The principals that may do everything, also while the entries are not loaded.</param>
/// <param name="AllowsEveryoneIfNoAclFound">Whether everybody may use a resource that no entry is about.</param>
public sealed record AuthorizerSettings(IReadOnlySet<string> SuperUsers, bool AllowsEveryoneIfNoAclFound)
{
    /// <summary>Kafka's name of the authorizer that there is.</summary>
    public const string KafkaClass = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";

    private const string SuperUsersConfig = "super.users";
    private const string AllowEveryoneConfig = "allow.everyone.if.no.acl.found";

    /// <summary>The authorizer of a node; null when it has none.</summary>
    /// <exception cref="ConfigException">A config names another authorizer, or its value is invalid.</exception>
    public static AuthorizerSettings? From(BrokerConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (config.AuthorizerClassName.Length == 0)
            return null;
        if (config.AuthorizerClassName != KafkaClass)
        {
            throw new ConfigException(
                $"authorizer.class.name: this version has no class {config.AuthorizerClassName}. Name {KafkaClass}, or remove it to run "
                    + "without an authorizer.");
        }

        return new AuthorizerSettings(SuperUsersOf(config), AllowsEveryone(config));
    }

    private static FrozenSet<string> SuperUsersOf(BrokerConfig config)
    {
        // Not commas: the names of certificates have them.
        var users = (config.Original(SuperUsersConfig) ?? "")
            .Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (var user in users)
        {
            if (!user.Contains(':', StringComparison.Ordinal))
            {
                throw new ConfigException(
                    $"{SuperUsersConfig}: '{user}' is no principal. Write its type before the name, as in User:{user}, and separate "
                        + "several by semicolons.");
            }
        }

        return users.ToFrozenSet(StringComparer.Ordinal);
    }

    private static bool AllowsEveryone(BrokerConfig config) => config.Original(AllowEveryoneConfig)?.Trim() switch
    {
        null => false,
        var text when text.Equals("true", StringComparison.OrdinalIgnoreCase) => true,
        var text when text.Equals("false", StringComparison.OrdinalIgnoreCase) => false,
        var text => throw new ConfigException($"{AllowEveryoneConfig}: '{text}' is neither true nor false."),
    };
}

/// <summary>
/// Decides by access control entries who may do what, as Kafka's StandardAuthorizer: an entry that denies beats all that allow.
/// </summary>
/// <remarks>
/// Lives as long as the node. One thread sets the entries; any thread asks, without a lock. Who asks often keeps the
/// <see cref="PrincipalAccess"/> for as long as <see cref="IsCurrent"/> says so.
/// </remarks>
public sealed class StandardAuthorizer(AuthorizerSettings settings)
{
    private volatile AclIndex? _index;

    /// <summary>The entries in force; null while they are not loaded.</summary>
    public AclIndex? Index => _index;

    /// <summary>Takes over entries.</summary>
    public void Set(AclIndex index) => _index = index;

    /// <summary>What a principal may do from an address.</summary>
    public PrincipalAccess AccessOf(string principal, ClientHost host) => new(settings, _index, principal, host);

    /// <summary>Whether the entries are still those that an answer rests on.</summary>
    public bool IsCurrent(PrincipalAccess access)
    {
        ArgumentNullException.ThrowIfNull(access);
        return ReferenceEquals(access.Index, _index);
    }
}
