using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools;

/// <summary>What the tools with joptsimple's command line have in common.</summary>
internal static class JoptTool
{
    /// <summary>The version of Kafka whose tools these are.</summary>
    public const string KafkaVersion = "4.4.0";

    /// <summary>Reads the options, and prints help and version where they are asked for.</summary>
    /// <param name="context">The invocation.</param>
    /// <param name="purpose">What the tool is for, in a sentence.</param>
    /// <exception cref="ToolEndException">Help or version is printed.</exception>
    /// <exception cref="OptionException">An option is unknown, or lacks its value.</exception>
    public static ParsedOptions Parse(ToolContext context, string purpose)
    {
        var options = JoptParser.Parse(OptionTable.Of(context.Tool), context.Arguments);
        if (context.Arguments.Count == 0 || options.Has("help"))
        {
            context.Error.WriteLine(purpose);
            OptionHelp.Write(options.Table, context.Error);
            throw new ToolEndException(1);
        }

        if (options.Has("version"))
        {
            context.Output.WriteLine(KafkaVersion);
            throw new ToolEndException(0);
        }

        return options;
    }

    /// <summary>Reads <c>key=value</c> arguments; a key without a value has an empty one.</summary>
    public static IEnumerable<KeyValuePair<string, string>> KeyValues(IEnumerable<string> arguments) =>
        arguments.Select(argument => argument.Split('=', 2)).Select(pair => KeyValuePair.Create(pair[0], pair.Length > 1 ? pair[1] : ""));

    /// <summary>Checks that bootstrap servers can be read.</summary>
    /// <exception cref="UsageException">They cannot.</exception>
    public static void ValidateBootstrap(string? servers)
    {
        if (string.IsNullOrEmpty(servers) || servers.Split(',').Any(server => server.LastIndexOf(':') is var colon
            && (colon <= 0 || !ushort.TryParse(server.AsSpan(colon + 1).Trim(), out _))))
            throw new UsageException("Error while validating the bootstrap address");
    }
}
