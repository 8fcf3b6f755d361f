using System.Collections.Immutable;

namespace Ottla.StateMachines.Metadata;

/// <summary>The finalized features. Immutable.</summary>
/// <param name="MetadataVersion">The level of metadata.version; null before the bootstrap records.</param>
/// <param name="Levels">The levels of the other features, except for those at level 0. kraft.version is not here: Raft keeps it.</param>
public sealed record FeaturesImage(MetadataVersion? MetadataVersion, ImmutableSortedDictionary<string, short> Levels)
{
    public static readonly FeaturesImage Empty = new(null, ImmutableSortedDictionary.Create<string, short>(StringComparer.Ordinal));

    /// <summary>The level of metadata.version.</summary>
    /// <exception cref="MetadataException">The metadata log has no metadata.version yet.</exception>
    public MetadataVersion MetadataVersionOrThrow =>
        MetadataVersion ?? throw new MetadataException("The metadata log has no metadata.version.");

    /// <summary>Whether eligible leader replicas are enabled (KIP-966).</summary>
    public bool IsElrEnabled => LevelOf(Feature.EligibleLeaderReplicasVersion) >= 1;

    /// <summary>The level of a feature; 0 when it is not finalized.</summary>
    public short LevelOf(string feature) =>
        feature == Metadata.MetadataVersion.FeatureName ? MetadataVersion?.Level ?? 0 : Levels.GetValueOrDefault(feature);

    /// <inheritdoc/>
    public bool Equals(FeaturesImage? other) =>
        ReferenceEquals(this, other)
            || (other is not null && MetadataVersion == other.MetadataVersion && ContentEquality.Entries(Levels, other.Levels));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(MetadataVersion, Levels.Count);
}
