using Ottla.Broker.Server;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Broker;

/// <summary><c>max.connection.creation.rate</c>, of the broker and of a listener.</summary>
public sealed class ConnectionRateTests
{
    private static readonly ConnectionRateLimits Limits = new(
        5, new Dictionary<string, int> { ["SLOW"] = 2, ["BROKERS"] = 5, ["FREE"] = int.MaxValue }, "BROKERS", 3, 1000);

    [Fact]
    public void ABurstOfTheWholeWindowPassesAndThenTheRateHolds()
    {
        var rates = new ConnectionRates();
        var nowMs = 0L;
        var accepted = 0;
        while (nowMs < 60_000)
        {
            nowMs += rates.Record("FREE", Limits, nowMs);
            accepted++;
            if (nowMs == 0)
                Assert.InRange(accepted, 1, 10); // two whole samples at five a second
        }

        Assert.InRange(accepted, 5 * 60, (5 * 60) + 15);
    }

    [Fact]
    public void TheSlowerLimitCounts()
    {
        var rates = new ConnectionRates();
        for (var i = 0; i < 4; i++)
            Assert.Equal(0, rates.Record("SLOW", Limits, 0));
        Assert.Equal(500, rates.Record("SLOW", Limits, 0)); // 5 in 2 s is 0.5 a second too many
        for (var i = 0; i < 5; i++)
            Assert.Equal(0, rates.Record("FREE", Limits, 0)); // the broker's five of ten are left
        Assert.Equal(200, rates.Record("FREE", Limits, 0));
    }

    [Fact]
    public void ClientsDoNotUseUpWhatBrokersNeed()
    {
        var rates = new ConnectionRates();
        for (var i = 0; i < 100; i++)
            rates.Record("FREE", Limits, 0);
        for (var i = 0; i < 10; i++)
            Assert.Equal(0, rates.Record("BROKERS", Limits, 0));
        Assert.Equal(200, rates.Record("BROKERS", Limits, 0));
    }

    [Fact]
    public void AWaitIsNoLongerThanASample()
    {
        var rates = new ConnectionRates();
        var none = Limits with { Broker = 0 };
        Assert.Equal(1000, rates.Record("FREE", none, 0));
        for (var i = 0; i < 1000; i++)
            Assert.InRange(rates.Record("FREE", Limits, 0), 0, 1000);
    }

    [Fact]
    public void ARestForgives()
    {
        var rates = new ConnectionRates();
        for (var i = 0; i < 100; i++)
            rates.Record("FREE", Limits, 0);
        Assert.Equal(0, rates.Record("FREE", Limits, 3000));
    }

    [Fact]
    public async Task ConnectionsOverTheRateAreServedLater()
    {
        await using var node = await TestNode.StartAsync(("max.connection.creation.rate", "5"), ("quota.window.num", "3"));
        var clients = new List<TestConnection>();
        for (var i = 0; i < 10; i++)
        {
            clients.Add(await node.ConnectAsync());
            await clients[^1].AssertAliveAsync();
        }

        var waiting = node.Clock.NextTimerAsync(200);
        await using var late = await node.ConnectAsync();
        await late.SendAsync(new ApiVersionsRequest(), 0);
        await waiting;
        node.Clock.AdvanceMs(200);
        Assert.NotEmpty((await late.ReceiveAsync<ApiVersionsResponse>()).ApiKeys);
        foreach (var client in clients)
            await client.DisposeAsync();
    }

    [Fact]
    public async Task AStopDoesNotWaitForTheRate()
    {
        await using var node = await TestNode.StartAsync(("listener.name.plaintext.max.connection.creation.rate", "0"));
        var waiting = node.Clock.NextTimerAsync(1000);
        await using var late = await node.ConnectAsync();
        await waiting;
        await node.StopAsync();
        await late.AssertClosedAsync();
    }
}
