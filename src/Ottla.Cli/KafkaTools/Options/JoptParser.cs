using System.Globalization;

namespace Ottla.Cli.KafkaTools.Options;

/// <summary>
/// Reads a command line as most of Kafka's tools do (their parser is joptsimple, without abbreviations): <c>--option value</c>,
/// <c>--option=value</c>, single dashes too; what is no option is passed over.
/// </summary>
internal static class JoptParser
{
    /// <summary>Parses arguments.</summary>
    /// <exception cref="OptionException">An option is unknown, or lacks its value.</exception>
    public static ParsedOptions Parse(OptionTable table, IReadOnlyList<string> arguments)
    {
        var given = new List<(OptionSpec, string?)>();
        for (var at = 0; at < arguments.Count; at++)
        {
            var argument = arguments[at];
            if (argument == "--")
                break;
            if (!LooksLikeOption(argument))
                continue;
            var text = argument.StartsWith("--", StringComparison.Ordinal) ? argument[2..] : argument[1..];
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? text : text[..equals];
            var value = equals < 0 ? null : text[(equals + 1)..];
            var option = table.Find(name) ?? throw new OptionException($"{name} is not a recognized option");
            switch (option.Argument)
            {
                case OptionArgument.Required when value is null:
                    if (++at == arguments.Count)
                        throw new OptionException($"Option {option.Name} requires an argument");
                    value = arguments[at];
                    break;
                case OptionArgument.Optional when value is null && at + 1 < arguments.Count && MayBeValue(option, arguments[at + 1]):
                    value = arguments[++at];
                    break;
                case OptionArgument.None when value is not null:
                    throw new OptionException($"Option {option.Name} does not expect any arguments");
            }

            given.Add((option, value));
        }

        return new ParsedOptions(table, given);
    }

    /// <summary>An optional value does not look like an option, but a negative number may.</summary>
    private static bool MayBeValue(OptionSpec option, string next) => !LooksLikeOption(next)
        || (option.Type is "Integer" or "Long" && long.TryParse(next, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _));

    private static bool LooksLikeOption(string argument) => argument.StartsWith('-') && argument != "-";
}
