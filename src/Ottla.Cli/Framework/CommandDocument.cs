using System.CommandLine;
using System.Text;

namespace Ottla.Cli.Framework;

/// <summary>Writes the reference in docs/cli.md from the table of commands.</summary>
internal static class CommandDocument
{
    /// <summary>The sections of all commands.</summary>
    public static string Of(RootCommand root)
    {
        var text = new StringBuilder();
        text.Append("\n## What every command for clusters takes\n\n");
        Options(text, ConnectionOptions.All);
        foreach (var command in root.Subcommands.Where(each => !each.Hidden))
        {
            var names = string.Join(", ", command.Aliases.Prepend(command.Name));
            text.Append($"\n## {names}\n\n{Escaped(command.Description)}\n");
            if (command.Subcommands.Count == 0)
                Body(text, command);
            foreach (var sub in command.Subcommands.Where(each => !each.Hidden))
            {
                text.Append($"\n### {command.Name} {string.Join(", ", sub.Aliases.Prepend(sub.Name))}\n\n{Escaped(sub.Description)}\n");
                Body(text, sub);
            }
        }

        return text.ToString();
    }

    private static void Body(StringBuilder text, Command command)
    {
        text.Append($"\n```sh\n{CommandHelp.UsageOf(command)}\n");
        if (command is ClusterCommand { Example: var example })
            text.Append($"ottla {example}\n");
        text.Append("```\n");
        var arguments = command.Arguments.Where(each => !each.Hidden).Select(each => (CommandHelp.NameOf(each), each.Description ?? ""));
        var options = CommandHelp.OptionsOf(command).Where(each => !ConnectionOptions.All.Contains(each)).ToList();
        if (arguments.Any() || options.Count > 0)
        {
            text.Append('\n');
            Rows(text, arguments.Concat(options.Select(each => (CommandHelp.NameOf(each), each.Description ?? ""))));
        }
    }

    private static void Options(StringBuilder text, IEnumerable<Option> options) =>
        Rows(text, options.Select(each => (CommandHelp.NameOf(each), each.Description ?? "")));

    private static void Rows(StringBuilder text, IEnumerable<(string Name, string Description)> rows)
    {
        text.Append("| | |\n|---|---|\n");
        foreach (var (name, description) in rows)
            text.Append($"| `{name.Replace("|", "\\|", StringComparison.Ordinal)}` | {Escaped(description)} |\n");
    }

    private static string Escaped(string? text) => (text ?? "").Replace("|", "\\|", StringComparison.Ordinal)
        .Replace("*", "\\*", StringComparison.Ordinal).Replace("<", "\\<", StringComparison.Ordinal);
}
