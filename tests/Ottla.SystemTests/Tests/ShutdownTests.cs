using System.Net.Sockets;
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
    public async Task HangingUpIsTerminating()
    {
        await using var broker = await BrokerProcess.StartAsync();
        if (Signals.IsHangUpIgnored)
        {
            broker.SendIgnoredHangUp();
            Assert.True(await broker.AnswersAsync());
            Assert.Equal(0, await broker.TerminateAsync());
            return;
        }

        Assert.Equal(0, await broker.HangUpAsync());
        Assert.True(File.Exists(Path.Combine(broker.DataDirectory, CleanShutdownFile)));
    }

    /// <summary>The broker gives a client that does not read ten seconds, and stops in order all the same.</summary>
    [Fact]
    public async Task TerminationIsCleanBesideAClientThatDoesNotRead()
    {
        await using var broker = await BrokerProcess.StartAsync();
        await using var client = await RawConnection.OpenAsync(broker.Port);
        await client.ApiVersionsAsync();
        const short apiVersions = 18;
        const int requests = 60_000; // more replies than the sockets' buffers hold
        var frames = Enumerable.Range(0, requests).SelectMany(i => RawConnection.Frame(apiVersions, 0, i, [])).ToArray();
        var sending = SendUntilClosedAsync(client, frames);
        await Until.TrueAsync("the broker answers others while one does not read", BrokerProcess.TransitionLimit, broker.AnswersAsync);
        Assert.Equal(0, await broker.TerminateAsync());
        await sending;
        Assert.True(File.Exists(Path.Combine(broker.DataDirectory, CleanShutdownFile)));
    }

    private static async Task SendUntilClosedAsync(RawConnection client, byte[] frames)
    {
        try
        {
            await client.SendAsync(frames);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // The broker takes no more requests from somebody who does not read, or has closed the connection.
        }
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
