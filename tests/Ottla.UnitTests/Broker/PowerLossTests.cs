using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Disk;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>A whole node on a disk that forgets what was not flushed.</summary>
public sealed class PowerLossTests
{
    private const ulong Seeds = 12;

    private readonly TestClock _clock = new();
    private readonly InMemoryTransport _network = new();

    [Fact]
    public async Task What_was_acknowledged_with_a_flush_survives_power_loss()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
            await LoseAndCheckAsync(seed);
    }

    private async Task LoseAndCheckAsync(ulong seed)
    {
        var random = new Prng(seed);
        var disk = new SimDisk(_clock, new Prng(~seed));
        var acknowledged = new Dictionary<string, long>();
        for (var life = 0; life < 3; life++)
        {
            var node = await StartAsync(disk);
            await using (var client = new TestConnection(await _network.ConnectAsync(node.EndPoints[0], default)))
            {
                await CheckAsync(client, acknowledged, $"seed {seed}, life {life}");
                var created = $"topic-{life}";
                await client.CreateTopicAsync(created);
                acknowledged.Add(created, 0);
                for (var i = random.NextInt(12); i > 0; i--)
                {
                    var topic = $"topic-{random.NextInt(life + 1)}";
                    var count = 1 + random.NextInt(3);
                    var produced = await client.ProduceAsync(topic, Batch(count), acks: (short)(random.NextChance(50) ? -1 : 1));
                    AssertError(ErrorCode.None, produced.ErrorCode);
                    Assert.Equal(acknowledged[topic], produced.BaseOffset);
                    acknowledged[topic] += count;
                }
            }

            await node.DisposeAsync().AsTask().WaitAsync(TestNode.Patience); // leaves what a crash would leave
            disk = disk.AfterPowerLoss();
        }
    }

    private static async Task CheckAsync(TestConnection client, Dictionary<string, long> acknowledged, string when)
    {
        var topics = (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Topics;
        Assert.Equal(acknowledged.Keys.Order(), topics.Select(topic => topic.Name!).Order());
        foreach (var (topic, end) in acknowledged)
        {
            var fetched = await client.FetchAsync(topic, 0);
            AssertError(ErrorCode.None, fetched.ErrorCode);
            Assert.True(fetched.HighWatermark == end, $"{when}: {topic} ends at {fetched.HighWatermark}, {end} was acknowledged");
            Assert.Equal(end > 0, BaseOffsets(fetched.Records).Contains(0));
        }
    }

    private Task<BrokerNode> StartAsync(SimDisk disk)
    {
        var platform = new NodePlatform(disk, _network, _clock, NullLoggerFactory.Instance, Seed: 42);
        var configs = new Dictionary<string, string> { ["log.dirs"] = "/data", ["log.flush.interval.messages"] = "1" };
        return BrokerNode.StartAsync(BrokerConfig.LoadDevMode([], configs), mayFormat: true, platform).WaitAsync(TestNode.Patience);
    }
}
