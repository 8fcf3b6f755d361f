using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>SIGTERM ends the broker cleanly, and the next start finds everything.</summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed class ShutdownTests
{
    // Kafka's name for what a clean shutdown leaves in each log directory.
    private const string CleanShutdownFile = ".kafka_cleanshutdown";

    [ClientFact("confluent-dotnet")]
    public async Task TerminationIsCleanAndKeepsEverything()
    {
        await using var broker = await BrokerProcess.StartAsync();
        var client = ClientCatalog.Get("confluent-dotnet");
        var topic = BrokerFixture.NewTopicName("kept");
        var records = RecordSets.Varied(ClientLimits.None);
        await client.CreateTopicAsync(broker.Bootstrap, topic, RecordSets.VariedPartitions);
        await client.ProduceAsync(broker.Bootstrap, topic, "zstd", records);

        Assert.Equal(0, await broker.TerminateAsync());
        Assert.True(File.Exists(Path.Combine(broker.DataDirectory, CleanShutdownFile)));

        await broker.StartAgainAsync();
        RecordSets.AssertRead(records, await client.ConsumeAsync(broker.Bootstrap, topic), ClientLimits.None);
        await client.ProduceAsync(broker.Bootstrap, topic, "none", records);
        Assert.Equal(2 * records.Count, (await client.ConsumeAsync(broker.Bootstrap, topic)).Count);
    }

    [Fact]
    public async Task CleanShutdownFileIsGoneWhileTheBrokerRuns()
    {
        await using var broker = await BrokerProcess.StartAsync();
        Assert.Equal(0, await broker.TerminateAsync());
        await broker.StartAgainAsync();
        Assert.False(File.Exists(Path.Combine(broker.DataDirectory, CleanShutdownFile)));
        await broker.KillAsync();
        Assert.False(File.Exists(Path.Combine(broker.DataDirectory, CleanShutdownFile)));
    }

    [Fact]
    public async Task TerminationDoesNotWaitForOpenConnections()
    {
        await using var broker = await BrokerProcess.StartAsync();
        await using var idle = await RawConnection.OpenAsync(broker.Port);
        await idle.ApiVersionsAsync();
        await using var halfway = await RawConnection.OpenAsync(broker.Port);
        await halfway.SendAsync(new byte[] { 0, 0, 0, 100, 0 });
        Assert.Equal(0, await broker.TerminateAsync());
    }
}
