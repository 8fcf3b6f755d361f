using Confluent.Kafka;
using Ottla.Testing;

namespace Ottla.Samples.ConfluentKafkaTests;

/// <summary>What takes Kafka minutes or days, and a test milliseconds.</summary>
public sealed class TimeTests
{
    [Fact]
    public async Task Records_go_when_their_retention_is_over()
    {
        await using var broker = await OttlaTestBroker.StartAsync();
        var topic = await broker.Topic("short-lived").CreateAsync(configs: new Dictionary<string, string?>
        {
            ["retention.ms"] = "3600000",
            ["segment.ms"] = "60000",
        });
        await topic.ProduceAsync("old");
        await broker.Clock.AdvanceAsync(TimeSpan.FromHours(2));
        using var producer = new ProducerBuilder<Null, string>(new ProducerConfig { BootstrapServers = broker.BootstrapServers }).Build();
        await producer.ProduceAsync(topic.Name, new Message<Null, string> { Value = "new" });
        await broker.Clock.AdvanceAsync(TimeSpan.FromMinutes(10)); // the broker looks every five minutes
        Assert.DoesNotContain(await topic.ReadAsync(), record => record.Value == "old");
    }

    [Fact]
    public async Task Transaction_of_a_producer_that_is_gone_is_aborted()
    {
        await using var broker = await OttlaTestBroker.StartAsync();
        var topic = await broker.Topic("payments").CreateAsync();
        using var gone = new ProducerBuilder<Null, string>(new ProducerConfig
        {
            BootstrapServers = broker.BootstrapServers,
            TransactionalId = "payments",
            TransactionTimeoutMs = 60_000,
        }).Build();
        gone.InitTransactions(TimeSpan.FromSeconds(30));
        gone.BeginTransaction();
        await gone.ProduceAsync(topic.Name, new Message<Null, string> { Value = "half" });
        await topic.ProduceAsync("behind it");
        Assert.Empty(await topic.ReadAsync()); // nobody may see what is behind an open transaction
        await broker.Clock.AdvanceAsync(TimeSpan.FromMinutes(2));
        await topic.ShouldContainAsync("behind it");
        Assert.DoesNotContain(await topic.ReadAsync(), record => record.Value == "half");
    }
}
