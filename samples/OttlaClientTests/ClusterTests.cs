using Ottla.Client;
using Ottla.Testing;

namespace Ottla.Samples.OttlaClientTests;

/// <summary>An application on three brokers, which come and go.</summary>
public sealed class ClusterTests : IAsyncDisposable
{
    private OttlaTestBroker _cluster = null!;
    private OttlaClient _client = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _cluster = await OttlaTestBroker.StartAsync(new OttlaTestBrokerOptions { Nodes = 3 });
        _client = new OttlaClient(_cluster.BootstrapServers);
    }

    /// <summary>NUnit calls it after the last test.</summary>
    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    [Test]
    public async Task Producer_goes_on_when_leaders_move()
    {
        var topic = await _cluster.Topic("moving").CreateAsync();
        await using var producer = _client.CreateProducer<string?, string>();
        for (var i = 0; i < 6; i++)
        {
            await producer.ProduceAsync(topic.Name, null, $"value {i}");
            await _cluster.MoveLeaderAsync(topic.Name);
        }

        await topic.ShouldHaveCountAsync(6);
    }

    [Test]
    public async Task Nothing_is_lost_when_a_broker_is_killed()
    {
        var topic = await _cluster.Topic("safe").CreateAsync(partitions: 3);
        await using var producer = _client.CreateProducer<string?, string>();
        for (var i = 0; i < 30; i++)
        {
            if (i == 10)
                await _cluster.KillNodeAsync(2);
            if (i == 20)
                await _cluster.StartNodeAsync(2);
            await producer.ProduceAsync(topic.Name, null, $"value {i}");
        }

        await topic.ShouldHaveCountAsync(30);
    }
}
