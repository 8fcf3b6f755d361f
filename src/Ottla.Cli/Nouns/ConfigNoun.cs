using System.CommandLine;
using System.Globalization;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;
using ConfigResourceType = Ottla.Client.ConfigResourceType;
using ConfigSource = Ottla.Client.ConfigSource;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla config</c>: configs of topics, brokers, groups and subscriptions to metrics of clients.</summary>
internal static class ConfigNoun
{
    private static readonly string[] Types = ["topic", "broker", "logger", "group", "client-metrics"];

    public static Command Create() => ClusterCommand.Noun(
        "config", "See, set and unset configs of topics, brokers and groups.", CreateGet(), CreateSet(), CreateUnset(), CreateList());

    private static (Argument<string> Type, Argument<string> Name) Resource()
    {
        var type = new Argument<string>("type") { Description = $"{string.Join(", ", Types)}.", HelpName = "TYPE" };
        type.AcceptOnlyFromAmong(Types);
        return (type, new Argument<string>("name")
        {
            Description = "The topic, the id of the broker, or the group; 'default' for what holds for all brokers.",
            HelpName = "NAME",
        });
    }

    private static ConfigResource ResourceOf(CommandContext context, Argument<string> type, Argument<string> name)
    {
        var text = context.Value(name)!;
        if (context.Value(type) is "broker" or "logger" && text is not "default"
            && !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw new ConfigException($"'{text}' is no broker: the id of one is expected, or 'default'.");
        return context.Value(type) switch
        {
            "topic" => ConfigResource.Topic(text),
            "broker" => new ConfigResource(ConfigResourceType.Broker, text is "default" ? "" : text),
            "logger" => new ConfigResource(ConfigResourceType.BrokerLogger, text),
            "group" => ConfigResource.Group(text),
            _ => new ConfigResource(ConfigResourceType.ClientMetrics, text),
        };
    }

    private static ClusterCommand CreateGet()
    {
        var (type, name) = Resource();
        var names = new Argument<string[]>("config")
        {
            Description = "The configs; without them those that are set.",
            HelpName = "CONFIG",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var all = CommonOptions.Flag("--all", "Also those that have their defaults.", "-a");
        var explain = CommonOptions.Flag("--explain", "Also what each config means, and where its value comes from.");
        return new ClusterCommand(
            "get", "Print the configs of a topic, a broker or a group that are set; --all prints the others too.",
            "config get topic orders retention.ms", async context =>
            {
                var wanted = context.Value(names)!;
                var explains = context.Value(explain);
                var resource = ResourceOf(context, type, name);
                var results = await context.Admin.DescribeConfigsAsync([resource], explains, explains);
                var columns = new List<string> { "config", "value", "source", "readOnly", "sensitive" };
                if (explains)
                    columns.AddRange(["synonyms", "documentation"]);
                var rows = context.Rows([.. columns]);
                foreach (var entry in results[resource].Value.OrderBy(entry => entry.Name, StringComparer.Ordinal))
                {
                    if (wanted.Length > 0 ? !wanted.Contains(entry.Name) : entry.IsDefault && !context.Value(all))
                        continue;
                    var cells = new List<object?> { entry.Name, entry.Value, SourceOf(entry.Source), entry.IsReadOnly, entry.IsSensitive };
                    if (explains)
                    {
                        cells.Add(entry.Synonyms.Select(each => $"{SourceOf(each.Source)}:{each.Name}={each.Value}").ToList());
                        cells.Add(entry.Documentation);
                    }

                    rows.Add([.. cells]);
                }

                rows.End("Nothing is set; --all prints the defaults.");
                foreach (var missing in wanted.Where(each => results[resource].Value.All(entry => entry.Name != each)))
                    context.Fail($"There is no config '{missing}'.");
            }, type, name, names, all, explain);
    }

    private static string SourceOf(ConfigSource source) => source switch
    {
        ConfigSource.DynamicTopic => "topic",
        ConfigSource.DynamicBroker => "broker",
        ConfigSource.DynamicDefaultBroker => "all-brokers",
        ConfigSource.StaticBroker => "file",
        ConfigSource.Default => "default",
        ConfigSource.DynamicBrokerLogger => "logger",
        ConfigSource.ClientMetrics => "client-metrics",
        ConfigSource.Group => "group",
        _ => "unknown",
    };

    private static ClusterCommand CreateSet()
    {
        var (type, name) = Resource();
        var assignments = new Argument<string[]>("config")
        {
            Description = "NAME=VALUE sets a config, NAME+=VALUE and NAME-=VALUE add to a list and take from it.",
            HelpName = "NAME=VALUE",
            Arity = ArgumentArity.OneOrMore,
        };
        return new ClusterCommand(
            "set", "Set configs.", "config set topic orders retention.ms=86400000 cleanup.policy+=compact",
            context => AlterAsync(context, ResourceOf(context, type, name), [.. context.Value(assignments)!.Select(ChangeOf)]), type, name,
            assignments, CommonOptions.DryRun);
    }

    private static ClusterCommand CreateUnset()
    {
        var (type, name) = Resource();
        var names = new Argument<string[]>("config") { Description = "The configs.", HelpName = "CONFIG", Arity = ArgumentArity.OneOrMore };
        return new ClusterCommand(
            "unset", "Remove configs, so that they have their defaults again.", "config unset topic orders retention.ms",
            context => AlterAsync(context, ResourceOf(context, type, name), [.. context.Value(names)!.Select(ConfigChange.Delete)]), type,
            name, names, CommonOptions.DryRun);
    }

    private static ClusterCommand CreateList()
    {
        var type = CommonOptions.Text("--type", "Only resources of this type.", "TYPE");
        type.AcceptOnlyFromAmong(Types);
        return new ClusterCommand("list", "List the topics, brokers, groups and others that can have configs.", "config list --type group",
            async context =>
            {
                IReadOnlyCollection<ConfigResourceType>? types = context.Value(type) is { } wanted ? [TypeOf(wanted)] : null;
                var rows = context.Rows("type", "name");
                foreach (var resource in (await context.Admin.ListConfigResourcesAsync(types))
                    .OrderBy(each => each.Type).ThenBy(each => each.Name, StringComparer.Ordinal))
                    rows.Add(NameOf(resource.Type), resource.Name);
                rows.End("There are none.");
            }, type);
    }

    private static string NameOf(ConfigResourceType type) => Types.First(name => TypeOf(name) == type);

    private static ConfigResourceType TypeOf(string type) => type switch
    {
        "topic" => ConfigResourceType.Topic,
        "broker" => ConfigResourceType.Broker,
        "logger" => ConfigResourceType.BrokerLogger,
        "group" => ConfigResourceType.Group,
        _ => ConfigResourceType.ClientMetrics,
    };

    private static ConfigChange ChangeOf(string text)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        if (at <= 0)
            throw new ConfigException($"Cannot read '{text}'. Expected NAME=VALUE, NAME+=VALUE or NAME-=VALUE.");
        var (name, value) = (text[..at], text[(at + 1)..]);
        return name[^1] switch
        {
            '+' => new ConfigChange(name[..^1], value, ConfigOperation.Append),
            '-' => new ConfigChange(name[..^1], value, ConfigOperation.Subtract),
            _ => new ConfigChange(name, value),
        };
    }

    private static async Task AlterAsync(CommandContext context, ConfigResource resource, IReadOnlyList<ConfigChange> changes)
    {
        var isDryRun = context.Value(CommonOptions.DryRun);
        var results = await context.Admin.IncrementalAlterConfigsAsync(
            new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> { [resource] = changes }, isDryRun);
        results[resource].ThrowIfFailed();
        var before = isDryRun ? "Would be changed" : "Changed";
        var of = resource.Name.Length == 0 ? "all brokers" : $"{NameOf(resource.Type)} {resource.Name}";
        context.Done(
            $"{before}: {string.Join(", ", changes.Select(change => change.Name))} of {of}.", ("type", NameOf(resource.Type)),
            ("name", resource.Name), ("configs", changes.Select(change => change.Name).ToList()), ("changed", !isDryRun));
    }
}
