using System.Collections.Immutable;

namespace Ottla.StateMachines.Metadata;

/// <summary>The levels of a feature that a node supports.</summary>
/// <param name="Min">The lowest level.</param>
/// <param name="Max">The highest level.</param>
public readonly record struct VersionRange(short Min, short Max)
{
    /// <summary>The range of an unsupported feature.</summary>
    public static readonly VersionRange Disabled = new(0, 0);

    /// <summary>Whether <paramref name="level"/> is in the range.</summary>
    public bool Contains(short level) => level >= Min && level <= Max;

    /// <inheritdoc/>
    public override string ToString() => Min == Max ? $"{Min}" : $"{Min}-{Max}";
}

/// <summary>A level of a feature.</summary>
/// <param name="Level">The level.</param>
/// <param name="BootstrapVersion">New clusters from this metadata version on get the level.</param>
/// <param name="RequiredVersion">The lowest metadata version that allows the level.</param>
public readonly record struct FeatureLevel(short Level, MetadataVersion BootstrapVersion, MetadataVersion RequiredVersion);

/// <summary>A feature other than metadata.version (KIP-584). It has named levels, and the cluster finalizes one of them.</summary>
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
        new(EligibleLeaderReplicasVersion, Level(0, MetadataVersion.Minimum),
            new FeatureLevel(1, MetadataVersion.V4_1_IV0, MetadataVersion.V4_0_IV1)),
        new(ShareVersion, Level(0, MetadataVersion.Minimum), Level(1, MetadataVersion.V4_2_IV0), Level(2, MetadataVersion.V4_4_IV0)),
        new(StreamsVersion, Level(0, MetadataVersion.Minimum), Level(1, MetadataVersion.V4_2_IV1)),
    ];

    /// <summary>The feature's name.</summary>
    public string Name { get; }

    /// <summary>Its levels, lowest first.</summary>
    public ImmutableArray<FeatureLevel> Levels { get; }

    /// <summary>The highest level.</summary>
    public short LatestLevel => Levels[^1].Level;

    /// <summary>The feature with a name; null when there is none. It does not find metadata.version.</summary>
    public static Feature? Find(string name)
    {
        foreach (var feature in All)
        {
            if (feature.Name == name)
                return feature;
        }

        return null;
    }

    /// <summary>The level in a new cluster with metadata version <paramref name="version"/>.</summary>
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

    /// <summary>Why <paramref name="level"/> cannot be set together with <paramref name="version"/>; null when it can.</summary>
    public string? ReasonNotAllowed(short level, MetadataVersion version)
    {
        foreach (var known in Levels)
        {
            if (known.Level != level)
                continue;
            return version >= known.RequiredVersion
                ? null
                : $"{Name} could not be set to {level} because it depends on {MetadataVersion.FeatureName} level "
                    + $"{known.RequiredVersion.Level}";
        }

        return $"No feature:{Name} with feature level {level}";
    }

    private static FeatureLevel Level(short level, MetadataVersion bootstrapVersion) =>
        new(level, bootstrapVersion, MetadataVersion.Minimum);
}

/// <summary>The features and levels that a node supports. The node sends them when it registers and in its ApiVersions response.</summary>
/// <remarks>Immutable. Like in Kafka, a feature whose highest level is 0 is not listed.</remarks>
public sealed class SupportedFeatures
{
    private SupportedFeatures(ImmutableSortedDictionary<string, VersionRange> ranges) => Ranges = ranges;

    /// <summary>All features that Kafka supports at its newest metadata version.</summary>
    public static SupportedFeatures Latest { get; } = new(
        Feature.All
            .Select(feature => KeyValuePair.Create(feature.Name, new VersionRange(0, feature.LatestLevel)))
            .Append(
                KeyValuePair.Create(
                    MetadataVersion.FeatureName, new VersionRange(MetadataVersion.Minimum.Level, MetadataVersion.Latest.Level)))
            .ToImmutableSortedDictionary(StringComparer.Ordinal));

    /// <summary>The ranges of levels by feature name, sorted by name.</summary>
    public ImmutableSortedDictionary<string, VersionRange> Ranges { get; }

    /// <summary>The levels of <paramref name="feature"/>; <see cref="VersionRange.Disabled"/> when unsupported.</summary>
    public VersionRange this[string feature] => Ranges.TryGetValue(feature, out var range) ? range : VersionRange.Disabled;

    /// <summary>Returns these features with <paramref name="feature"/> limited to <paramref name="max"/>; 0 removes it.</summary>
    public SupportedFeatures UpTo(string feature, short max)
    {
        Kernel.Invariant.Check(Ranges.ContainsKey(feature), "only a known feature can be limited");
        return new SupportedFeatures(max <= 0 ? Ranges.Remove(feature) : Ranges.SetItem(feature, Ranges[feature] with { Max = max }));
    }
}
