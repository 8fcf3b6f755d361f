using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Authorization;

/// <summary>The access control entries, found by principal and resource. Immutable; any thread reads it.</summary>
/// <remarks>
/// A change makes a new index that shares what it does not touch. The tables of a principal are made when they are first needed, so that
/// many changes in a row cost little.
/// </remarks>
public sealed class AclIndex
{
    /// <summary>The principal that stands for all.</summary>
    public const string Everyone = "User:*";

    /// <summary>No entries.</summary>
    public static readonly AclIndex Empty = new(AclsImage.Empty, ImmutableDictionary.Create<string, Principal>(StringComparer.Ordinal));

    private readonly ImmutableDictionary<string, Principal> _principals;
    private TypeTables? _all;

    private AclIndex(AclsImage image, ImmutableDictionary<string, Principal> principals)
    {
        Image = image;
        _principals = principals;
    }

    /// <summary>The entries.</summary>
    public AclsImage Image { get; }

    /// <summary>The index after a change.</summary>
    /// <param name="image">The entries after it.</param>
    /// <param name="touched">The entries that were created or removed.</param>
    public AclIndex With(AclsImage image, IEnumerable<Uuid> touched)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(touched);
        var entries = new Dictionary<string, ImmutableDictionary<Uuid, AclEntry>.Builder>(StringComparer.Ordinal);
        foreach (var id in touched)
        {
            if (Image.ById.TryGetValue(id, out var before))
                Of(before.Principal).Remove(id);
            if (image.ById.TryGetValue(id, out var after))
                Of(after.Principal)[id] = after;
        }

        var principals = _principals.ToBuilder();
        foreach (var (name, builder) in entries)
        {
            if (builder.Count == 0)
                principals.Remove(name);
            else
                principals[name] = new Principal(builder.ToImmutable());
        }

        return new AclIndex(image, principals.ToImmutable());

        ImmutableDictionary<Uuid, AclEntry>.Builder Of(string principal)
        {
            if (!entries.TryGetValue(principal, out var builder))
            {
                builder = (_principals.TryGetValue(principal, out var known) ? known.Entries : ImmutableDictionary<Uuid, AclEntry>.Empty)
                    .ToBuilder();
                entries.Add(principal, builder);
            }

            return builder;
        }
    }

    /// <summary>The entries of a principal; null when there are none.</summary>
    internal TypeTables? Of(string principal) => _principals.TryGetValue(principal, out var found) ? found.Tables : null;

    /// <summary>The entries of all principals.</summary>
    internal TypeTables All => _all ??= new TypeTables(Image.ById.Values);

    /// <summary>The entries of one principal.</summary>
    private sealed class Principal(ImmutableDictionary<Uuid, AclEntry> entries)
    {
        private TypeTables? _tables;

        public ImmutableDictionary<Uuid, AclEntry> Entries => entries;

        public TypeTables Tables => _tables ??= new TypeTables(entries.Values);
    }

    /// <summary>Tables of entries by the kind of resource.</summary>
    internal sealed class TypeTables
    {
        private readonly ResourceRules?[] _byType = new ResourceRules?[(int)ResourceType.User + 1];

        public TypeTables(IEnumerable<AclEntry> entries)
        {
            foreach (var type in entries.GroupBy(entry => entry.ResourceType))
            {
                if (type.Key >= 0 && type.Key < _byType.Length)
                    _byType[type.Key] = new ResourceRules(type);
            }
        }

        public ResourceRules? this[ResourceType type] => _byType[(int)type];
    }
}
