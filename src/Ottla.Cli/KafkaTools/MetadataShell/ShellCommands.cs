using System.Globalization;

namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>The commands of the shell. Owned by the tool; it keeps the working directory and what was typed.</summary>
/// <param name="root">The root of the tree.</param>
/// <param name="output">Where commands write.</param>
/// <param name="screenWidth">The columns of the terminal; 0 when there is none. Null runs a single command, not a shell.</param>
internal sealed class ShellCommands(MetadataNode root, TextWriter output, int? screenWidth)
{
    private readonly List<string> _history = [];
    private string _workingDirectory = "/";

    /// <summary>Whether <c>exit</c> was typed.</summary>
    public bool HasEnded { get; private set; }

    private IEnumerable<ShellCommand> Commands => new ShellCommand[]
    {
        new("cat", "Show the contents of metadata files.", "TARGET...", 1, int.MaxValue, Cat),
        new("cd", "Set the current working directory.", "[TARGET]", 0, 1, ChangeDirectory, IsShellOnly: true),
        new("exit", "Exit the metadata shell.", "", 0, 0, _ => HasEnded = true, IsShellOnly: true),
        new("find", "Search for nodes in the directory hierarchy.", "[PATH...]", 0, int.MaxValue, Find),
        new("help", "Display this help message.", "", 0, 0, _ => Help(), IsShellOnly: true),
        new("history", "Print command history.", "[ENTRIES]", 0, 1, History, IsShellOnly: true),
        new("ls", "List metadata nodes.", "[TARGET...]", 0, int.MaxValue, List),
        new("man", "Show the help text for a specific command.", "COMMAND", 1, 1, arguments => Manual(arguments[0]), IsShellOnly: true),
        new("pwd", "Print the current working directory.", "", 0, 0, _ => output.WriteLine(_workingDirectory), IsShellOnly: true),
        new("tree", "Show the contents of metadata nodes in a tree structure.", "TARGET...", 1, int.MaxValue, Tree),
    }.Where(command => screenWidth is not null || !command.IsShellOnly);

    /// <summary>Runs a command.</summary>
    /// <param name="words">The command and its arguments.</param>
    public void Run(IReadOnlyList<string> words)
    {
        if (words.Count == 0)
            return;
        _history.Add(string.Join(' ', words));
        if (Commands.FirstOrDefault(command => command.Name == words[0]) is not { } command)
        {
            output.WriteLine(
                $"invalid choice: '{words[0]}' (choose from {string.Join(", ", Commands.Select(each => $"'{each.Name}'"))})");
            return;
        }

        var arguments = words.Skip(1).ToList();
        if (arguments.Count < command.ArgumentsMin)
            output.WriteLine("too few arguments");
        else if (arguments.Count > command.ArgumentsMax)
            output.WriteLine($"unrecognized arguments: '{arguments[command.ArgumentsMax]}'");
        else
            command.Action(arguments);
    }

    private void Cat(IReadOnlyList<string> targets)
    {
        foreach (var target in targets)
        {
            var matches = Match(target);
            foreach (var match in matches)
                output.WriteLine(match.Node.IsDirectory ? $"cat: {target}: Is a directory" : match.Node.Text);
            if (matches.Count == 0)
                output.WriteLine($"cat: {target}: No such file or directory.");
        }
    }

    private void ChangeDirectory(IReadOnlyList<string> targets)
    {
        var target = targets is [{ Length: > 0 } given] ? given : "/";
        var matches = Match(target);
        foreach (var match in matches)
        {
            if (match.Node.IsDirectory)
                _workingDirectory = $"/{string.Join('/', match.Path)}";
            else
                output.WriteLine($"cd: {target}: not a directory.");
        }

        if (matches.Count == 0)
            output.WriteLine($"cd: {target}: no such directory.");
    }

    private void Find(IReadOnlyList<string> paths)
    {
        foreach (var path in OrWorkingDirectory(paths))
        {
            var matches = Match(path);
            foreach (var match in matches)
                WriteNames(path, match.Node);
            if (matches.Count == 0)
                output.WriteLine($"find: {path}: no such file or directory.");
        }
    }

    private void WriteNames(string path, MetadataNode node)
    {
        output.WriteLine(path);
        foreach (var (name, child) in node.Children)
            WriteNames(path == "/" ? $"/{name}" : $"{path}/{name}", child);
    }

    private void Help()
    {
        output.WriteLine("Welcome to the Apache Kafka metadata shell.\n");
        foreach (var command in Commands)
            output.WriteLine($"  {command.Name,-10}{command.Description}");
    }

    private void History(IReadOnlyList<string> arguments)
    {
        var count = _history.Count;
        if (arguments is [var text] && !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count))
        {
            output.WriteLine($"history: '{text}' is no number of entries.");
            return;
        }

        for (var i = Math.Max(0, _history.Count - count); i < _history.Count; i++)
            output.WriteLine($"{i,5}  {_history[i]}");
    }

    private void List(IReadOnlyList<string> targets)
    {
        var found = new List<ShellMatch>();
        foreach (var target in OrWorkingDirectory(targets))
        {
            var matches = Match(target);
            if (matches.Count == 0)
                output.WriteLine($"ls: {target}: no such file or directory.");
            found.AddRange(matches);
        }

        var files = found.Where(match => !match.Node.IsDirectory).Select(match => match.Name).ToList();
        var directories = found.Where(match => match.Node.IsDirectory).ToList();
        ShellColumns.Write(output, screenWidth ?? 0, files);
        var hasTitles = files.Count > 0 || directories.Count > 1;
        var isFirst = files.Count == 0;
        foreach (var directory in directories)
        {
            var names = directory.Node.Children.Keys.ToList();
            if (hasTitles && names.Count > 0)
                output.WriteLine(isFirst ? $"{directory.Name}:" : $"\n{directory.Name}:");
            isFirst = false;
            ShellColumns.Write(output, screenWidth ?? 0, names);
        }
    }

    private void Manual(string name)
    {
        if (Commands.FirstOrDefault(command => command.Name == name) is not { } command)
            output.WriteLine($"man: unknown command {name}. Type help to get a list of commands.");
        else
            output.WriteLine($"{name}: {command.Description}\n\nusage: {$"{name} {command.Usage}".TrimEnd()}");
    }

    private void Tree(IReadOnlyList<string> targets)
    {
        foreach (var target in targets)
        {
            var matches = Match(target);
            foreach (var match in matches)
                WriteTree(match.Node, "");
            if (matches.Count == 0)
                output.WriteLine($"tree: {target}: No such file or directory.");
        }
    }

    private void WriteTree(MetadataNode node, string indentation)
    {
        if (!node.IsDirectory)
            output.WriteLine($"{indentation}{node.Text}");
        foreach (var (name, child) in node.Children)
        {
            output.WriteLine($"{indentation}{name}:");
            WriteTree(child, $"{indentation}  ");
        }
    }

    private List<ShellMatch> Match(string path) => [.. ShellPath.Find(root, ShellPath.Split(path, _workingDirectory))];

    private static List<string> OrWorkingDirectory(IReadOnlyList<string> paths)
    {
        var given = paths.Where(path => path.Length > 0).ToList();
        return given.Count > 0 ? given : ["."];
    }

    private sealed record ShellCommand(
        string Name, string Description, string Usage, int ArgumentsMin, int ArgumentsMax, Action<IReadOnlyList<string>> Action,
        bool IsShellOnly = false);
}
