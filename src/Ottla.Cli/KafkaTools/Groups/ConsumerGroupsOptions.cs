using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>Reads and checks the options of kafka-consumer-groups.</summary>
internal static class ConsumerGroupsOptions
{
    private static readonly string[] Actions = ["list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex"];

    private static readonly string[] Kinds = ["members", "offsets", "state"];

    private static readonly string[] Scenarios =
        ["to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "to-current", "shift-by", "from-file"];

    /// <summary>Reads the options.</summary>
    /// <exception cref="UsageException">They do not make sense together.</exception>
    public static ParsedOptions Parse(ToolContext context)
    {
        ParsedOptions options;
        try
        {
            options = JoptTool.Parse(context, "This tool helps to list, describe, delete and manage the offsets of consumer groups.");
            Check(context, options);
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }

        if (Actions.Count(options.Has) != 1)
        {
            throw new UsageException(
                $"Command must include exactly one action: {string.Join(", ", Actions.Select(action => $"--{action}"))}");
        }

        return options;
    }

    /// <summary>How offsets are to be set, by the names of the options; for messages.</summary>
    public static string ScenarioNames => $"[{string.Join(", ", Scenarios.Select(name => $"[{name}]"))}]";

    private static void Check(ToolContext context, ParsedOptions options)
    {
        if (!options.Has("validate-regex"))
            options.Require("bootstrap-server");
        if (options.Has("describe"))
            CheckDescribe(options);
        if (options.Has("delete"))
        {
            RequireGroups(options, "delete");
            if (options.Has("topic"))
                throw new UsageException("The consumer does not support topic-specific offset deletion from a consumer group.");
        }

        if (options.Has("delete-offsets") && (!options.Has("group") || !options.Has("topic")))
            throw new UsageException("Option [delete-offsets] takes the following options: [group], [topic]");
        if (options.Has("reset-offsets"))
            CheckReset(context, options);
        options.Refuse("group", "all-groups");
        options.Refuse("group", "list");
        options.Refuse("topic", "list", "describe");
    }

    private static void CheckDescribe(ParsedOptions options)
    {
        RequireGroups(options, "describe");
        if (Kinds.Count(options.Has) > 1)
            throw new UsageException("Option [describe] takes at most one of these options: [members], [offsets], [state]");
        if (options.Value("state") is not null)
            throw new UsageException("Option [describe] does not take a value for [state]");
    }

    private static void CheckReset(ToolContext context, ParsedOptions options)
    {
        if (options.Has("dry-run") && options.Has("execute"))
            throw new UsageException("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
        if (!options.Has("dry-run") && !options.Has("execute"))
        {
            context.Error.WriteLine(
                "WARN: Nothing is changed, because --execute is missing. Kafka 5.0 will demand --dry-run or --execute: scripts should say "
                    + "--dry-run.");
        }

        RequireGroups(options, "reset-offsets");
        foreach (var scenario in Scenarios)
            options.Refuse(scenario, [.. Scenarios.Where(other => other != scenario)]);
    }

    private static void RequireGroups(ParsedOptions options, string action)
    {
        if (!options.Has("group") && !options.Has("all-groups"))
            throw new UsageException($"Option [{action}] takes one of these options: [group], [all-groups]");
    }
}
