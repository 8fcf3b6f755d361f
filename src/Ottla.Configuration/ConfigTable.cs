using System.Collections.Frozen;

namespace Ottla.Configuration;

/// <summary>All configs of one kind of resource, in the order they are documented in. Immutable; lives as long as the process.</summary>
public sealed class ConfigTable
{
    private static readonly List<string> s_kafkaParts =
    [
        ConfigSections.TieredStorage, ConfigSections.Sockets, ConfigSections.Quorum, ConfigSections.Replication, ConfigSections.Groups,
        ConfigSections.Logs, ConfigSections.Shares, ConfigSections.Transactions, ConfigSections.Quotas, ConfigSections.Metrics,
        ConfigSections.Security, ConfigSections.Internal,
    ];

    private readonly FrozenDictionary<string, ConfigDefinition> _byName;

    internal ConfigTable(ConfigResourceType scope, params (string Section, ConfigDefinition[] Rows)[] sections)
    {
        Scope = scope;
        var all = new List<ConfigDefinition>();
        foreach (var (section, rows) in sections)
        {
            foreach (var row in rows)
            {
                row.Scope = scope;
                row.Section = section;
                all.Add(row);
            }
        }

        All = all;
        Public = [.. all.Where(row => !row.IsInternal)];
        Described = JavaHashOrder.Of(
            JavaHashOrder.Of(all.OrderBy(KafkaPart), row => row.Name).Where(row => !row.IsInternal && row.UpdateMode != ConfigUpdateMode.DynamicOnly),
            row => row.Name);
        _byName = all.ToFrozenDictionary(row => row.Name, StringComparer.Ordinal);
    }

    /// <summary>The kind of resource these belong to.</summary>
    public ConfigResourceType Scope { get; }

    /// <summary>Every config, internal ones too.</summary>
    public IReadOnlyList<ConfigDefinition> All { get; }

    /// <summary>Every documented config.</summary>
    public IReadOnlyList<ConfigDefinition> Public { get; }

    /// <summary>What DescribeConfigs shows of every resource, in Kafka's order.</summary>
    internal IReadOnlyList<ConfigDefinition> Described { get; }

    /// <summary>The config of that name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public ConfigDefinition this[string name] => _byName[name];

    /// <summary>The config of that name, or null.</summary>
    public ConfigDefinition? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Where in the order of its parts Kafka defines a config; that decides between names that its hash table puts together.</summary>
    private static int KafkaPart(ConfigDefinition row) =>
        row.Name.StartsWith("controller.quorum.", StringComparison.Ordinal) ? s_kafkaParts.IndexOf(ConfigSections.Quotas) : s_kafkaParts.IndexOf(row.Section);
}
