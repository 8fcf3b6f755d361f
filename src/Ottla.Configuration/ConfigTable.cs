using System.Collections.Frozen;
using Ottla.Kernel;

namespace Ottla.Configuration;

/// <summary>All configs of one kind of resource, in the order of the documentation. Immutable; lives as long as the process.</summary>
public sealed class ConfigTable
{
    private static readonly List<string> s_kafkaParts =
    [
        ConfigSections.TieredStorage, ConfigSections.Sockets, ConfigSections.Quorum, ConfigSections.Replication, ConfigSections.Groups,
        ConfigSections.Logs, ConfigSections.Shares, ConfigSections.Transactions, ConfigSections.Quotas, ConfigSections.Metrics,
        ConfigSections.Security, ConfigSections.Internal, ConfigSections.Own,
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
        Described = [.. JavaHashOrder.Of(
            // Kafka has none of our own configs, and their number would change the order.
            JavaHashOrder.Of(all.Where(row => row.Section != ConfigSections.Own).OrderBy(KafkaPart), HashOf)
                .Where(row => !row.IsInternal && row.UpdateMode != ConfigUpdateMode.DynamicOnly),
            HashOf)];
        _byName = all.ToFrozenDictionary(row => row.Name, StringComparer.Ordinal);
    }

    /// <summary>The kind of resource.</summary>
    public ConfigResourceType Scope { get; }

    /// <summary>All configs, internal ones included.</summary>
    public IReadOnlyList<ConfigDefinition> All { get; }

    /// <summary>The documented configs.</summary>
    public IReadOnlyList<ConfigDefinition> Public { get; }

    /// <summary>The configs that DescribeConfigs always shows, in Kafka's order.</summary>
    internal IReadOnlyList<ConfigDefinition> Described { get; }

    /// <summary>The config with a name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public ConfigDefinition this[string name] => _byName[name];

    /// <summary>The config with a name; null when there is none.</summary>
    public ConfigDefinition? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>
    /// The part of Kafka's definitions that has the config. It determines the order of configs in the same bucket of Kafka's hash table.
    /// </summary>
    private static int KafkaPart(ConfigDefinition row) =>
        row.Name.StartsWith("controller.quorum.", StringComparison.Ordinal)
            ? s_kafkaParts.IndexOf(ConfigSections.Quotas)
            : s_kafkaParts.IndexOf(row.Section);

    private static int HashOf(ConfigDefinition row) => JavaHashCode.Of(row.Name);
}
