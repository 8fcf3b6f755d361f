using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.StateMachines.Metadata;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>kafka-features: shows and changes the levels of features.</summary>
internal sealed class FeaturesTool
{
    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;

    private FeaturesTool(ToolContext context, ParsedOptions options, ToolClient client) =>
        (_context, _options, _client) = (context, options, client);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var parsed = ArgparseParser.Parse(
            context, "describe", "upgrade", "downgrade", "disable", "version-mapping", "feature-dependencies");
        var (main, options) = (parsed.Main, parsed.Sub);
        if (!main.Has("bootstrap-server") && !main.Has("bootstrap-controller"))
            throw new ToolException("Command line error: You must specify either --bootstrap-controller or --bootstrap-server.. Type "
                + "--help for help.");
        main.DemandOneOf(isRequired: true, "bootstrap-server", "bootstrap-controller");
        switch (parsed.Command)
        {
            case "version-mapping":
                FeatureText.WriteMapping(options.Value("release-version"), context.Output);
                return 0;
            case "feature-dependencies":
                options.Demand("feature");
                FeatureText.WriteDependencies(options.Values("feature"), context.Output);
                return 0;
        }

        await using var client = ToolClient.Open(
            main.Value("bootstrap-server"), main.Value("bootstrap-controller"), main.Value("command-config"));
        await RunAsync(context, parsed.Command!, options, client);
        return 0;
    }

    /// <summary>Runs <c>describe</c> or a command that changes levels.</summary>
    public static Task RunAsync(ToolContext context, string command, ParsedOptions options, ToolClient client)
    {
        var tool = new FeaturesTool(context, options, client);
        return command switch
        {
            "describe" => tool.DescribeAsync(),
            "disable" => tool.DisableAsync(),
            _ => tool.ChangeAsync(command, isDowngrade: command == "downgrade"),
        };
    }

    private async Task DescribeAsync()
    {
        FeatureMetadata features;
        try
        {
            features = await _client.CallAsync("describeFeatures", admin => _options.Int("node-id") is { } node
                ? admin.DescribeFeaturesAsync(node) : admin.DescribeFeaturesAsync());
        }
        catch (JavaException e)
        {
            throw new ToolException(e.Text);
        }

        var epoch = features.FinalizedEpoch is { } known ? $"{known}" : "-";
        foreach (var (name, range) in features.Supported.OrderBy(feature => feature.Key, StringComparer.Ordinal))
        {
            var level = features.Finalized.TryGetValue(name, out var finalized) ? finalized.Maximum : (short)0;
            _context.Output.WriteLine(
                $"Feature: {name,-40}  SupportedMinVersion: {Level(name, range.Minimum),-15}  SupportedMaxVersion: "
                    + $"{Level(name, range.Maximum),-15}  FinalizedVersionLevel: {Level(name, level),-15}  Epoch: {epoch}");
        }
    }

    private async Task ChangeAsync(string verb, bool isDowngrade)
    {
        var levels = new SortedDictionary<string, short>(StringComparer.Ordinal);
        if (_options.Value("release-version") is { } release)
        {
            if (_options.Has("metadata") || _options.Has("feature"))
                throw new ToolException("Can not specify `release-version` with other feature flags.");
            // A cluster without a feature has no level of it to change.
            var supported = (await _client.CallAsync("describeFeatures", admin => admin.DescribeFeaturesAsync())).Supported;
            foreach (var (name, level) in LevelsOf(FeatureText.VersionOf(release), keepsZero: isDowngrade))
            {
                if (supported.ContainsKey(name))
                    levels[name] = level;
            }
        }

        if (_options.Value("metadata") is { } metadata)
        {
            _context.Output.WriteLine(" `metadata` flag is deprecated and may be removed in a future release.");
            levels[MetadataVersion.FeatureName] = FeatureText.VersionOf(metadata).Level;
        }

        foreach (var text in _options.Values("feature"))
        {
            var (name, level) = FeatureText.Parse(text);
            if (!levels.TryAdd(name, level))
                throw new ToolException($"Feature {name} was specified more than once.");
        }

        if (levels.Count == 0)
            throw new ToolException($"You must specify at least one feature to {verb}");
        var type = !isDowngrade ? FeatureUpgradeType.Upgrade
            : _options.Has("unsafe") ? FeatureUpgradeType.UnsafeDowngrade : FeatureUpgradeType.SafeDowngrade;
        await UpdateAsync(levels, type, (name, level) => $"{verb} {name} to {level}", (name, level) => $"{verb}d to {level}");
    }

    private async Task DisableAsync()
    {
        var levels = new SortedDictionary<string, short>(StringComparer.Ordinal);
        foreach (var name in _options.Values("feature"))
        {
            if (!levels.TryAdd(name, (short)0))
                throw new ToolException($"Feature {name} was specified more than once.");
        }

        if (levels.Count == 0)
            throw new ToolException("You must specify at least one feature to disable");
        var type = _options.Has("unsafe") ? FeatureUpgradeType.UnsafeDowngrade : FeatureUpgradeType.SafeDowngrade;
        await UpdateAsync(levels, type, (name, _) => $"disable {name}", (_, _) => "disabled");
    }

    private async Task UpdateAsync(
        SortedDictionary<string, short> levels, FeatureUpgradeType type, Func<string, short, string> toDo, Func<string, short, string> done)
    {
        var isDryRun = _options.Has("dry-run");
        var results = await _client.CallAsync("updateFeatures", admin => admin.UpdateFeaturesAsync(
            levels.ToDictionary(each => each.Key, each => new FeatureUpdate(each.Value, type)), isDryRun));
        var failed = 0;
        foreach (var (name, level) in levels)
        {
            if (results[name].IsSuccess)
            {
                _context.Output.WriteLine($"{name} {(isDryRun ? "can be" : "was")} {done(name, level)}.");
                continue;
            }

            failed++;
            _context.Output.WriteLine(
                $"{(isDryRun ? "Can not" : "Could not")} {toDo(name, level)}. {JavaErrors.Of(results[name], "updateFeatures").Message}");
        }

        if (failed > 0)
            throw new ToolException($"{failed} out of {levels.Count} operation(s) failed.");
    }

    /// <summary>The levels that go with a metadata version.</summary>
    private static IEnumerable<KeyValuePair<string, short>> LevelsOf(MetadataVersion version, bool keepsZero) =>
        Feature.All.Select(feature => KeyValuePair.Create(feature.Name, feature.DefaultLevel(version)))
            .Where(each => keepsZero || each.Value > 0).Append(KeyValuePair.Create(MetadataVersion.FeatureName, version.Level));

    private static string Level(string feature, short level)
    {
        if (feature != MetadataVersion.FeatureName)
            return $"{level}";
        var version = new MetadataVersion(level);
        return version.IsKnown ? version.Name : $"UNKNOWN [{level}]";
    }
}
