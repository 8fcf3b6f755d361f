using System.Text.RegularExpressions;
using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>What <c>--add-config</c>, <c>--add-config-file</c> and <c>--delete-config</c> say.</summary>
/// <param name="Added">The configs to set, and their values.</param>
/// <param name="Deleted">The configs to take away.</param>
internal sealed partial record ConfigChanges(IReadOnlyDictionary<string, string> Added, IReadOnlyList<string> Deleted)
{
    /// <summary>Reads the options.</summary>
    /// <exception cref="JavaException">They cannot be read.</exception>
    public static ConfigChanges Read(ParsedOptions options)
    {
        var added = options.Value("add-config-file") is { } file ? ToolClient.ReadFile(file).ToDictionary() : [];
        if (options.Value("add-config") is { } text)
        {
            foreach (var pair in OutsideBrackets(text, ','))
            {
                if (OutsideBrackets(pair, '=') is not [var name, var value])
                {
                    throw JavaException.IllegalArgument(
                        "Invalid entity config: all configs to be added must be in the format \"key=val\" or  \"key=[val1,val2]\" to group "
                            + "values which contain commas.");
                }

                added[name.Trim()] = value.Replace("[", "", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Trim();
            }
        }

        if (added.Keys.FirstOrDefault(name => !Name().IsMatch(name)) is { } wrong)
            throw JavaException.IllegalArgument($"Invalid character found for config key: {wrong}");
        return new ConfigChanges(
            added, [.. options.Values("delete-config").SelectMany(names => names.Split(',')).Select(name => name.Trim())]);
    }

    /// <summary>Splits a text where no bracket is open.</summary>
    private static List<string> OutsideBrackets(string text, char separator)
    {
        var parts = new List<string>();
        var start = 0;
        var depth = 0;
        for (var at = 0; at < text.Length; at++)
        {
            if (text[at] == '[')
                depth++;
            else if (text[at] == ']')
                depth--;
            if (text[at] != separator || depth > 0)
                continue;
            parts.Add(text[start..at]);
            start = at + 1;
        }

        parts.Add(text[start..]);
        return parts;
    }

    [GeneratedRegex("^[$a-zA-Z0-9._-]*$")]
    private static partial Regex Name();
}
