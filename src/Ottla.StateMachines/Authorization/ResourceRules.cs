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
    private const string Wildcard = "*";

    private readonly Dictionary<string, PatternRules> _literals = new(StringComparer.Ordinal);
    private readonly PatternRules? _all;
    private readonly PrefixRules _prefixes;

    public ResourceRules(IEnumerable<AclEntry> entries)
    {
        var prefixes = new Dictionary<string, PatternRules>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (entry.PatternType == AclBinding.Prefixed)
                RulesIn(prefixes, entry.ResourceName).Add(entry);
            else if (entry.ResourceName == Wildcard)
                (_all ??= new PatternRules()).Add(entry);
            else
                RulesIn(_literals, entry.ResourceName).Add(entry);
        }

        _prefixes = new PrefixRules(prefixes);
    }

    /// <summary>Whether any entry is about a resource, whoever it names.</summary>
    public bool IsAbout(string name) => _all is not null || _literals.ContainsKey(name) || _prefixes.IsAbout(name);

    /// <summary>Adds what the entries say about a client and a resource.</summary>
    public void AddTo(ref OperationMasks masks, string name, in ClientHost host)
    {
        _all?.AddTo(ref masks, host);
        if (_literals.Count > 0 && _literals.TryGetValue(name, out var literal))
            literal.AddTo(ref masks, host);
        _prefixes.AddTo(ref masks, name, host);
    }

    /// <summary>Adds what the entries for all resources say about a client.</summary>
    public void AddOfAll(ref OperationMasks masks, in ClientHost host) => _all?.AddTo(ref masks, host);

    /// <summary>Adds what the entries for a prefix, and for shorter prefixes of it, say about a client.</summary>
    public void AddOfPrefixes(ref OperationMasks masks, string prefix, in ClientHost host) => _prefixes.AddTo(ref masks, prefix, host);

    /// <summary>The names with entries of their own, but for the name of all.</summary>
    public IEnumerable<string> Names => _literals.Keys;

    /// <summary>The prefixes with entries.</summary>
    public IReadOnlyList<string> Prefixes => _prefixes.Prefixes;

    private static PatternRules RulesIn(Dictionary<string, PatternRules> rules, string name)
    {
        if (!rules.TryGetValue(name, out var found))
            rules.Add(name, found = new PatternRules());
        return found;
    }
}

/// <summary>The entries for prefixes of names. Not changed once it is made.</summary>
/// <remarks>
/// The prefixes are in order, and each knows the longest other prefix that it begins with. The last prefix that is not behind a name is
/// the longest one that matches it, or begins with all those that do. So a search and a walk find all that match.
/// </remarks>
internal sealed class PrefixRules
{
    private readonly string[] _prefixes;
    private readonly PatternRules[] _rules;
    private readonly int[] _parents;

    public PrefixRules(Dictionary<string, PatternRules> rules)
    {
        _prefixes = [.. rules.Keys];
        Array.Sort(_prefixes, StringComparer.Ordinal);
        _rules = [.. _prefixes.Select(prefix => rules[prefix])];
        _parents = new int[_prefixes.Length];
        for (var i = 0; i < _prefixes.Length; i++)
        {
            var parent = i - 1;
            while (parent >= 0 && !_prefixes[i].StartsWith(_prefixes[parent], StringComparison.Ordinal))
                parent = _parents[parent];
            _parents[i] = parent;
        }
    }

    public IReadOnlyList<string> Prefixes => _prefixes;

    public bool IsAbout(string name) => Longest(name) >= 0;

    public void AddTo(ref OperationMasks masks, string name, in ClientHost host)
    {
        for (var i = Longest(name); i >= 0; i = _parents[i])
            _rules[i].AddTo(ref masks, host);
    }

    private int Longest(string name)
    {
        var (low, high) = (0, _prefixes.Length);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (string.CompareOrdinal(_prefixes[middle], name) <= 0)
                low = middle + 1;
            else
                high = middle;
        }

        var found = low - 1;
        while (found >= 0 && !name.StartsWith(_prefixes[found], StringComparison.Ordinal))
            found = _parents[found];
        return found;
    }
}
