using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>The command line's answers: help, version, and what it says and returns when a broker cannot start.</summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed partial class StartupTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("--help")]
    [InlineData("start", "--help")]
    public async Task HelpIsNoError(params string[] arguments)
    {
        var result = await RunAsync(arguments);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("start", Encoding.UTF8.GetString(result.Output), StringComparison.Ordinal);
    }

    [Fact]
    public async Task VersionIsANumber()
    {
        var result = await RunAsync("--version");
        Assert.Equal(0, result.ExitCode);
        Assert.Matches(VersionPattern(), Encoding.UTF8.GetString(result.Output));
    }

    [Fact]
    public async Task TheSoftLimitOfDescriptorsIsRaisedToTheHardOne()
    {
        var data = Directory.CreateTempSubdirectory("ottla-system-test-");
        var port = BrokerProcess.FindFreePort();
        string[] command = [
            "-c", "ulimit -Sn 256; exec \"$@\"", "sh", RepositoryPaths.BrokerExecutable,
            .. BrokerProcess.StartArguments(port, data.FullName, new Dictionary<string, string>())];
        using var broker = Process.Start(new ProcessStartInfo("/bin/sh", command) { RedirectStandardError = true })!;
        try
        {
            await Until.TrueAsync("the broker listens", Limit, async () =>
            {
                try
                {
                    await using var connection = await RawConnection.OpenAsync(port);
                    return true;
                }
                catch (SocketException)
                {
                    return false;
                }
            });
            var limits = (await File.ReadAllLinesAsync($"/proc/{broker.Id}/limits"))
                .Single(line => line.StartsWith("Max open files", StringComparison.Ordinal))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(limits[4], limits[3]);
            Assert.NotEqual("256", limits[3]);
        }
        finally
        {
            broker.Kill();
            await broker.WaitForExitAsync();
            data.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("no-such-command")]
    [InlineData("start", "--no-such-option")]
    [InlineData("start", "--set", "without-equals-sign")]
    public async Task UnknownArgumentsAreRefused(params string[] arguments)
    {
        var result = await RunAsync(arguments);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(arguments[^1], result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheConfigurationFileIsNamedOnce()
    {
        var result = await RunAsync("start", "one.properties", "--config", "other.properties");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("Name the configuration file once", result.Error, StringComparison.Ordinal);
    }

    /// <summary>The message names the config, the value that it got, and what it would take.</summary>
    [Theory]
    [InlineData("num.network.threads", "many", "")]
    [InlineData("log.cleanup.policy", "burn", "compact")]
    [InlineData("compression.type", "rar", "zstd")]
    [InlineData("log.segment.bytes", "-5", "")]
    [InlineData("auto.create.topics.enable", "perhaps", "true")]
    [InlineData("listeners", "nonsense", "")]
    public async Task BadConfigValueIsNamedAndRefused(string key, string value, string allowed)
    {
        var data = Directory.CreateTempSubdirectory("ottla-system-test-");
        try
        {
            var settings = new Dictionary<string, string> { [key] = value };
            var result = await RunAsync([.. BrokerProcess.StartArguments(BrokerProcess.FindFreePort(), data.FullName, settings)]);
            Assert.NotEqual(0, result.ExitCode);
            Assert.Contains(key, result.Error, StringComparison.Ordinal);
            Assert.Contains(value, result.Error, StringComparison.Ordinal);
            Assert.Contains(allowed, result.Error, StringComparison.Ordinal);
            AssertNoStackTrace(result.Error);
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task PortInUseIsNamedAndRefused()
    {
        await using var running = await BrokerProcess.StartAsync();
        var data = Directory.CreateTempSubdirectory("ottla-system-test-");
        try
        {
            var result = await RunAsync([.. BrokerProcess.StartArguments(running.Port, data.FullName, new Dictionary<string, string>())]);
            Assert.NotEqual(0, result.ExitCode);
            Assert.Contains(
                running.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), result.Error, StringComparison.Ordinal);
            AssertNoStackTrace(result.Error);
            Assert.True(await running.AnswersAsync());
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    /// <summary>A directory that one broker holds (Kafka's .lock) is refused to a second one.</summary>
    [Fact]
    public async Task DataDirectoryInUseIsNamedAndRefused()
    {
        await using var running = await BrokerProcess.StartAsync();
        var result = await RunAsync(
            [.. BrokerProcess.StartArguments(BrokerProcess.FindFreePort(), running.DataDirectory, new Dictionary<string, string>())]);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(running.DataDirectory, result.Error, StringComparison.Ordinal);
        AssertNoStackTrace(result.Error);
        Assert.True(await running.AnswersAsync());
    }

    /// <summary>As kafka-storage: one flag says where the voters come from, and without configured voters one must.</summary>
    [Theory]
    [InlineData(
        "argument --no-initial-controllers: not allowed with argument --standalone", "--set",
            "controller.quorum.bootstrap.servers=localhost:9093", "--standalone", "-N")]
    [InlineData(
        "you must specify one of the following: --standalone, --initial-controllers, or --no-initial-controllers.", "--set",
            "controller.quorum.bootstrap.servers=localhost:9093")]
    [InlineData(
        "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone.", "--standalone")]
    public async Task FormattingWithoutAWayToALeaderIsRefused(string reason, params string[] arguments)
    {
        var data = Path.Combine(Path.GetTempPath(), "ottla-system-test-unformatted");
        var result = await RunAsync(["format", "--cluster-id", "4L6g3nShT-eMCtK--X86sw", "--set", $"log.dirs={data}", .. arguments]);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(reason, result.Error, StringComparison.Ordinal);
        AssertNoStackTrace(result.Error);
        Assert.False(Directory.Exists(data));
    }

    private static void AssertNoStackTrace(string error) => Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);

    private static Task<ToolResult> RunAsync(params string[] arguments) =>
        ClientTool.RunAsync(RepositoryPaths.BrokerExecutable, arguments, limit: Limit);

    [GeneratedRegex(@"\d+\.\d+\.\d+")]
    private static partial Regex VersionPattern();
}
