using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools.Cluster;
using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla feature</c>, also <c>features</c>: shows and changes the levels of features, as kafka-features does.</summary>
internal static class FeatureNoun
{
    private const string Tool = "kafka-features";

    public static Command Create()
    {
        var noun = ClusterCommand.Noun(
            "feature", "Show and change metadata.version and the levels of other features (KIP-584).", CreateDescribe(),
            CreateChange("upgrade", "Raise levels.", "feature upgrade --release-version 4.4"),
            CreateChange("downgrade", "Lower levels, where nothing is lost by it; with --unsafe also where something is.",
                "feature downgrade --feature transaction.version=1"));
        noun.Aliases.Add("features");
        return noun;
    }

    private static ClusterCommand CreateDescribe()
    {
        var node = CommonOptions.Number("--node-id", "Ask this node what it supports.");
        return new ClusterCommand("describe", "Print the levels of features, and which are supported.", "feature describe", async context =>
        {
            if (context.Format == RowFormat.Text)
            {
                await RunAsync(context, "describe", context.Value(node) is { } asked ? ["--node-id", $"{asked}"] : []);
                return;
            }

            var features =
                await (context.Value(node) is { } id ? context.Admin.DescribeFeaturesAsync(id) : context.Admin.DescribeFeaturesAsync());
            var rows = context.Rows("feature", "supportedMinimum", "supportedMaximum", "level", "epoch");
            foreach (var (name, range) in features.Supported.OrderBy(each => each.Key, StringComparer.Ordinal))
            {
                rows.Add(
                    name, range.Minimum, range.Maximum, features.Finalized.TryGetValue(name, out var level) ? level.Maximum : (short)0,
                    features.FinalizedEpoch);
            }

            rows.End();
        }, node).Known("list");
    }

    private static ClusterCommand CreateChange(string verb, string summary, string example)
    {
        var features = CommonOptions.Texts("--feature", "A feature and its new level; may be repeated.", "NAME=LEVEL");
        var release = CommonOptions.Text("--release-version", "All levels that go with this release of Kafka.", "VERSION");
        var isUnsafe = CommonOptions.Flag("--unsafe", "Also where metadata is lost.");
        Symbol[] symbols = verb == "downgrade"
            ? [features, release, isUnsafe, CommonOptions.DryRun] : [features, release, CommonOptions.DryRun];
        return new ClusterCommand(verb, summary, example, context =>
        {
            var arguments = new List<string>();
            foreach (var feature in context.Value(features) ?? [])
                arguments.AddRange(["--feature", feature]);
            if (context.Value(release) is { } version)
                arguments.AddRange(["--release-version", version]);
            if (verb == "downgrade" && context.Value(isUnsafe))
                arguments.Add("--unsafe");
            if (context.Value(CommonOptions.DryRun))
                arguments.Add("--dry-run");
            return RunAsync(context, verb, arguments);
        }, symbols);
    }

    private static Task RunAsync(CommandContext context, string command, IEnumerable<string> arguments)
    {
        var tool = context.Tool(Tool, [command, .. arguments]);
        return FeaturesTool.RunAsync(tool, command, ArgparseParser.Parse(tool, command).Sub, context.Cluster);
    }
}
