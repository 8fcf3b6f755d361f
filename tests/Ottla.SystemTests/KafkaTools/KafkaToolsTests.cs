using System.Diagnostics;
using Ottla.SystemTests.Harness;
using Xunit.Abstractions;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>
/// Ottla's tools print what those of Apache Kafka 4.4.0 printed, and end with their exit codes, in all invocations that were recorded
/// there; the others are listed with the reason. <c>OTTLA_TOOLS_REPORT</c> names a folder for the texts that differ.
/// </summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed class KafkaToolsTests(ITestOutputHelper output)
{
    [Fact]
    public Task Main() => WalkAsync("main", []);

    [Fact]
    public Task Acls() => WalkAsync(
        "acls", "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS");

    [Fact]
    public Task Streams() => WalkAsync("streams", []);

    [Fact]
    public Task Storage() => WalkAsync("storage");

    [Fact]
    public Task Dump() => WalkAsync("dump");

    private async Task WalkAsync(string section, params string[]? settings)
    {
        var hasNode = section is not ("storage" or "dump");
        await using var node = hasNode ? await ToolNode.StartAsync(settings ?? []) : null;
        using var walk = new ToolWalk(node);
        if (section == "dump")
            await UnpackAsync(walk.Folder);
        var listed = ToolDifferences.Read();
        var only = Environment.GetEnvironmentVariable("OTTLA_TOOLS_UNTIL");
        var wrong = new List<string>();
        var reports = new List<string>();
        var counts = new Dictionary<Likeness, int>();
        foreach (var row in ToolRow.Read(section))
        {
            var expected = listed.GetValueOrDefault($"{row.Section}/{row.Id}", [Likeness.Same]);
            if (await walk.RunAsync(row, expected is [Likeness.Same]) is not { } result)
                continue;
            counts[result.Likeness] = counts.GetValueOrDefault(result.Likeness) + 1;
            if (result.Likeness != Likeness.Same)
                reports.Add(result.Report);
            if (!expected.Contains(result.Likeness))
                wrong.Add($"{row.Id}: {result.Likeness}, and listed as {expected[0]}\n{result.Report}");
            if (row.Id == only)
                break;
        }

        output.WriteLine($"{section}: {string.Join(", ", counts.Select(count => $"{count.Value} {count.Key}"))}");
        if (Environment.GetEnvironmentVariable("OTTLA_TOOLS_REPORT") is { Length: > 0 } folder)
            await File.WriteAllTextAsync(Path.Combine(folder, $"{section}.txt"), string.Join('\n', reports));
        Assert.True(wrong.Count == 0, $"{wrong.Count} rows:\n{string.Join('\n', wrong)}");
    }

    private static async Task UnpackAsync(string folder)
    {
        var archive = Path.Combine(RepositoryPaths.Root, "tests", "golden", "datadir-clean.tar.xz");
        using var tar = Process.Start("tar", ["-xJf", archive, "-C", folder]);
        await tar.WaitForExitAsync();
        Assert.Equal(0, tar.ExitCode);
    }
}
