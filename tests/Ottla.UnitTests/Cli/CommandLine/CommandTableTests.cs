using System.CommandLine;
using Ottla.Cli.Commands;
using Ottla.Cli.Framework;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>The table of commands: what it parses, and the help and the completions that are made of it.</summary>
public sealed class CommandTableTests
{
    private static readonly RootCommand Root = RootCommandFactory.Create();

    public static TheoryData<string> AllCommands()
    {
        var names = new TheoryData<string>();
        foreach (var (path, _) in Leaves(Root, ""))
            names.Add(path);
        return names;
    }

    [Theory]
    [MemberData(nameof(AllCommands))]
    public void Every_command_has_a_summary_help_and_an_example_that_parses(string path)
    {
        var command = Leaves(Root, "").Single(each => each.Path == path).Command;
        Assert.False(string.IsNullOrWhiteSpace(command.Description));
        var help = CommandHelp.Of(command, 100);
        Assert.Contains($"Usage: ottla {path}", help, StringComparison.Ordinal);
        Assert.All(help.Split('\n'), line => Assert.True(line.Length <= 140, line));
        foreach (var option in CommandHelp.OptionsOf(command))
            Assert.False(string.IsNullOrWhiteSpace(option.Description), $"{path} {option.Name}");
        if (command is ClusterCommand { Example: var example })
        {
            Assert.StartsWith(path, example, StringComparison.Ordinal);
            var parsed = Root.Parse(example);
            Assert.True(parsed.Errors.Count == 0, $"{example}: {string.Join(' ', parsed.Errors.Select(error => error.Message))}");
            Assert.Same(command, parsed.CommandResult.Command);
        }
    }

    [Fact]
    public void No_command_has_two_options_of_one_name()
    {
        foreach (var (path, command) in Leaves(Root, ""))
        {
            var names = command.Options.SelectMany(option => option.Aliases.Append(option.Name)).ToList();
            var twice = names.GroupBy(name => name).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
            Assert.True(twice.Count == 0, $"ottla {path}: {string.Join(", ", twice)}");
        }
    }

    [Theory]
    [InlineData("features describe", "feature describe")]
    [InlineData("quorum status --bootstrap-controller localhost:9093", "quorum status")]
    [InlineData("partition status -B localhost:9092", "partition status")]
    [InlineData("user add alice", "user set")]
    public void Older_and_other_names_work(string line, string path)
    {
        var parsed = Root.Parse(line);
        Assert.Empty(parsed.Errors);
        Assert.StartsWith($"ottla {path}", CommandHelp.UsageOf(parsed.CommandResult.Command), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("topic create", "TOPIC")]
    [InlineData("topic list --format xml", "xml")]
    [InlineData("topic list -B a:1 --controller b:2", "cannot be given together")]
    [InlineData("group reset g", "--to")]
    public void What_is_wrong_is_said(string line, string message) =>
        Assert.Contains(message, string.Join('\n', Root.Parse(line).Errors.Select(error => error.Message)), StringComparison.Ordinal);

    [Theory]
    [InlineData("to", "token|top|topic")]
    [InlineData("topic ", "add-partitions|create|delete|describe|list|offsets|trim")]
    [InlineData("topic list --form", "--format")]
    [InlineData("topic list --format ", "json|text|tsv|wide|yaml")]
    [InlineData("features d", "describe|downgrade")]
    [InlineData("config get ", "broker|client-metrics|group|logger|topic")]
    [InlineData("topic delete o", "orders")]
    [InlineData("topic delete orders ", "TOPIC-2|orders")]
    [InlineData("consume orders --group b", "billing")]
    [InlineData("config get topic orders ret", "")]
    [InlineData("nothing ", "")]
    public void Words_are_completed(string line, string expected)
    {
        var words = line.Split(' ');
        var found = Completion.Find(Root, words, (what, _) => what == CommonOptions.TopicName ? ["orders", "TOPIC-2"] : ["billing"]);
        if (line == "nothing ")
            Assert.DoesNotContain("create", found);
        else
            Assert.Equal(expected, string.Join('|', found));
    }

    private static IEnumerable<(string Path, Command Command)> Leaves(Command command, string path)
    {
        foreach (var sub in command.Subcommands)
        {
            var name = path.Length == 0 ? sub.Name : $"{path} {sub.Name}";
            if (sub.Subcommands.Count == 0)
                yield return (name, sub);
            foreach (var leaf in Leaves(sub, name))
                yield return leaf;
        }
    }
}
