using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Text;

namespace Ottla.Cli.Framework;

/// <summary>Prints the help of a command from the table of commands.</summary>
internal sealed class CommandHelp : SynchronousCommandLineAction
{
    private const int Indent = 2;
    private const int WidthDefault = 100;
    private const int LeftMax = 38;

    /// <summary>Has a command line print this help.</summary>
    public static void Install(RootCommand root)
    {
        foreach (var option in root.Options)
        {
            if (option is HelpOption help)
                help.Action = new CommandHelp();
        }
    }

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        var width = Console.IsOutputRedirected ? WidthDefault : Math.Max(60, Console.WindowWidth);
        parseResult.InvocationConfiguration.Output.Write(Of(parseResult.CommandResult.Command, width));
        return Commands.ExitCode.Success;
    }

    /// <summary>The help of a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="width">How wide lines may be.</param>
    public static string Of(Command command, int width)
    {
        var text = new StringBuilder();
        Wrap(text, command.Description ?? "", 0, width);
        text.Append($"\nUsage: {UsageOf(command)}\n");
        if (command is ClusterCommand { Example: var example })
            text.Append($"Example: ottla {example}\n");
        Section(text, "Commands", command.Subcommands.Where(each => !each.Hidden).Select(each => (NamesOf(each), each.Description)), width);
        Section(text, "Arguments", command.Arguments.Where(each => !each.Hidden).Select(each => (NameOf(each), each.Description)), width);
        var own = OptionsOf(command).ToList();
        Section(text, "Options", own.Where(each => !ConnectionOptions.All.Contains(each)).Select(RowOf), width);
        Section(text, "Cluster and output", own.Where(ConnectionOptions.All.Contains).Select(RowOf), width);
        return text.ToString();
    }

    /// <summary>What to tell beside a mistake in a command line.</summary>
    public static string HintOf(Command command) => $"Usage: {UsageOf(command)}\n'{PathOf(command)} --help' explains the options.";

    /// <summary>How a command is called: <c>ottla topic create TOPIC... [options]</c>.</summary>
    public static string UsageOf(Command command)
    {
        var usage = PathOf(command);
        if (command.Subcommands.Count > 0)
            usage += " COMMAND";
        foreach (var argument in command.Arguments.Where(each => !each.Hidden))
            usage += $" {NameOf(argument)}";
        foreach (var option in OptionsOf(command).Where(each => each.Required))
            usage += $" {NameOf(option).Split(", ")[0]}" + (option.Aliases.Count > 0 && option.HelpName is { } name ? $" {name}" : "");
        return OptionsOf(command).Any() ? $"{usage} [options]" : usage;
    }

    /// <summary>The options that help shows.</summary>
    public static IEnumerable<Option> OptionsOf(Command command) =>
        command.Options.Where(each => !each.Hidden && each is not (HelpOption or VersionOption));

    /// <summary>An argument as help shows it: <c>[TOPIC...]</c>.</summary>
    public static string NameOf(Argument argument)
    {
        var name = argument.HelpName ?? argument.Name.ToUpperInvariant();
        if (argument.Arity.MaximumNumberOfValues > 1)
            name += "...";
        return argument.Arity.MinimumNumberOfValues == 0 ? $"[{name}]" : name;
    }

    /// <summary>An option as help shows it: <c>--partitions, -p N</c>.</summary>
    public static string NameOf(Option option)
    {
        var names = string.Join(", ", option.Aliases.Prepend(option.Name));
        return option.HelpName is { } help ? $"{names} {help}" : names;
    }

    private static string PathOf(Command command)
    {
        var names = new List<string>();
        for (var each = command; each is not (null or RootCommand); each = each.Parents.OfType<Command>().FirstOrDefault())
            names.Insert(0, each.Name);
        return string.Join(' ', names.Prepend("ottla"));
    }

    private static string NamesOf(Command command) => string.Join(", ", command.Aliases.Prepend(command.Name));

    private static (string Left, string? Right) RowOf(Option option) =>
        (NameOf(option), option.Required ? $"{option.Description} Required." : option.Description);

    private static void Section(StringBuilder text, string heading, IEnumerable<(string Left, string? Right)> rows, int width)
    {
        var all = rows.ToList();
        if (all.Count == 0)
            return;
        text.Append($"\n{heading}:\n");
        var left = Math.Min(LeftMax, all.Max(row => row.Left.Length)) + Indent + 2;
        foreach (var (name, description) in all)
        {
            text.Append(' ', Indent).Append(name);
            if (name.Length + Indent + 2 > left)
                text.Append('\n').Append(' ', left);
            else
                text.Append(' ', left - Indent - name.Length);
            Wrap(text, description ?? "", left, width);
        }
    }

    /// <summary>Adds words in lines that begin at a column; the first line has begun.</summary>
    private static void Wrap(StringBuilder text, string words, int column, int width)
    {
        var at = column;
        foreach (var word in words.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (at > column && at + 1 + word.Length > width)
            {
                text.Append('\n').Append(' ', column);
                at = column;
            }
            else if (at > column)
            {
                text.Append(' ');
                at++;
            }

            text.Append(word);
            at += word.Length;
        }

        text.Append('\n');
    }
}
