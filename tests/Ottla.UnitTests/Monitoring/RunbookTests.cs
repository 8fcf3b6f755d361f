using System.Text.RegularExpressions;
using Ottla.Cli.Commands;
using Ottla.Cli.Generate;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Monitoring;

/// <summary>Holds docs/runbook.md to the commands, the alerts and the other documents that there are.</summary>
public sealed partial class RunbookTests
{
    private static readonly string Text = File.ReadAllText(RepositoryFiles.Path("docs/runbook.md"));

    [Fact]
    public void Every_command_is_one_that_there_is_with_options_that_it_has()
    {
        var commands = Command().Matches(Text).Select(match => match.Groups["command"].Value).Distinct().ToList();
        Assert.True(commands.Count > 25, "the expression finds the commands");
        foreach (var command in commands)
        {
            var parsed = RootCommandFactory.Create().Parse(command.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..]);
            Assert.True(parsed.Errors.Count == 0, $"{command}: {string.Join("; ", parsed.Errors.Select(error => error.Message))}");
        }
    }

    [Fact]
    public void Every_alert_is_one_that_the_rules_have()
    {
        var named = Alert().Matches(Text).Select(match => match.Value).Distinct().ToList();
        Assert.True(named.Count >= 7);
        Assert.Empty(named.Except(Alerts.All.Select(alert => alert.Name)));
    }

    [Fact]
    public void Every_fault_says_what_is_seen_and_when_it_is_over()
    {
        var pages = Text.Split("\n## ")[1..];
        Assert.Equal(6, pages.Length);
        Assert.All(pages, page =>
        {
            Assert.Contains("**You see**", page, StringComparison.Ordinal);
            Assert.Contains("```sh", page, StringComparison.Ordinal);
            Assert.Contains("**It is over**", page, StringComparison.Ordinal);
        });
    }

    /// <summary>A command at the start of a line of a block, up to a comment; or one in the text.</summary>
    [GeneratedRegex("^ *(?<command>ottla [^#\n]*)|`(?<command>ottla [^`]*)`", RegexOptions.Multiline)]
    private static partial Regex Command();

    [GeneratedRegex("Kafka[A-Z][A-Za-z]+(?=`)")]
    private static partial Regex Alert();
}
