using System.Globalization;
using Ottla.StateMachines.Metadata;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>What kafka-features and kafka-storage say of features without asking a cluster.</summary>
internal static class FeatureText
{
    /// <summary>Prints the levels of a release.</summary>
    /// <param name="release">The release; null for the newest.</param>
    /// <param name="output">Where to.</param>
    /// <exception cref="ToolException">There is no such release.</exception>
    public static void WriteMapping(string? release, TextWriter output)
    {
        var version = VersionOf(release);
        var name = release is null || release == version.Name ? version.Name : release;
        output.WriteLine($"{MetadataVersion.FeatureName}={version.Level} ({name})");
        output.WriteLine($"{Feature.KRaftVersion}={Feature.Find(Feature.KRaftVersion)!.LatestLevel}");
        foreach (var feature in Ordered())
            output.WriteLine($"{feature.Name}={feature.DefaultLevel(version)}");
    }

    /// <summary>Prints what levels depend on.</summary>
    /// <param name="features">The levels: <c>name=level</c>.</param>
    /// <param name="output">Where to.</param>
    /// <exception cref="ToolException">A feature is unknown, or a level is.</exception>
    public static void WriteDependencies(IEnumerable<string> features, TextWriter output)
    {
        foreach (var text in features)
        {
            var (name, level) = Parse(text);
            if (name == MetadataVersion.FeatureName)
            {
                var version = new MetadataVersion(level);
                if (!version.IsKnown)
                    throw new ToolException($"No feature:{name} with feature level {level}");
                output.WriteLine($"{name}={level} ({version.Name}) has no dependencies.");
                continue;
            }

            var feature = Feature.Find(name) ?? throw new ToolException($"Unknown feature: {name}");
            var known = feature.Levels.Where(each => each.Level == level).ToList();
            if (known.Count == 0)
                throw new ToolException($"No feature:{name} with feature level {level}");
            if (known[0].RequiredVersion == MetadataVersion.Minimum)
            {
                output.WriteLine($"{name}={level} has no dependencies.");
                continue;
            }

            output.WriteLine($"{name}={level} requires:");
            output.WriteLine($"    {MetadataVersion.FeatureName}={known[0].RequiredVersion.Level} ({known[0].RequiredVersion.Name})");
        }
    }

    /// <summary>The metadata version of a release; the newest when none is named.</summary>
    /// <exception cref="ToolException">There is no such release.</exception>
    public static MetadataVersion VersionOf(string? release)
    {
        if (release is null)
            return MetadataVersion.Latest;
        return MetadataVersion.TryParse(release, out var version) ? version : throw new ToolException(
            $"Unknown metadata.version '{release}'. Supported metadata.version are: {MetadataVersion.AllNames}");
    }

    /// <summary>Reads <c>name=level</c>.</summary>
    /// <exception cref="ToolException">It cannot be read.</exception>
    public static (string Name, short Level) Parse(string text)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        if (at < 0)
            throw new ToolException($"Can't parse feature=level string {text}: equals sign not found.");
        return short.TryParse(text.AsSpan(at + 1).Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var level)
            ? (text[..at].Trim(), level)
            : throw new ToolException($"Can't parse feature=level string {text}: unable to parse {text[(at + 1)..]} as a short.");
    }

    /// <summary>The features without metadata.version and kraft.version, in Kafka's order.</summary>
    private static IEnumerable<Feature> Ordered() => new[]
    {
        Feature.TransactionVersion, Feature.GroupVersion, Feature.EligibleLeaderReplicasVersion, Feature.ShareVersion,
            Feature.StreamsVersion,
    }.Select(name => Feature.Find(name)!);
}
