using System.Text.RegularExpressions;

namespace Ottla.UnitTests.Repository;

/// <summary>The known faults that are put back into the code (tests/Ottla.Simulator/Mutations).</summary>
public sealed partial class MutationTests
{
    private const string Folder = "tests/Ottla.Simulator/Mutations";

    [Fact]
    public void Every_patch_is_in_the_tables_once_and_every_row_is_a_patch()
    {
        var patches = Patches().Select(Path.GetFileNameWithoutExtension);
        var rows = Row().Matches(File.ReadAllText(RepositoryFiles.Path($"{Folder}/README.md"))).Select(match => match.Groups[1].Value);
        Assert.Equal(patches.Order(StringComparer.Ordinal), rows.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_patch_says_what_finds_it_and_a_test_that_it_names_is_there()
    {
        var tests = RepositoryFiles.Find("tests/Ottla.UnitTests", "*Tests.cs").ToLookup(path => Path.GetFileNameWithoutExtension(path));
        foreach (var patch in Patches())
        {
            var finder = Finder().Match(File.ReadAllText(patch));
            Assert.True(finder.Success, $"{patch} has no line 'Simulation: NAME FIRST..LAST' or 'Test: CLASS.METHOD'");
            if (finder.Groups["class"].Value is not { Length: > 0 } name)
                continue;
            var method = $" {finder.Groups["method"].Value}(";
            Assert.True(
                tests[name].Any(file => File.ReadAllText(file).Contains(method, StringComparison.Ordinal)),
                $"{patch} names a test that is not there");
        }
    }

    private static IEnumerable<string> Patches() => RepositoryFiles.Find(Folder, "*.patch");

    [GeneratedRegex(@"^\| `([a-z-]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"^(Simulation: [a-z-]+ \d+\.\.\d+|Test: (?<class>\w+)\.(?<method>\w+))$", RegexOptions.Multiline)]
    private static partial Regex Finder();
}
