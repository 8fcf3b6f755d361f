using System.Text.RegularExpressions;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Repository;

/// <summary>House rules that a reader would otherwise have to watch over.</summary>
public sealed partial class SourceRulesTests
{
    private const int SourceLinesMax = 600;

    private const int SourceColumnsMax = 140;

    private static readonly string[] TextPatterns =
        ["*.cs", "*.csproj", "*.props", "*.slnx", "*.md", "*.schema", "*.json", "*.yml", "*.yaml", "*.sh", "*.js", "*.mjs", "*.py", "*.go",
            "*.java", "*.properties", "dev"];

    /// <summary>Homes of people and machines; put together here, so that this file does not name them.</summary>
    private static readonly Regex MachinePath = new(
        @"(?<![\w.~$}])(/(" + string.Join('|', "work", "home", "Users", "root") + @")/\w|[A-Z]:\\" + "Users)");

    [Fact]
    public void Files_fit_a_head()
    {
        foreach (var file in new[] { "src", "tests", "tools" }.SelectMany(directory => RepositoryFiles.Find(directory, "*.cs")))
        {
            var lines = File.ReadLines(file).Count();
            Assert.True(lines <= SourceLinesMax, $"{RepositoryFiles.Relative(file)} has {lines} lines: it is two ideas");
        }
    }

    /// <summary>Raw strings are left out: they hold what others wrote.</summary>
    [Fact]
    public void Lines_fit_a_screen()
    {
        var wide = new List<string>();
        foreach (var file in new[] { "src", "tests", "tools" }.SelectMany(directory => RepositoryFiles.Find(directory, "*.cs")))
        {
            var (number, isRaw) = (0, false);
            foreach (var line in File.ReadLines(file))
            {
                number++;
                var quotes = RawString().Count(line);
                if (line.Length > SourceColumnsMax && !isRaw && quotes == 0)
                    wide.Add($"{RepositoryFiles.Relative(file)}({number}) has {line.Length} columns");
                isRaw ^= quotes % 2 == 1;
            }
        }

        Assert.True(wide.Count == 0, string.Join('\n', wide));
    }

    /// <summary>The lock statement would take the monitor of the object, which is another lock.</summary>
    [Fact]
    public void Scheduled_locks_are_entered_by_their_scope()
    {
        var seen = 0;
        foreach (var directory in RepositoryFiles.Find("src", "*.cs").GroupBy(Path.GetDirectoryName))
        {
            var sources = directory.ToDictionary(file => file, File.ReadAllText);
            var names = sources.Values.SelectMany(source => ScheduledLockField().Matches(source))
                .Select(match => match.Groups["name"].Value).ToHashSet();
            seen += names.Count;
            foreach (var (file, source) in sources)
            {
                var wrong = LockStatement().Matches(source).FirstOrDefault(match => names.Contains(match.Groups["name"].Value));
                Assert.True(wrong is null, $"{RepositoryFiles.Relative(file)} takes a ScheduledLock with {wrong?.Value}");
            }
        }

        Assert.NotEqual(0, seen);
    }

    [Fact]
    public void Api_files_are_named_by_key_and_hold_its_handler()
    {
        var directory = RepositoryFiles.Path("src/Ottla.Broker/Api");
        var seen = 0;
        foreach (var file in Directory.EnumerateFiles(directory, "*.cs"))
        {
            var source = File.ReadAllText(file);
            var handlers = Handler().Matches(source);
            if (NumberedFile().Match(Path.GetFileName(file)) is not { Success: true } name)
            {
                Assert.True(handlers.Count == 0, $"{RepositoryFiles.Relative(file)} holds a handler: name it NNN-Name.cs");
                continue;
            }

            seen++;
            Assert.True(
                Enum.TryParse<ApiKey>(name.Groups["name"].Value, out var key), $"{RepositoryFiles.Relative(file)} is named after no API");
            Assert.Equal($"{(int)key:000}", name.Groups["number"].Value);
            Assert.Equal([$"{name.Groups["variant"].Value}{key}"], handlers.Select(h => h.Groups["class"].Value));
            Assert.Equal(($"{key}Request", $"{key}Response"), (handlers[0].Groups["request"].Value, handlers[0].Groups["response"].Value));
        }

        Assert.NotEqual(0, seen);
    }

    [Fact]
    public void Nothing_names_a_path_of_the_machine_it_was_made_on()
    {
        foreach (var file in TextPatterns.SelectMany(pattern => RepositoryFiles.Find(".", pattern)))
        {
            var number = 0;
            foreach (var line in File.ReadLines(file))
            {
                number++;
                Assert.False(MachinePath.IsMatch(line), $"{RepositoryFiles.Relative(file)}({number}): {line.Trim()}");
            }
        }
    }

    [Fact]
    public void Links_in_documents_lead_somewhere()
    {
        foreach (var file in RepositoryFiles.Find(".", "*.md"))
        {
            foreach (Match link in Link().Matches(WithoutCode(File.ReadAllText(file))))
            {
                var target = link.Groups["target"].Value;
                if (target.Contains("://", StringComparison.Ordinal) || target.StartsWith("mailto:", StringComparison.Ordinal))
                    continue;
                var (path, anchor) = target.Split('#', 2) is [var p, var a] ? (p, a) : (target, null);
                var full = path.Length == 0 ? file
                    : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, Uri.UnescapeDataString(path)));
                Assert.True(File.Exists(full) || Directory.Exists(full), $"{RepositoryFiles.Relative(file)}: {target} is not there");
                if (anchor is not null && full.EndsWith(".md", StringComparison.Ordinal))
                    Assert.True(Anchors(full).Contains(anchor), $"{RepositoryFiles.Relative(file)}: {target} has no such heading");
            }
        }
    }

    [Fact]
    public void Paths_in_documents_lead_somewhere()
    {
        foreach (var file in RepositoryFiles.Find(".", "*.md"))
        {
            foreach (Match path in PathInCode().Matches(WithoutCode(File.ReadAllText(file))))
            {
                var full = RepositoryFiles.Path(path.Groups["path"].Value);
                Assert.True(File.Exists(full) || Directory.Exists(full), $"{RepositoryFiles.Relative(file)}: {path.Value} is not there");
            }
        }
    }

    [Fact]
    public void Sources_end_with_a_newline_and_have_no_tabs()
    {
        foreach (var file in new[] { "src", "tests", "tools" }.SelectMany(directory => RepositoryFiles.Find(directory, "*.cs")))
        {
            var text = File.ReadAllText(file);
            Assert.True(text.EndsWith('\n'), RepositoryFiles.Relative(file));
            Assert.False(text.Contains('\t') || text.Contains('\r'), RepositoryFiles.Relative(file));
        }
    }

    /// <summary>The anchors that a document's headings get.</summary>
    private static HashSet<string> Anchors(string file) =>
        [.. WithoutCode(File.ReadAllText(file)).Split('\n').Where(line => line.StartsWith('#'))
            .Select(line => NotInAnchors().Replace(line.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-'))];

    private static string WithoutCode(string markdown) => Code().Replace(markdown, "");

    /// <summary>
    /// An API that controllers serve in another way than brokers has a second file: NNN-Name.Variant.cs, with VariantNameHandler.
    /// </summary>
    [GeneratedRegex(@"^(?<number>\d{3})-(?<name>\w+)(\.(?<variant>\w+))?\.cs$")]
    private static partial Regex NumberedFile();

    [GeneratedRegex(@"class (?<class>\w+)Handler\b[^{]*?: (?:I(?:Reusing)?Api|Refusing)Handler<(?<request>\w+), (?<response>\w+)>")]
    private static partial Regex Handler();

    [GeneratedRegex(@"\[[^\]]*\]\((?<target>[^)\s]+)[^)]*\)")]
    private static partial Regex Link();

    /// <summary>A path from the root, except <c>NNN-Xyz.cs</c>, which stands for many.</summary>
    [GeneratedRegex(@"`(?<path>(src|tests|tools|docs|schemas)/(?!\S*NNN)[\w./-]+)`")]
    private static partial Regex PathInCode();

    [GeneratedRegex(@"```.*?```", RegexOptions.Singleline)]
    private static partial Regex Code();

    [GeneratedRegex(@"\bScheduledLock (?<name>\w+)")]
    private static partial Regex ScheduledLockField();

    [GeneratedRegex("\"\"\"+")]
    private static partial Regex RawString();

    [GeneratedRegex(@"\block \((?:\w+\.)*(?<name>\w+)\)")]
    private static partial Regex LockStatement();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchors();
}
