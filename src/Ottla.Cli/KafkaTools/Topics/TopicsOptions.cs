using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools.Topics;

/// <summary>Reads and checks the options of kafka-topics.</summary>
internal static class TopicsOptions
{
    private static readonly string[] Actions = ["create", "list", "alter", "describe", "delete"];

    private static readonly string[] Reports =
        ["under-replicated-partitions", "under-min-isr-partitions", "at-min-isr-partitions", "unavailable-partitions"];

    /// <summary>Those that go with some actions only, in the order in which Kafka looks at them.</summary>
    private static readonly string[] TopicLevel =
        ["alter", "create", "describe", "list", "delete"];

    /// <summary>Reads the options.</summary>
    /// <exception cref="UsageException">They do not make sense together.</exception>
    public static ParsedOptions Parse(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to create, delete, describe, or change a topic.");
        if (Actions.Count(options.Has) != 1)
            throw new UsageException("Command must include exactly one action: --list, --describe, --create, --alter or --delete");
        if (options.Has("delete-config"))
            context.Error.WriteLine("--delete-config does nothing since Kafka 4.0: kafka-configs takes configs away.");
        CheckRequired(context, options);
        CheckRefused(options);
        return options;
    }

    private static void CheckRequired(ToolContext context, ParsedOptions options)
    {
        if (!options.Has("bootstrap-server"))
            throw JavaException.IllegalArgument("--bootstrap-server must be specified");
        if (options.Has("describe") && options.Has("if-exists"))
        {
            if (!options.Has("topic") && !options.Has("topic-id"))
                throw new UsageException("--topic or --topic-id is required to describe a topic");
            if (options.Has("topic") && options.Has("topic-id"))
            {
                context.Output.WriteLine(
                    "Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID");
            }
        }

        if (!options.Has("list") && !options.Has("describe"))
            options.Require("topic");
        if (!options.Has("alter"))
            return;
        if (options.Has("config"))
        {
            throw new UsageException(
                "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" (To alter topic "
                    + "configurations, the kafka-configs tool can be used.)");
        }

        options.Require("partitions");
    }

    private static void CheckRefused(ParsedOptions options)
    {
        RefuseUnless(options, "config", "alter", "create");
        RefuseUnless(options, "partitions", "alter", "create");
        RefuseUnless(options, "replication-factor", "create");
        RefuseUnless(options, "replica-assignment", "alter", "create");
        if (options.Has("create"))
            options.Refuse("replica-assignment", "partitions", "replication-factor");
        foreach (var report in Reports)
        {
            RefuseUnless(options, report, "describe");
            options.Refuse(report, "topics-with-overrides");
        }

        RefuseUnless(options, "topics-with-overrides", "describe");
        RefuseUnless(options, "if-exists", "alter", "delete", "describe");
        RefuseUnless(options, "if-not-exists", "create");
        RefuseUnless(options, "exclude-internal", "list", "describe");
    }

    private static void RefuseUnless(ParsedOptions options, string option, params string[] actions) =>
        options.Refuse(option, [.. TopicLevel.Except(actions)]);
}
