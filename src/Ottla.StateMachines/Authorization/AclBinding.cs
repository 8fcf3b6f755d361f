using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Authorization;

/// <summary>An access control entry without its id: two entries with the same content are one.</summary>
/// <param name="ResourceType">The kind of resource.</param>
/// <param name="ResourceName">The name, or what names begin with.</param>
/// <param name="PatternType">Whether it is a name (3) or a prefix (4).</param>
/// <param name="Principal">Who: <c>User:name</c>, or <c>User:*</c> for everybody.</param>
/// <param name="Host">From where: an address, a network, or <c>*</c>.</param>
/// <param name="Operation">The operation.</param>
/// <param name="PermissionType">Whether it is denied (2) or allowed (3).</param>
public readonly record struct AclBinding(
    sbyte ResourceType, string ResourceName, sbyte PatternType, string Principal, string Host, sbyte Operation, sbyte PermissionType)
{
    /// <summary>The code of any value, in a filter.</summary>
    public const sbyte Any = 1;

    /// <summary>The pattern type of a filter for all patterns that a name matches.</summary>
    public const sbyte Match = 2;

    /// <summary>The pattern type of a name.</summary>
    public const sbyte Literal = 3;

    /// <summary>The pattern type of a prefix.</summary>
    public const sbyte Prefixed = 4;

    /// <summary>The permission type that denies.</summary>
    public const sbyte Deny = 2;

    /// <summary>The permission type that allows.</summary>
    public const sbyte Allow = 3;

    /// <summary>The only name of the cluster as a resource.</summary>
    public const string ClusterName = "kafka-cluster";

    /// <summary>The name of all resources of a kind.</summary>
    public const string Wildcard = "*";

    /// <summary>The content of an entry.</summary>
    public static AclBinding Of(AclEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return new(
            entry.ResourceType, entry.ResourceName, entry.PatternType, entry.Principal, entry.Host, entry.Operation, entry.PermissionType);
    }
}

/// <summary>Selects access control entries.</summary>
/// <param name="ResourceType">The kind of resource, or any.</param>
/// <param name="ResourceName">The name; null for all.</param>
/// <param name="PatternType">A pattern type, any, or all patterns that the name matches.</param>
/// <param name="Principal">The principal; null for all.</param>
/// <param name="Host">The host; null for all.</param>
/// <param name="Operation">The operation, or any.</param>
/// <param name="PermissionType">The permission type, or any.</param>
public readonly record struct AclFilter(
    sbyte ResourceType, string? ResourceName, sbyte PatternType, string? Principal, string? Host, sbyte Operation, sbyte PermissionType)
{
    /// <summary>Whether it selects an entry.</summary>
    public bool Matches(AclEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return (ResourceType == AclBinding.Any || ResourceType == entry.ResourceType)
            && MatchesPattern(entry)
            && (Principal is null || Principal == entry.Principal)
            && (Host is null || Host == entry.Host)
            && (Operation == AclBinding.Any || Operation == entry.Operation)
            && (PermissionType == AclBinding.Any || PermissionType == entry.PermissionType);
    }

    private bool MatchesPattern(AclEntry entry)
    {
        if (PatternType is not (AclBinding.Any or AclBinding.Match) && PatternType != entry.PatternType)
            return false;
        if (ResourceName is null)
            return true;
        if (PatternType != AclBinding.Match)
            return ResourceName == entry.ResourceName;
        return entry.PatternType == AclBinding.Prefixed
            ? ResourceName.StartsWith(entry.ResourceName, StringComparison.Ordinal)
            : entry.ResourceName == ResourceName || entry.ResourceName == AclBinding.Wildcard;
    }
}
