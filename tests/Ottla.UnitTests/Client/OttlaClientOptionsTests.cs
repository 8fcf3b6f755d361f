using Ottla.Client;
using Ottla.Requests;

namespace Ottla.UnitTests.Client;

/// <summary>What options are refused, and how servers are read.</summary>
public sealed class OttlaClientOptionsTests
{
    [Fact]
    public void Reads_bootstrap_servers()
    {
        var options = new OttlaClientOptions { BootstrapServers = " a:1, 10.0.0.1:2,[::1]:65535," };
        Assert.Equal(
            [new NodeAddress(-1, "a", 1), new NodeAddress(-2, "10.0.0.1", 2), new NodeAddress(-3, "::1", 65535)],
            options.ParseBootstrapServers());
    }

    [Theory]
    [InlineData("")]
    [InlineData(" , ")]
    [InlineData("a")]
    [InlineData("a:")]
    [InlineData(":1")]
    [InlineData("a:0")]
    [InlineData("a:65536")]
    [InlineData("::1:9092")]
    [InlineData("a:1,b")]
    public async Task Refuses_servers_that_cannot_be_read(string servers)
    {
        var refusal = await Assert.ThrowsAsync<ArgumentException>(async () =>
        {
            await using var client = new OttlaClient(servers);
        });
        Assert.Contains("BootstrapServers", refusal.Message);
    }

    [Fact]
    public void Refuses_values_that_are_out_of_range()
    {
        var good = new OttlaClientOptions { BootstrapServers = "a:1" };
        good.Validate();
        AssertRefused(good with { RequestTimeout = TimeSpan.Zero }, "RequestTimeout");
        AssertRefused(good with { MetadataMaxAge = TimeSpan.MaxValue }, "MetadataMaxAge");
        AssertRefused(good with { MemoryLimitBytes = 0 }, "MemoryLimitBytes");
        AssertRefused(good with { MetadataRecovery = (MetadataRecovery)7 }, "MetadataRecovery");
        AssertRefused(good with { Security = new ClientSecurityOptions { UseTls = false } }, "neither TLS nor a login");
        AssertRefused(good with { Security = new ClientSecurityOptions { UseTls = false, TrustedCertificates = [] } }, "UseTls is false");
    }

    private static void AssertRefused(OttlaClientOptions options, string what) =>
        Assert.Contains(what, Assert.Throws<ArgumentException>(options.Validate).Message);
}
