using System.Text.RegularExpressions;
using Ottla.Cli.Commands;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>Holds the commands of the README to those that there are.</summary>
public sealed partial class ReadmeCommandTests
{
    [Fact]
    public void Every_command_in_a_block_is_one_that_there_is_with_options_that_it_has()
    {
        var commands = Command().Matches(File.ReadAllText(RepositoryFiles.Path("README.md")))
            .Select(match => match.Groups["command"].Value).ToList();
        Assert.True(commands.Count >= 8);
        foreach (var command in commands)
        {
            var parsed = RootCommandFactory.Create().Parse(command.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..]);
            Assert.True(parsed.Errors.Count == 0, $"{command}: {string.Join("; ", parsed.Errors.Select(error => error.Message))}");
        }
    }

    [Fact]
    public void Every_command_of_the_front_door_is_one_that_it_has()
    {
        var door = File.ReadAllText(RepositoryFiles.Path("dev"));
        var readme = File.ReadAllText(RepositoryFiles.Path("README.md"));
        var named = Door().Matches(readme).Select(match => match.Groups["name"].Value).Distinct();
        Assert.All(named, name => Assert.Matches($@"(?m)^    ([a-z-]+ \| )*{name}( \| [a-z-]+)*\) ", door));
    }

    /// <summary>A command at the start of a line or behind a pipe, up to a comment or where its output goes.</summary>
    [GeneratedRegex(@"^(?:[^`\n]* \| )?(?<command>ottla [^#>|`\n]*)", RegexOptions.Multiline)]
    private static partial Regex Command();

    [GeneratedRegex(@"\./dev (?<name>[a-z]+)")]
    private static partial Regex Door();
}
