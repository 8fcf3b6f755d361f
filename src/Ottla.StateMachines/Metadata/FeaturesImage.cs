using System.Collections.Immutable;

namespace Ottla.StateMachines.Metadata;

/// <summary>The finalized features. Immutable.</summary>
/// <param name="MetadataVersion">The level of metadata.version; null before the bootstrap records.</param>
/// <param name="Levels">The levels of the other features; one at level 0 is not listed. kraft.version is Raft's own and never here.</param>
public sealed record FeaturesImage(MetadataVersion? MetadataVersion, ImmutableSortedDictionary<string, short> Levels)
{
    public static readonly FeaturesImage Empty = new(null, ImmutableSortedDictionary.Create<string, short>(StringComparer.Ordinal));

    /// <summary>The level of metadata.version.</summary>
    /// <exception cref="MetadataException">There is none yet.</exception>
    public MetadataVersion MetadataVersionOrThrow => MetadataVersion ?? throw new MetadataException("The metadata log has no metadata.version.");

    /// <summary>Eligible leader replicas are on (KIP-966).</summary>
    public bool IsElrEnabled => LevelOf(Feature.EligibleLeaderReplicasVersion) >= 1;

    /// <summary>The level of a feature; 0 when it is not finalized.</summary>
    public short LevelOf(string feature) =>
        feature == Metadata.MetadataVersion.FeatureName ? MetadataVersion?.Level ?? 0 : Levels.GetValueOrDefault(feature);

    /// <inheritdoc/>
    public bool Equals(FeaturesImage? other) =>
        ReferenceEquals(this, other) || (other is not null && MetadataVersion == other.MetadataVersion && Same.Entries(Levels, other.Levels));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(MetadataVersion, Levels.Count);
}
