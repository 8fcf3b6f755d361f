using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>What real clients produce, real clients read back exactly: each client its own records, and each other's.</summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class ClientRoundTripTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [Theory]
    [ClientCodecs("librdkafka")]
    [ClientCodecs("librdkafka-2.16")]
    [ClientCodecs("confluent-dotnet")]
    [ClientCodecs("confluent-dotnet-2.16")]
    [ClientCodecs("kafka-python")]
    [ClientCodecs("kafka-python-2.4.0")]
    [ClientCodecs("kafka-python-1.0.0")]
    [ClientCodecs("kafkajs")]
    [ClientCodecs("platformatic")]
    public async Task ReadsBackWhatItProduced(string client, string codec)
    {
        var tested = ClientCatalog.Get(client);
        await RoundTripAsync(creator: tested, producer: tested, consumer: tested, codec);
    }

    [Theory]
    [ClientPair("librdkafka", "kafka-python")]
    [ClientPair("librdkafka", "kafkajs")]
    [ClientPair("kafka-python", "platformatic")]
    [ClientPair("kafkajs", "confluent-dotnet")]
    [ClientPair("platformatic", "kcat")]
    [ClientPair("kcat", "librdkafka")]
    [ClientPair("kcat", "kcat")]
    [ClientPair("confluent-dotnet-2.16", "librdkafka")]
    public async Task ReadsWhatAnotherClientProduced(string producer, string consumer, string codec)
    {
        var writes = ClientCatalog.Get(producer);
        var reads = ClientCatalog.Get(consumer);
        await RoundTripAsync(
            creator: new[] { writes, reads, ClientCatalog.Get("librdkafka") }.First(client => client is not KcatClient), writes, reads,
            codec);
    }

    private async Task RoundTripAsync(KafkaClient creator, KafkaClient producer, KafkaClient consumer, string codec)
    {
        var topic = BrokerFixture.NewTopicName($"{producer}-{codec}");
        var records = RecordSets.Varied(producer.Limits);
        await creator.CreateTopicAsync(fixture.Bootstrap, topic, RecordSets.VariedPartitions);
        await producer.ProduceAsync(fixture.Bootstrap, topic, codec, records);
        RecordSets.AssertRead(records, await consumer.ConsumeAsync(fixture.Bootstrap, topic), producer.Limits);
    }
}
