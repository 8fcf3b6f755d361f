using Ottla.Broker.Directories;
using Ottla.Cli.Commands;
using Ottla.Cli.KafkaTools.Cluster;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Cli.KafkaTools.Storage;

/// <summary>kafka-storage: formats and shows log directories.</summary>
internal static class StorageTool
{
    /// <summary>Runs the tool.</summary>
    public static Task<int> RunAsync(ToolContext context)
    {
        var parsed = ArgparseParser.Parse(context, "info", "format", "version-mapping", "feature-dependencies", "random-uuid");
        var options = parsed.Sub;
        switch (parsed.Command)
        {
            case "random-uuid":
                context.Output.WriteLine(Uuid.NewRandom());
                return Task.FromResult(0);
            case "version-mapping":
                FeatureText.WriteMapping(options.Value("release-version"), context.Output);
                return Task.FromResult(0);
            case "feature-dependencies":
                options.Demand("feature");
                FeatureText.WriteDependencies(options.Values("feature"), context.Output);
                return Task.FromResult(0);
        }

        options.Demand("config");
        try
        {
            var config = BrokerConfig.Load(ToolClient.ReadFile(options.Value("config")!));
            return Task.FromResult(parsed.Command == "info" ? Info(context, config) : Format(context, options, config));
        }
        catch (Exception e) when (e is ConfigException or FormatterException)
        {
            throw new ToolException(e.Message);
        }
    }

    private static int Info(ToolContext context, BrokerConfig config)
    {
        var report = StorageReport.Of(config, new RealFileSystem());
        context.Output.Write(StorageReportText.Of(report));
        return report.Problems.Count == 0 ? 0 : 1;
    }

    private static int Format(ToolContext context, ParsedOptions options, BrokerConfig config)
    {
        options.Demand("cluster-id");
        options.DemandOneOf(isRequired: false, "standalone", "no-initial-controllers", "initial-controllers");
        var features = new Dictionary<string, short>(StringComparer.Ordinal);
        foreach (var text in options.Values("feature"))
        {
            var (name, level) = FeatureText.Parse(text);
            features[name] = level;
        }

        return FormatCommand.Format(
            config, LogDirectories.FormatRequestOf(config, options.Value("cluster-id")!) with
            {
                ReleaseVersion = options.Value("release-version"),
                Features = features,
                ScramArguments = [.. options.Values("add-scram")],
                InitialControllers = options.Has("standalone") ? [FormatCommand.Self(config)]
                    : options.Value("initial-controllers") is { } voters ? InitialController.ParseList(voters) : null,
                HasNoInitialControllers = options.Has("no-initial-controllers"),
                IgnoreFormatted = options.Has("ignore-formatted"),
            },
            context.Output, context.Error);
    }
}
