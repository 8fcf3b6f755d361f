using System.CommandLine;
using System.CommandLine.Help;
using Ottla.Client;

namespace Ottla.Cli.Framework;

/// <summary>Says which words can follow on a command line, from the table of commands; and asks the cluster for names of topics and
/// groups.</summary>
internal static class Completion
{
    /// <summary>The first argument with which shells ask: the words of the line follow, the last one is being written.</summary>
    public const string Command = "__complete";

    /// <summary>A shell must not be held up for long by a cluster that does not answer.</summary>
    private const string Patience = "1s";

    /// <summary>The words that can stand where the last word is.</summary>
    /// <param name="root">The table of commands.</param>
    /// <param name="words">The words behind <c>ottla</c>.</param>
    /// <param name="lookUp">Finds the names of what stands for topics or groups in help, for a command line; null for none.</param>
    public static IReadOnlyList<string> Find(
        RootCommand root, IReadOnlyList<string> words, Func<string, IReadOnlyList<string>, IEnumerable<string>>? lookUp = null)
    {
        var prefix = words.Count > 0 ? words[^1] : "";
        var command = (Command)root;
        Option? open = null;
        var position = 0;
        foreach (var word in words.SkipLast(1))
        {
            if (open is not null)
                open = null;
            else if (word.StartsWith('-'))
                open = command.Options.FirstOrDefault(option => Names(option).Contains(word)) is { } option && TakesValue(option) ? option
                    : null;
            else if (command.Subcommands.FirstOrDefault(each => each.Name == word || each.Aliases.Contains(word)) is { } sub)
                (command, position) = (sub, 0);
            else
                position++;
        }

        var candidates = open is not null ? ValuesOf(open, words, lookUp)
            : prefix.StartsWith('-') ? command.Options.Where(each => !each.Hidden && each is not VersionOption).Select(each => each.Name)
            : command.Subcommands.Count > 0 ? command.Subcommands.Where(each => !each.Hidden).Select(each => each.Name)
            : ArgumentAt(command, position) is { } argument ? ValuesOf(argument, words, lookUp) : [];
        return [.. candidates.Where(each => each.StartsWith(prefix, StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>Prints the words that can follow. A cluster that does not answer is no error: there are no names then.</summary>
    public static int Run(RootCommand root, string[] words)
    {
        foreach (var word in Find(root, words, LookUp))
            Console.WriteLine(word);
        return Commands.ExitCode.Success;

        IEnumerable<string> LookUp(string what, IReadOnlyList<string> line)
        {
            // Synchronous, because so is the completion of a shell: the process does nothing else.
            return LookUpAsync(root, what, line).GetAwaiter().GetResult();
        }
    }

    private static async Task<IEnumerable<string>> LookUpAsync(RootCommand root, string what, IReadOnlyList<string> line)
    {
        // What is on the line so far may name the cluster; what cannot be parsed does not matter.
        List<string> words = [.. line.SkipLast(1)];
        if (words.Count > 0 && words[^1].StartsWith('-'))
            words.RemoveAt(words.Count - 1);
        try
        {
            await using var context = new CommandContext(root.Parse([.. words, ConnectionOptions.Timeout.Name, Patience]));
            if (what == CommonOptions.TopicName)
                return (await context.Admin.ListTopicsAsync()).Select(topic => topic.Name);
            return (await context.Admin.ListGroupsAsync()).Items.Select(group => group.GroupId);
        }
        catch (Exception e) when (e is KafkaException or Configuration.ConfigException or InvalidOperationException)
        {
            return []; // there is no place to tell it: a completion prints words
        }
    }

    private static IEnumerable<string> ValuesOf(
        Symbol symbol, IReadOnlyList<string> words, Func<string, IReadOnlyList<string>, IEnumerable<string>>? lookUp)
    {
        var helpName = (symbol as Option)?.HelpName ?? (symbol as Argument)?.HelpName;
        if (helpName is CommonOptions.TopicName or CommonOptions.GroupName)
            return lookUp?.Invoke(helpName, words) ?? [];
        return symbol.GetCompletions(System.CommandLine.Completions.CompletionContext.Empty).Select(each => each.Label);
    }

    private static Argument? ArgumentAt(Command command, int position)
    {
        for (var i = 0; i < command.Arguments.Count; i++)
        {
            if (i == position || command.Arguments[i].Arity.MaximumNumberOfValues > 1)
                return command.Arguments[i];
        }

        return null;
    }

    private static IEnumerable<string> Names(Option option) => option.Aliases.Prepend(option.Name);

    private static bool TakesValue(Option option) => option.ValueType != typeof(bool) && option is not (HelpOption or VersionOption);
}
