using Ottla.Protocol;

namespace Ottla.StateMachines.Authorization;

/// <summary>What one principal may do from one address, by the entries of one moment. Immutable; asking allocates nothing.</summary>
public sealed class PrincipalAccess
{
    /// <summary>A name that stands for all names in <see cref="AllowsOnAny"/>, the same as in Kafka.</summary>
    private const string AnyName = "hardcode";

    private readonly AclIndex.TypeTables? _own;
    private readonly AclIndex.TypeTables? _everyone;
    private readonly AclIndex.TypeTables? _all;
    private readonly ClientHost _host;

    internal PrincipalAccess(AuthorizerSettings settings, AclIndex? index, string principal, ClientHost host)
    {
        Index = index;
        _host = host;
        IsSuperUser = settings.SuperUsers.Contains(principal);
        if (IsSuperUser || index is null)
            return;
        _own = index.Of(principal);
        _everyone = principal == AclIndex.Everyone ? null : index.Of(AclIndex.Everyone);
        _all = settings.AllowsEveryoneIfNoAclFound ? index.All : null;
    }

    /// <summary>The entries that it rests on; null while they are not loaded, when only super users may do anything.</summary>
    public AclIndex? Index { get; }

    /// <summary>Whether the principal may do everything.</summary>
    public bool IsSuperUser { get; }

    /// <summary>Whether the principal may do an operation on a resource.</summary>
    public bool Allows(AclOperation operation, ResourceType type, string name) =>
        (Operations(type, name) & OperationMasks.BitOf(operation)) != 0;

    /// <summary>All operations that the principal may do on a resource, a bit for each.</summary>
    public int Operations(ResourceType type, string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (IsSuperUser)
            return -1;
        var masks = new OperationMasks();
        _own?[type]?.AddTo(ref masks, name, _host);
        _everyone?[type]?.AddTo(ref masks, name, _host);
        if (_all is not null && masks is { Allowed: 0, Denied: 0 } && _all[type]?.IsAbout(name) != true)
            return -1;
        return masks.Effective;
    }

    /// <summary>
    /// Whether the principal may do an operation on some resource of a kind, which need not exist. An entry that allows it counts unless
    /// another one denies it for all that the first is about.
    /// </summary>
    public bool AllowsOnAny(AclOperation operation, ResourceType type)
    {
        if (Allows(operation, type, AnyName))
            return true;
        var bit = OperationMasks.BitOf(operation);
        var ofAll = new OperationMasks();
        _own?[type]?.AddOfAll(ref ofAll, _host);
        _everyone?[type]?.AddOfAll(ref ofAll, _host);
        if ((ofAll.Denied & bit) != 0)
            return false;
        return (ofAll.Allowed & bit) != 0 || AllowsSome(_own?[type], bit, type) || AllowsSome(_everyone?[type], bit, type);
    }

    private bool AllowsSome(ResourceRules? rules, int bit, ResourceType type)
    {
        if (rules is null)
            return false;
        foreach (var name in rules.Names)
        {
            // Entries for prefixes above the name are among what is added, so an allowed one is as good as the name's own.
            var masks = new OperationMasks();
            _own?[type]?.AddTo(ref masks, name, _host);
            _everyone?[type]?.AddTo(ref masks, name, _host);
            if ((masks.Effective & bit) != 0)
                return true;
        }

        foreach (var prefix in rules.Prefixes)
        {
            var masks = new OperationMasks();
            _own?[type]?.AddOfPrefixes(ref masks, prefix, _host);
            _everyone?[type]?.AddOfPrefixes(ref masks, prefix, _host);
            if ((masks.Effective & bit) != 0)
                return true;
        }

        return false;
    }
}
