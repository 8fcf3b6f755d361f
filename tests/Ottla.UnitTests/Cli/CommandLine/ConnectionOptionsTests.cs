using System.Collections;
using Ottla.Cli.Commands;
using Ottla.Cli.Framework;
using Ottla.Configuration;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>Where a command finds the cluster and the login, and what counts before what.</summary>
public sealed class ConnectionOptionsTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"ottla-profiles-{Guid.NewGuid():N}");
    private readonly Profiles _profiles;

    public ConnectionOptionsTests() => _profiles = new Profiles(_directory);

    public void Dispose()
    {
        if (Directory.Exists(_directory))
            Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void Nothing_said_is_this_machine() => Assert.Equal("localhost:9092", Read("topic list")["bootstrap.servers"]);

    [Fact]
    public void The_command_line_counts_before_the_environment_and_that_before_the_profile()
    {
        _profiles.Write(
            "prod", [new("bootstrap.servers", "profile:1"), new("client.id", "from-profile"), new("linger.ms", "7")], replaces: false);
        _profiles.Use("prod");
        Assert.Equal("profile:1", Read("topic list")["bootstrap.servers"]);
        Assert.Equal("env:2", Read("topic list", ("OTTLA_BOOTSTRAP", "env:2"))["bootstrap.servers"]);
        Assert.Equal("flag:3", Read("topic list -B flag:3", ("OTTLA_BOOTSTRAP", "env:2"))["bootstrap.servers"]);
        Assert.Equal("7", Read("topic list")["linger.ms"]);
        Assert.Equal("8", Read("topic list", ("OTTLA_CLIENT_LINGER_MS", "8"))["linger.ms"]);
        Assert.Equal("9", Read("topic list -X linger.ms=9", ("OTTLA_CLIENT_LINGER_MS", "8"))["linger.ms"]);
        Assert.Equal("from-profile", Read("topic list")["client.id"]);
    }

    [Fact]
    public void Controllers_take_the_place_of_brokers()
    {
        _profiles.Write("prod", [new("bootstrap.servers", "profile:1")], replaces: false);
        var properties = Read("quorum status --profile prod --controller c:9093");
        Assert.Equal("c:9093", properties["bootstrap.controllers"]);
        Assert.False(properties.ContainsKey("bootstrap.servers"));
    }

    [Fact]
    public void A_secret_on_the_command_line_is_refused_and_not_repeated()
    {
        var failure = Assert.Throws<ConfigException>(() => Read("topic list -X sasl.password=hunter22"));
        Assert.Contains("OTTLA_CLIENT_SASL_PASSWORD", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter22", failure.Message, StringComparison.Ordinal);
        Assert.Equal("hunter22", Read("topic list", ("OTTLA_CLIENT_SASL_PASSWORD", "hunter22"))["sasl.password"]);
    }

    [Fact]
    public void A_timeout_bounds_every_call()
    {
        var properties = Read("topic list --timeout 3s");
        foreach (var name in new[] { "request.timeout.ms", "default.api.timeout.ms", "max.block.ms", "socket.connection.setup.timeout.ms" })
            Assert.Equal("3000", properties[name]);
    }

    [Theory]
    [InlineData("500ms", 500)]
    [InlineData("2", 2_000)]
    [InlineData("1.5s", 1_500)]
    [InlineData("5m", 300_000)]
    [InlineData("7d", 604_800_000)]
    public void Durations(string text, long ms) => Assert.Equal(ms, ConnectionOptions.Duration(text, "--x").TotalMilliseconds);

    [Theory]
    [InlineData("")]
    [InlineData("s")]
    [InlineData("5 parsecs")]
    [InlineData("-1s")]
    public void What_is_no_duration_is_said(string text) =>
        Assert.Contains("--x", Assert.Throws<ConfigException>(() => ConnectionOptions.Duration(text, "--x")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("-2h", 1_000_000_000_000 - 7_200_000)]
    [InlineData("@1700000000000", 1_700_000_000_000)]
    [InlineData("2026-01-31T12:00:00Z", 1_769_860_800_000)]
    [InlineData("2026-01-31", 1_769_817_600_000)]
    public void Times(string text, long ms) => Assert.Equal(
        ms, CommonOptions.Time(text, "--x", DateTimeOffset.FromUnixTimeMilliseconds(1_000_000_000_000)).ToUnixTimeMilliseconds());

    [Fact]
    public void Profiles_are_kept_for_the_user_alone()
    {
        _profiles.Write("a", [new("sasl.password", "p\\w")], replaces: false);
        Assert.Equal("p\\w", _profiles.Read("a")["sasl.password"]);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(
                UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_directory, "a.properties")));
        }

        Assert.Throws<ConfigException>(() => _profiles.Write("a", [], replaces: false));
        Assert.Throws<ConfigException>(() => _profiles.Write("../a", [], replaces: false));
        Assert.Contains("there are a.", Assert.Throws<ConfigException>(() => _profiles.Read("b")).Message, StringComparison.Ordinal);
        _profiles.Use("a");
        Assert.Equal("a", _profiles.Current);
        _profiles.Delete("a");
        Assert.Null(_profiles.Current);
        Assert.Empty(_profiles.List());
    }

    private Dictionary<string, string> Read(string line, params (string Name, string Value)[] variables)
    {
        var environment = new Hashtable();
        foreach (var (name, value) in variables)
            environment[name] = value;
        return ConnectionOptions.Read(RootCommandFactory.Create().Parse(line), _profiles, environment);
    }
}
