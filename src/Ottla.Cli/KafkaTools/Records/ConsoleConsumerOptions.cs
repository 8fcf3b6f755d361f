using System.Globalization;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>Reads and checks the options of kafka-console-consumer.</summary>
internal static class ConsoleConsumerOptions
{
    /// <summary>Start at the first record.</summary>
    public const long Earliest = -2;

    /// <summary>Start at the end.</summary>
    public const long Latest = -1;

    private const string DefaultFormatter = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";

    /// <summary>Reads the options.</summary>
    /// <exception cref="UsageException">They do not make sense together.</exception>
    public static ParsedOptions Parse(ToolContext context)
    {
        try
        {
            var options = JoptTool.Parse(context, "This tool helps to read data from Kafka topics and outputs it to standard output.");
            options.RequireOneOf("topic", "include");
            if (options.Int("partition") is not null)
            {
                if (!options.Has("topic"))
                    throw new UsageException("The topic is required when partition is specified.");
                if (options.Has("from-beginning") && options.Has("offset"))
                    throw new UsageException("Options from-beginning and offset cannot be specified together.");
            }
            else if (options.Has("offset"))
            {
                throw new UsageException("The partition is required when offset is specified.");
            }

            options.Require("bootstrap-server");
            OldNames.Refuse(options, ("consumer-property", "command-property"), ("consumer.config", "command-config"));
            OldNames.Warn(
                options, context, "Option --{0} is deprecated and will be removed in a future version. Use --{1} instead.",
                ("consumer-property", "command-property"), ("consumer.config", "command-config"));
            return options;
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }
    }

    /// <summary>The properties of the consumer.</summary>
    /// <exception cref="UsageException">Groups are named in several places, or beside a partition.</exception>
    public static Dictionary<string, string> Properties(ParsedOptions options, ToolContext context)
    {
        var file = options.Value("command-config") ?? options.Value("consumer.config");
        var fromFile = file is null ? new Dictionary<string, string>() : ToolClient.ReadFile(file);
        var given = JoptTool.KeyValues([.. options.Values("consumer-property"), .. options.Values("command-property")]).ToList();
        string?[] named =
            [options.Value("group"), fromFile.GetValueOrDefault("group.id"),
                .. given.Where(each => each.Key == "group.id").Select(each => each.Value)];
        var groups = named.OfType<string>().Distinct().ToList();
        if (groups.Count > 1)
        {
            throw new UsageException(
                "The group ids provided in different places (directly using '--group', via '--consumer-property', or via "
                    + $"'--consumer.config') do not match. Detected group ids: {string.Join(", ", groups.Select(group => $"'{group}'"))}");
        }

        var hasPartition = options.Has("partition");
        if (groups.Count > 0 && hasPartition)
            throw new UsageException("Options group and partition cannot be specified together.");
        var properties = fromFile.ToDictionary();
        foreach (var (name, value) in given)
            properties[name] = value;
        SetReset(options, context, properties);
        properties["bootstrap.servers"] = options.Value("bootstrap-server")!;
        properties.TryAdd("client.id", "console-consumer");
        properties.TryAdd("group.protocol", "classic");
        properties.TryAdd("allow.auto.create.topics", "true");
        properties["isolation.level"] = options.Value("isolation-level") ?? "read_uncommitted";
        if (groups.Count > 0)
        {
            properties["group.id"] = groups[0];
        }
        else if (!hasPartition)
        {
            const ulong idsMax = 100_000;
            properties["group.id"] = string.Create(CultureInfo.InvariantCulture, $"console-consumer-{Uuid.NewRandom().Low % idsMax}");
            properties.TryAdd("enable.auto.commit", "false"); // nobody knows the group afterwards
        }

        return properties;
    }

    /// <summary>Where a partition that is named begins: an offset, <see cref="Earliest"/> or <see cref="Latest"/>.</summary>
    public static long StartOf(ParsedOptions options)
    {
        if (options.Value("offset") is not { } text)
            return options.Has("from-beginning") ? Earliest : Latest;
        return text.ToLowerInvariant() switch
        {
            "earliest" => Earliest,
            "latest" => Latest,
            var number when long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var offset) => offset,
            _ => throw new UsageException(
                $"The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."),
        };
    }

    /// <summary>The formatter.</summary>
    /// <exception cref="UsageException">There is no such class here.</exception>
    public static MessageFormatters.Formatter FormatterOf(ParsedOptions options, ToolContext context)
    {
        OldNames.Refuse(options, ("property", "formatter-property"));
        OldNames.Warn(
            options, context, "Option --{0} is deprecated and will be removed in a future version. Use --{1} instead.",
            ("property", "formatter-property"));
        var properties = options.Value("formatter-config") is { } file ? ToolClient.ReadFile(file).ToDictionary() : [];
        if (options.Value("key-deserializer") is { Length: > 0 } key)
            properties["key.deserializer"] = key;
        if (options.Value("value-deserializer") is { Length: > 0 } value)
            properties["value.deserializer"] = value;
        foreach (var (name, text) in JoptTool.KeyValues([.. options.Values("property"), .. options.Values("formatter-property")]))
            properties[name] = text;
        var @class = options.Value("formatter") ?? DefaultFormatter;
        return MessageFormatters.Find(@class, properties) ?? throw new UsageException(@class);
    }

    private static void SetReset(ParsedOptions options, ToolContext context, Dictionary<string, string> properties)
    {
        const string reset = "auto.offset.reset";
        var fromBeginning = options.Has("from-beginning");
        if (!properties.TryGetValue(reset, out var given))
        {
            properties[reset] = fromBeginning ? "earliest" : "latest";
        }
        else if (fromBeginning && given != "earliest")
        {
            context.Error.WriteLine(
                $"Can't simultaneously specify --from-beginning and 'auto.offset.reset={given}', please remove one option");
            throw new ToolEndException(1);
        }
    }
}
