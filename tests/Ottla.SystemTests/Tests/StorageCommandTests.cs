using System.Text;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// <c>ottla format</c> and <c>ottla storage info</c> as processes: what they print is what kafka-storage 4.4 prints for the same files.
/// </summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed class StorageCommandTests : IDisposable
{
    private const string ClusterId = "MkU3OEVBNTcwNTJENDM2Qg";
    private const string Voter = "1@localhost:9093:3Db5QLSqSZieL3rJBUUegA";

    private static readonly string[] Static = ["controller.quorum.voters=1@localhost:9093"];
    private static readonly string[] Dynamic = ["controller.quorum.bootstrap.servers=localhost:9093"];

    private readonly string _folder = Directory.CreateTempSubdirectory("ottla-system-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task StaticVoters()
    {
        var file = Configuration(Static, "d1");
        AssertPrints(1, $"Found problem:\n  {At("d1")} does not exist\n\n", "", await RunAsync("storage", "info", "-c", file));
        AssertFormats("metadata directory", "d1", await FormatAsync(file));
        var info = await RunAsync("storage", "info", "-c", file);
        Assert.Equal(0, info.ExitCode);
        Assert.Matches(
            $"^Found log directory:\n  {At("d1")}\n\nFound metadata: "
                + $"{{cluster.id={ClusterId}, directory.id=.{{22}}, node.id=1, version=1}}\n\n$", Output(info));
        AssertPrints(
            2, "", $"Log directory {At("d1")} is already formatted. Use --ignore-formatted to ignore this directory and format the "
                + "others.\n",
            await FormatAsync(file));
        AssertPrints(0, "All of the log directories are already formatted.\n", "", await FormatAsync(file, "--ignore-formatted"));
        var other = await RunAsync("format", "-t", "9YdVd5Z0QzyXbVg0lV1EHw", "-c", file, "--ignore-formatted");
        AssertPrints(
            2, "", $"Invalid cluster.id in: {At("d1")}/meta.properties. Expected 9YdVd5Z0QzyXbVg0lV1EHw, but read {ClusterId}\n", other);
    }

    [Fact]
    public async Task SeveralDirectoriesOfWhichOneIsNew()
    {
        var file = Configuration(Static, "d3a", "d3b");
        AssertFormats(
            "metadata directory", "d3a", await FormatAsync(file),
            $"Formatting data directory {At("d3b")} with metadata.version 4.4-IV2.\n");
        var grown = Configuration(Static, "d3a", "d4new");
        var info = await RunAsync("storage", "info", "-c", grown);
        Assert.Equal(1, info.ExitCode);
        Assert.EndsWith($"Found problem:\n  {At("d4new")} does not exist\n\n", Output(info), StringComparison.Ordinal);
        AssertFormats("data directory", "d4new", await FormatAsync(grown, "--ignore-formatted"));
        Assert.Equal(0, (await RunAsync("storage", "info", "-c", grown)).ExitCode);
    }

    [Fact]
    public async Task DynamicVoters()
    {
        AssertFormats("dynamic metadata voter directory", "y1", await FormatAsync(Configuration(Dynamic, "y1"), "--standalone"));
        AssertFormats("metadata directory", "y2", await FormatAsync(Configuration(Dynamic, "y2"), "--no-initial-controllers"));
        AssertFormats(
            "dynamic metadata voter directory", "y3", await FormatAsync(Configuration(Dynamic, "y3"), "--initial-controllers", Voter));
        Assert.Contains(
            "directory.id=3Db5QLSqSZieL3rJBUUegA\n", await File.ReadAllTextAsync(Path.Combine(At("y3"), "meta.properties")),
            StringComparison.Ordinal);
        var bad = await FormatAsync(Configuration(Dynamic, "y4"), "--initial-controllers", "1@localhost:9093");
        Assert.Equal(2, bad.ExitCode);
        Assert.Contains("no colon following the port", bad.Error, StringComparison.Ordinal);
        var moved = await FormatAsync(Configuration(Dynamic, "y5"), "--initial-controllers", Voter.Replace("9093", "9094"));
        AssertFormats("dynamic metadata voter directory", "y5", moved);
        Assert.StartsWith("WARNING: --initial-controllers has node 1 at localhost:9094", moved.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Brokers()
    {
        var file = Path.Combine(_folder, "b1.properties");
        await File.WriteAllTextAsync(
            file,
            "process.roles=broker\nnode.id=2\ncontroller.quorum.bootstrap.servers=localhost:9093\nlisteners=PLAINTEXT://localhost:9092\n"
            + $"controller.listener.names=CONTROLLER\nlog.dirs={At("b1")}\n");
        var refused = await FormatAsync(file, "--standalone");
        Assert.Equal(2, refused.ExitCode);
        Assert.StartsWith("You can only use --standalone on a controller", refused.Error, StringComparison.Ordinal);
        AssertFormats("metadata directory", "b1", await FormatAsync(file));
        Assert.Equal(["meta.properties"], Directory.GetFileSystemEntries(At("b1")).Select(Path.GetFileName));
    }

    [Fact]
    public async Task WhatCannotBeWrittenIsNamed()
    {
        var file = Configuration(Static, "/proc/none");
        var result = await FormatAsync(file);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("/proc/none", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--release-version", "3.9", "metadata.version 3.9-IV0.")]
    [InlineData("--release-version", "4.3", "metadata.version 4.3-IV0.")]
    [InlineData("--feature", "transaction.version=1", "FeatureLevelRecord(name='transaction.version', featureLevel=1)")]
    [InlineData(
        "--add-scram", "SCRAM-SHA-256=[name=alice,password=secret]",
            "UserScramCredentialRecord(name='alice', mechanism=1, salt=(redacted)")]
    public async Task OptionsHaveTheirEffect(string option, string value, string printed)
    {
        var result = await FormatAsync(Configuration(Static, "d"), option, value);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains(printed, Output(result), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", Output(result), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--release-version", "9.9", "Unknown metadata.version '9.9'. Supported metadata.version are: 3.3-IV3, 3.4-IV0, ")]
    [InlineData(
        "--feature", "no.such=1",
            "Unsupported feature: no.such. Supported features are: eligible.leader.replicas.version, group.version, kraft.version, ")]
    [InlineData("--feature", "group.version=99", "No feature:group.version with feature level 99")]
    [InlineData("--feature", "group.version", "expected name=level")]
    [InlineData("--add-scram", "SCRAM-SHA-256=[name=alice]", "You must supply one of 'password' or 'saltedpassword' to add-scram")]
    public async Task WrongOptionsAreRefusedAndNothingIsWritten(string option, string value, string reason)
    {
        var result = await FormatAsync(Configuration(Static, "d"), option, value);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(reason, result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(At("d")));
    }

    private string At(string directory) => Path.Combine(_folder, directory);

    private string Configuration(string[] quorum, params string[] directories)
    {
        var file = Path.Combine(_folder, $"{Path.GetFileName(directories[^1])}.properties");
        File.WriteAllLines(file,
        [
            "process.roles=broker,controller", "node.id=1", .. quorum,
            "listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093", "controller.listener.names=CONTROLLER",
            $"log.dirs={string.Join(',', directories.Select(At))}",
        ]);
        return file;
    }

    private static Task<ToolResult> FormatAsync(string file, params string[] options) =>
        RunAsync(["format", "-t", ClusterId, "-c", file, .. options]);

    private static Task<ToolResult> RunAsync(params string[] arguments) => ClientTool.RunAsync(RepositoryPaths.BrokerExecutable, arguments);

    private static string Output(ToolResult result) => Encoding.UTF8.GetString(result.Output);

    private void AssertFormats(string kind, string directory, ToolResult result, string more = "")
    {
        var output = Output(result.OrFail());
        Assert.StartsWith(
            "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', "
                + "featureLevel=33) at version 0), ",
            output, StringComparison.Ordinal);
        Assert.EndsWith(
            $"], metadataVersionLevel=33, source=format command)\nFormatting {kind} {At(directory)} with metadata.version 4.4-IV2.\n{more}",
            output, StringComparison.Ordinal);
    }

    private static void AssertPrints(int exitCode, string output, string error, ToolResult result) =>
        Assert.Equal((exitCode, output, error), (result.ExitCode, Output(result), result.Error));
}
