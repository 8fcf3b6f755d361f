using System.CommandLine;
using System.Globalization;
using Ottla.Cli.Admin;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla features</c>: shows and changes the feature levels of a cluster, as kafka-features does.</summary>
internal static class FeaturesCommand
{
    private const int UpdateTimeoutMs = 60_000;

    public static Command Create() =>
        new("features", "Show and change the feature levels of a cluster, such as metadata.version (KIP-584).")
    {
        CreateDescribe(),
        CreateChange("upgrade", "Raise feature levels. Every node has to support them.", isDowngrade: false),
        CreateChange("downgrade", "Lower feature levels.", isDowngrade: true),
    };

    private static Command CreateDescribe()
    {
        var options = new AdminOptions();
        var command = new Command("describe", "Print the levels that the asked node supports, and those of the cluster.");
        options.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(arguments, async connection =>
            Console.Write(FeaturesText.Describe(await AskAsync(connection)))));
        return command;
    }

    private static Command CreateChange(string name, string description, bool isDowngrade)
    {
        var options = new AdminOptions();
        var feature = new Option<string[]>(
            "--feature")
        { Description = "A feature and its new level; may be repeated.", HelpName = "name=level" };
        var release = new Option<string?>("--release-version")
        {
            Description = "metadata.version of this release, for example 4.4, and the levels that go with it.",
            HelpName = "VERSION",
        };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only check whether the change is possible." };
        var isUnsafe = new Option<bool>("--unsafe") { Description = "Also where metadata may be lost." };
        var command = new Command(name, description) { feature, release, dryRun };
        if (isDowngrade)
            command.Options.Add(isUnsafe);
        options.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(arguments, async connection =>
        {
            var type = !isDowngrade ? FeatureUpgradeType.Upgrade
                : arguments.GetValue(isUnsafe) ? FeatureUpgradeType.UnsafeDowngrade : FeatureUpgradeType.SafeDowngrade;
            var levels = Levels(arguments.GetValue(feature) ?? []);
            if (arguments.GetValue(release) is { } version)
            {
                if (levels.Count > 0)
                    throw new ConfigException("Can not specify `release-version` with other feature flags.");
                levels = LevelsOf(version, await AskAsync(connection), keepsZero: isDowngrade);
            }

            if (levels.Count == 0)
                throw new ConfigException($"You must specify at least one feature to {name}");
            await ChangeAsync(connection, name, levels, type, arguments.GetValue(dryRun));
        }));
        return command;
    }

    /// <summary>Asks a node for its supported features and the levels of the cluster.</summary>
    private static Task<ApiVersionsResponse> AskAsync(AdminConnection connection) =>
        connection.SendAsync<ApiVersionsRequest, ApiVersionsResponse>(
            _ => new ApiVersionsRequest { ClientSoftwareName = "ottla", ClientSoftwareVersion = VersionCommand.Version },
            answer => ((ErrorCode)answer.ErrorCode, null));

    private static SortedDictionary<string, short> Levels(string[] assignments)
    {
        var levels = new SortedDictionary<string, short>(StringComparer.Ordinal);
        foreach (var assignment in assignments)
        {
            if (assignment.Split('=', StringSplitOptions.TrimEntries) is not [{ Length: > 0 } name, var text]
                || !short.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var level))
                throw new ConfigException(
                    $"Can't parse feature=level string {assignment}: a name, an equals sign and a number are expected.");
            if (!levels.TryAdd(name, level))
                throw new ConfigException($"Feature {name} was specified more than once.");
        }

        return levels;
    }

    /// <summary>The levels of a release, for the features that the asked node has.</summary>
    private static SortedDictionary<string, short> LevelsOf(string release, ApiVersionsResponse cluster, bool keepsZero)
    {
        if (!MetadataVersion.TryParse(release, out var version))
            throw new ConfigException($"Unknown metadata.version '{release}'. Supported metadata.version are: {MetadataVersion.AllNames}");
        var levels = new SortedDictionary<string, short>(StringComparer.Ordinal) { [MetadataVersion.FeatureName] = version.Level };
        foreach (var feature in Feature.All)
        {
            if (cluster.SupportedFeatures.FirstOrDefault(each => each.Name == feature.Name) is not { } supported)
                continue;
            var level = Math.Min(feature.DefaultLevel(version), supported.MaxVersion);
            if (level > 0 || keepsZero)
                levels[feature.Name] = level;
        }

        return levels;
    }

    private static async Task ChangeAsync(
        AdminConnection connection, string verb, SortedDictionary<string, short> levels, FeatureUpgradeType type, bool isDryRun)
    {
        var request = new UpdateFeaturesRequest
        {
            TimeoutMs = UpdateTimeoutMs,
            ValidateOnly = isDryRun,
            FeatureUpdates =
            [
                .. levels.Select(level => new UpdateFeaturesRequest.FeatureUpdateKey
                {
                    Feature = level.Key,
                    MaxVersionLevel = level.Value,
                    UpgradeType = (sbyte)type,
                }),
            ],
        };
        try
        {
            await connection.SendAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(_ => request, FeaturesText.ErrorOf);
        }
        catch (AdminException e) when (e.Error != ErrorCode.None)
        {
            foreach (var (name, level) in levels)
                Console.WriteLine($"{(isDryRun ? "Can not" : "Could not")} {verb} {name} to {level}. {e.ClusterMessage}");
            throw new AdminException($"{levels.Count} out of {levels.Count} operation(s) failed.");
        }

        foreach (var (name, level) in levels)
            Console.WriteLine($"{name} {(isDryRun ? "can be" : "was")} {verb}d to {level}.");
    }

    /// <summary>The kinds of changes, as UpdateFeatures numbers them.</summary>
    private enum FeatureUpgradeType : sbyte
    {
        Upgrade = 1,
        SafeDowngrade = 2,
        UnsafeDowngrade = 3,
    }
}
