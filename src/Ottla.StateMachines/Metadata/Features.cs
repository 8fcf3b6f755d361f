using System.Collections.Immutable;

namespace Ottla.StateMachines.Metadata;

/// <summary>The levels of a feature that a node can run.</summary>
/// <param name="Min">The lowest level.</param>
/// <param name="Max">The highest level.</param>
public readonly record struct VersionRange(short Min, short Max)
{
    /// <summary>The range of a feature that is not known.</summary>
    public static readonly VersionRange Disabled = new(0, 0);

    /// <summary>Whether <paramref name="level"/> is inside.</summary>
    public bool Contains(short level) => level >= Min && level <= Max;

    /// <inheritdoc/>
    public override string ToString() => Min == Max ? $"{Min}" : $"{Min}-{Max}";
}

/// <summary>A level of a feature.</summary>
/// <param name="Level">The level.</param>
/// <param name="BootstrapVersion">The metadata version from which on new clusters have it.</param>
/// <param name="RequiredVersion">The metadata version without which it cannot be set.</param>
public readonly record struct FeatureLevel(short Level, MetadataVersion BootstrapVersion, MetadataVersion RequiredVersion);

/// <summary>A feature other than metadata.version (KIP-584): named, with levels that the cluster finalizes one of.</summary>
public sealed class Feature
{
    public const string KRaftVersion = "kraft.version";
    public const string TransactionVersion = "transaction.version";
    public const string GroupVersion = "group.version";
    public const string EligibleLeaderReplicasVersion = "eligible.leader.replicas.version";
    public const string ShareVersion = "share.version";
    public const string StreamsVersion = "streams.version";

    private Feature(string name, params ReadOnlySpan<FeatureLevel> levels)
    {
        Name = name;
        Levels = [.. levels];
    }

    /// <summary>All features except metadata.version.</summary>
    public static ImmutableArray<Feature> All { get; } =
    [
        new(KRaftVersion, Level(0, MetadataVersion.Minimum), Level(1, MetadataVersion.V3_9_IV0)),
        new(TransactionVersion, Level(0, MetadataVersion.Minimum), Level(1, MetadataVersion.V4_0_IV2), Level(2, MetadataVersion.V4_0_IV2)),
        new(GroupVersion, Level(0, MetadataVersion.Minimum), Level(1, MetadataVersion.V4_0_IV0)),
        new(EligibleLeaderReplicasVersion, Level(0, MetadataVersion.Minimum), new FeatureLevel(1, MetadataVersion.V4_1_IV0, MetadataVersion.V4_0_IV1)),
        new(ShareVersion, Level(0, MetadataVersion.Minimum), Level(1, MetadataVersion.V4_2_IV0), Level(2, MetadataVersion.V4_4_IV0)),
        new(StreamsVersion, Level(0, MetadataVersion.Minimum), Level(1, MetadataVersion.V4_2_IV1)),
    ];

    /// <summary>The feature's name.</summary>
    public string Name { get; }

    /// <summary>Its levels, lowest first.</summary>
    public ImmutableArray<FeatureLevel> Levels { get; }

    /// <summary>The highest level there is.</summary>
    public short LatestLevel => Levels[^1].Level;

    /// <summary>The feature called <paramref name="name"/>; null when there is none (also for metadata.version).</summary>
    public static Feature? Find(string name)
    {
        foreach (var feature in All)
        {
            if (feature.Name == name)
                return feature;
        }

        return null;
    }

    /// <summary>The level that a new cluster at <paramref name="version"/> gets.</summary>
    public short DefaultLevel(MetadataVersion version)
    {
        var result = Levels[0].Level;
        foreach (var level in Levels)
        {
            if (level.BootstrapVersion <= version)
                result = level.Level;
        }

        return result;
    }

    /// <summary>Why <paramref name="level"/> cannot be set beside <paramref name="version"/>; null when it can.</summary>
    public string? ReasonNotAllowed(short level, MetadataVersion version)
    {
        foreach (var known in Levels)
        {
            if (known.Level != level)
                continue;
            return version >= known.RequiredVersion
                ? null
                : $"{Name} could not be set to {level} because it depends on {MetadataVersion.FeatureName} level {known.RequiredVersion.Level}";
        }

        return $"No feature:{Name} with feature level {level}";
    }

    private static FeatureLevel Level(short level, MetadataVersion bootstrapVersion) => new(level, bootstrapVersion, MetadataVersion.Minimum);
}

/// <summary>The features that a node supports, and up to which level: what it registers with and what it answers ApiVersions with.</summary>
/// <remarks>Immutable. A feature whose highest level is 0 is not listed, as Kafka leaves it out.</remarks>
public sealed class SupportedFeatures
{
    private SupportedFeatures(ImmutableSortedDictionary<string, VersionRange> ranges) => Ranges = ranges;

    /// <summary>Everything that Kafka of the newest metadata version supports.</summary>
    public static SupportedFeatures Latest { get; } = new(
        Feature.All
            .Select(feature => KeyValuePair.Create(feature.Name, new VersionRange(0, feature.LatestLevel)))
            .Append(KeyValuePair.Create(MetadataVersion.FeatureName, new VersionRange(MetadataVersion.Minimum.Level, MetadataVersion.Latest.Level)))
            .ToImmutableSortedDictionary(StringComparer.Ordinal));

    /// <summary>Name to levels, sorted by name.</summary>
    public ImmutableSortedDictionary<string, VersionRange> Ranges { get; }

    /// <summary>The levels of <paramref name="feature"/>; <see cref="VersionRange.Disabled"/> when it is not supported.</summary>
    public VersionRange this[string feature] => Ranges.TryGetValue(feature, out var range) ? range : VersionRange.Disabled;

    /// <summary>The same, but <paramref name="feature"/> only up to <paramref name="max"/>; 0 leaves it out.</summary>
    public SupportedFeatures UpTo(string feature, short max)
    {
        Kernel.Invariant.Check(Ranges.ContainsKey(feature), "only a feature that exists can be limited");
        return new SupportedFeatures(max <= 0 ? Ranges.Remove(feature) : Ranges.SetItem(feature, Ranges[feature] with { Max = max }));
    }
}
