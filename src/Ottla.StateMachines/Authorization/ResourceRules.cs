using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Authorization;

/// <summary>What the entries for one resource pattern say, of one principal or of all. Not changed once it is in use.</summary>
internal sealed class PatternRules
{
    private OperationMasks _fromAnywhere;
    private (HostPattern Host, OperationMasks Masks)[] _byHost = [];

    /// <summary>Adds an entry.</summary>
    public void Add(AclEntry entry)
    {
        var masks = new OperationMasks();
        if (entry.PermissionType == AclBinding.Allow)
            masks.Allowed = OperationMasks.AllowedBy(entry.Operation);
        else
            masks.Denied = OperationMasks.DeniedBy(entry.Operation);
        if (entry.Host == HostPattern.Any)
        {
            _fromAnywhere.Allowed |= masks.Allowed;
            _fromAnywhere.Denied |= masks.Denied;
        }
        else if (HostPattern.TryParse(entry.Host, out var host))
        {
            _byHost = [.. _byHost, (host, masks)];
        }
    }

    /// <summary>Adds what the entries say about a client.</summary>
    public void AddTo(ref OperationMasks masks, in ClientHost host)
    {
        masks.Allowed |= _fromAnywhere.Allowed;
        masks.Denied |= _fromAnywhere.Denied;
        foreach (ref readonly var rule in _byHost.AsSpan())
        {
            if (!rule.Host.Matches(host))
                continue;
            masks.Allowed |= rule.Masks.Allowed;
            masks.Denied |= rule.Masks.Denied;
        }
    }
}

/// <summary>The entries for resources of one kind, found by the name of a resource. Not changed once it is in use.</summary>
internal sealed class ResourceRules
{
    private readonly PatternTable _patterns;
    private readonly PatternRules? _all;

    public ResourceRules(IEnumerable<AclEntry> entries)
    {
        var literals = new Dictionary<string, PatternRules>(StringComparer.Ordinal);
        var prefixes = new Dictionary<string, PatternRules>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (entry.PatternType == AclBinding.Prefixed)
                RulesIn(prefixes, entry.ResourceName).Add(entry);
            else if (entry.ResourceName == AclBinding.Wildcard)
                (_all ??= new PatternRules()).Add(entry);
            else
                RulesIn(literals, entry.ResourceName).Add(entry);
        }

        _patterns = new PatternTable(literals, prefixes);
    }

    /// <summary>Whether any entry is about a resource, whoever it names.</summary>
    public bool IsAbout(string name)
    {
        if (_all is not null)
            return true;
        foreach (var match in _patterns.Matching(name))
        {
            if (match.Prefix is not null || (match.IsWhole && match.Literal is not null))
                return true;
        }

        return false;
    }

    /// <summary>Adds what the entries say about a client and a resource.</summary>
    public void AddTo(ref OperationMasks masks, string name, in ClientHost host)
    {
        _all?.AddTo(ref masks, host);
        foreach (var match in _patterns.Matching(name))
        {
            match.Prefix?.AddTo(ref masks, host);
            if (match.IsWhole)
                match.Literal?.AddTo(ref masks, host);
        }
    }

    /// <summary>Adds what the entries for all resources say about a client.</summary>
    public void AddOfAll(ref OperationMasks masks, in ClientHost host) => _all?.AddTo(ref masks, host);

    /// <summary>Adds what the entries for a prefix, and for shorter prefixes of it, say about a client.</summary>
    public void AddOfPrefixes(ref OperationMasks masks, string prefix, in ClientHost host)
    {
        foreach (var match in _patterns.Matching(prefix))
            match.Prefix?.AddTo(ref masks, host);
    }

    /// <summary>The names with entries of their own, but for the name of all.</summary>
    public IEnumerable<string> Names => _patterns.Literals;

    /// <summary>The prefixes with entries.</summary>
    public IEnumerable<string> Prefixes => _patterns.Prefixes;

    private static PatternRules RulesIn(Dictionary<string, PatternRules> rules, string name)
    {
        if (!rules.TryGetValue(name, out var found))
            rules.Add(name, found = new PatternRules());
        return found;
    }
}
