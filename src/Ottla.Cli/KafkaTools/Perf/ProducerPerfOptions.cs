using Ottla.Cli.KafkaTools.Options;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>Reads the options of kafka-producer-perf-test.</summary>
internal static class ProducerPerfOptions
{
    private static readonly string[] Servers =
        ["bootstrap-server", "command-property", "producer-props", "producer.config", "command-config"];

    /// <summary>Reads and checks the options.</summary>
    /// <exception cref="ArgumentParserException">They do not make sense together.</exception>
    public static ParsedOptions Parse(ToolContext context)
    {
        var options = ArgparseParser.Parse(context).Main;
        options.Demand("topic", "num-records", "throughput");
        options.DemandOneOf(isRequired: true, "record-size", "payload-file", "payload-monotonic");
        if (!Servers.Any(options.Has))
        {
            throw new ArgumentParserException(
                "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or --command-config must be "
                    + "specified.");
        }

        if (options.Has("command-property") && options.Has("producer-props"))
            throw new ArgumentParserException("--command-property and --producer-props cannot be specified together.");
        if (options.Has("command-config") && options.Has("producer.config"))
            throw new ArgumentParserException("--command-config and --producer.config cannot be specified together.");
        if (options.Long("num-records") is not > 0)
            throw new ArgumentParserException("--num-records should be greater than zero.");
        if (options.Int("record-size") is <= 0)
            throw new ArgumentParserException("--record-size should be greater than zero.");
        OldNames.Warn(
            options, context, "Option --{0} has been deprecated and will be removed in a future version. Use --{1} instead.",
            ("producer-props", "command-property"), ("producer.config", "command-config"));
        return options;
    }

    /// <summary>The properties of the producer.</summary>
    public static Dictionary<string, string> Properties(ToolContext context, ParsedOptions options)
    {
        var file = options.Value("command-config") ?? options.Value("producer.config");
        var properties = (file is null ? context.Properties : ToolClient.ReadFile(file)).ToDictionary();
        foreach (var (name, value) in JoptTool.KeyValues([.. options.Values("producer-props"), .. options.Values("command-property")]))
            properties[name] = value;
        if (options.Value("bootstrap-server") is { } servers)
            properties["bootstrap.servers"] = servers;
        properties.TryAdd("client.id", "perf-producer-client");
        properties["allow.auto.create.topics"] = "true"; // Java's producers always ask for topics so
        if (options.Value("transactional-id") is { } id)
            properties["transactional.id"] = id;
        else if (options.Has("transaction-duration-ms"))
            properties.TryAdd("transactional.id", $"performance-producer-{Uuid.NewRandom()}");
        return properties;
    }
}
