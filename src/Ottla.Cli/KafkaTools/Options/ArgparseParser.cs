using System.Globalization;

namespace Ottla.Cli.KafkaTools.Options;

/// <summary>A command line of a tool with sub-commands.</summary>
/// <param name="Main">The options of the tool.</param>
/// <param name="Command">The sub-command; null for a tool without.</param>
/// <param name="Sub">The options of the sub-command; those of the tool when it has none.</param>
internal sealed record ArgparseResult(ParsedOptions Main, string? Command, ParsedOptions Sub);

/// <summary>
/// Reads a command line as those of Kafka's tools do whose parser is argparse4j: options may be abbreviated, and a sub-command has options
/// of its own behind it.
/// </summary>
internal static class ArgparseParser
{
    /// <summary>Parses the arguments of a tool with sub-commands.</summary>
    /// <param name="context">The invocation.</param>
    /// <param name="commands">The sub-commands; empty for a tool without.</param>
    /// <exception cref="ArgumentParserException">Something is unknown or missing.</exception>
    /// <exception cref="ToolEndException">Help is printed.</exception>
    public static ArgparseResult Parse(ToolContext context, params IReadOnlyList<string> commands)
    {
        var table = OptionTable.Of(context.Tool);
        var position = 0;
        var main = ParseOptions(context, table, ref position, stopsAtPositional: commands.Count > 0);
        if (commands.Count == 0)
            return new ArgparseResult(main, null, main);
        if (position == context.Arguments.Count)
            throw new ArgumentParserException("too few arguments");
        var command = context.Arguments[position++];
        if (!commands.Contains(command))
        {
            throw new ArgumentParserException(
                $"invalid choice: '{command}' (choose from {string.Join(", ", commands.Select(each => $"'{each}'"))})");
        }

        var sub = ParseOptions(context, OptionTable.Of($"{context.Tool} {command}"), ref position, stopsAtPositional: false);
        return new ArgparseResult(main, command, sub);
    }

    /// <summary>Parses the options of a tool up to the first argument that is none.</summary>
    /// <param name="context">The invocation.</param>
    /// <returns>The options, and the arguments from there on.</returns>
    /// <exception cref="ArgumentParserException">An option is unknown, or lacks its value.</exception>
    /// <exception cref="ToolEndException">Help is printed.</exception>
    public static (ParsedOptions Options, IReadOnlyList<string> Arguments) ParseLeading(ToolContext context)
    {
        var position = 0;
        var options = ParseOptions(context, OptionTable.Of(context.Tool), ref position, stopsAtPositional: true);
        return (options, [.. context.Arguments.Skip(position)]);
    }

    private static ParsedOptions ParseOptions(ToolContext context, OptionTable table, ref int position, bool stopsAtPositional)
    {
        var given = new List<(OptionSpec, string?)>();
        for (; position < context.Arguments.Count; position++)
        {
            var argument = context.Arguments[position];
            if (!LooksLikeOption(argument))
            {
                if (stopsAtPositional)
                    break;
                throw new ArgumentParserException($"unrecognized arguments: '{argument}'");
            }

            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? argument : argument[..equals];
            var option = Find(table, name);
            if (option.Name == "help")
            {
                var output = table.IsHelpOnOutput ? context.Output : context.Error;
                OptionHelp.Write(table, output);
                throw new ToolEndException(table.HelpExitCode);
            }

            if (option.Argument == OptionArgument.None)
            {
                given.Add((option, null));
                continue;
            }

            if (equals >= 0)
            {
                given.Add((option, argument[(equals + 1)..]));
                continue;
            }

            var first = position;
            while (position + 1 < context.Arguments.Count && !LooksLikeOption(context.Arguments[position + 1])
                && (position == first || TakesMany(option)))
                given.Add((option, context.Arguments[++position]));
            if (position == first)
                throw new ArgumentParserException(
                    $"argument {string.Join('/', option.Names)}: expected {(TakesMany(option) ? "at least " : "")}one argument");
        }

        return new ParsedOptions(table, given);
    }

    private static bool TakesMany(OptionSpec option) => option.Placeholder.EndsWith("...]", StringComparison.Ordinal);

    private static OptionSpec Find(OptionTable table, string name)
    {
        if (table.Options.FirstOrDefault(option => option.Names.Contains(name)) is { } exact)
            return exact;
        var matches = name.StartsWith("--", StringComparison.Ordinal)
            ? table.Options.Where(option => option.Names.Any(each => each.StartsWith(name, StringComparison.Ordinal))).ToList() : [];
        return matches.Count switch
        {
            1 => matches[0],
            0 => throw new ArgumentParserException($"unrecognized arguments: '{name}'"),
            _ => throw new ArgumentParserException(
                $"ambiguous option: {name} could match {string.Join(", ", matches.Select(each => $"--{each.Name}"))}"),
        };
    }

    /// <summary>A negative number is a value: no tool has options that look like numbers.</summary>
    private static bool LooksLikeOption(string argument) => argument.Length > 1 && argument.StartsWith('-')
        && !double.TryParse(argument, NumberStyles.Float, CultureInfo.InvariantCulture, out _);
}

/// <summary>A command line of a tool with sub-commands is wrong.</summary>
/// <param name="message">What is wrong.</param>
internal sealed class ArgumentParserException(string message) : Exception(message);
