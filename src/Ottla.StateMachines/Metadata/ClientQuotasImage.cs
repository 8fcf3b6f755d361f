using System.Collections.Immutable;

namespace Ottla.StateMachines.Metadata;

/// <summary>
/// The target of a client quota: a user, a client id, both, or an IP. A null name means the default. Immutable; equal by content.
/// </summary>
/// <param name="Parts">Entity type ("user", "client-id", "ip") to name, sorted by type.</param>
public sealed record ClientQuotaEntity(ImmutableSortedDictionary<string, string?> Parts)
{
    /// <inheritdoc/>
    public bool Equals(ClientQuotaEntity? other) =>
        ReferenceEquals(this, other) || (other is not null && ContentEquality.Entries(Parts, other.Parts));

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var (type, name) in Parts)
        {
            hash.Add(type, StringComparer.Ordinal);
            hash.Add(name, StringComparer.Ordinal);
        }

        return hash.ToHashCode();
    }
}

/// <summary>The client quotas. Immutable.</summary>
public sealed record ClientQuotasImage(ImmutableDictionary<ClientQuotaEntity, ImmutableSortedDictionary<string, double>> ByEntity)
{
    public static readonly ClientQuotasImage Empty =
        new(ImmutableDictionary<ClientQuotaEntity, ImmutableSortedDictionary<string, double>>.Empty);

    internal static readonly ImmutableSortedDictionary<string, double> None =
        ImmutableSortedDictionary.Create<string, double>(StringComparer.Ordinal);

    /// <inheritdoc/>
    public bool Equals(ClientQuotasImage? other)
    {
        if (other is null || ByEntity.Count != other.ByEntity.Count)
            return false;
        foreach (var (entity, quotas) in ByEntity)
        {
            if (!other.ByEntity.TryGetValue(entity, out var others) || !ContentEquality.Entries(quotas, others))
                return false;
        }

        return true;
    }

    /// <inheritdoc/>
    public override int GetHashCode() => ByEntity.Count;
}
