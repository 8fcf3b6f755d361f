using System.Text;
using System.Text.Json;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// A client from before the record batch: what brokers still take from it works, and what KIP-896 removed ends its connection,
/// not the broker.
/// </summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class OldClientTests(NoAutoCreateBrokerFixture fixture) : IClassFixture<NoAutoCreateBrokerFixture>
{
    [ClientFact("kafka-go", "confluent-dotnet")]
    public async Task MetadataOffsetsAndDeletionStillWork()
    {
        var confluent = ClientCatalog.Get("confluent-dotnet");
        var topic = BrokerFixture.NewTopicName("old");
        var records = RecordSets.Varied(ClientLimits.None);
        await confluent.CreateTopicAsync(fixture.Bootstrap, topic, RecordSets.VariedPartitions);
        await confluent.ProduceAsync(fixture.Bootstrap, topic, "none", records);

        var output = (await ClientCatalog.KafkaGo.RunAsync(default, "offsets", fixture.Bootstrap, topic)).OrFail().Output;
        var latest = Encoding.UTF8.GetString(output)
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonSerializer.Deserialize<Dictionary<string, long>>(line)!)
            .ToDictionary(offsets => (int)offsets["partition"], offsets => offsets["latest"]);
        Assert.Equal(records.GroupBy(record => record.Partition).ToDictionary(group => group.Key, group => (long)group.Count()), latest);

        (await ClientCatalog.KafkaGo.RunAsync(default, "delete-topic", fixture.Bootstrap, topic)).OrFail();
        var described = await confluent.AdminAsync(fixture.Bootstrap, [AdminOperation.DescribeTopic(topic)]);
        Assert.Equal(3, described[0].Error);
    }

    [ClientFact("kafka-go", "confluent-dotnet")]
    public async Task RemovedVersionsAreRefused()
    {
        var confluent = ClientCatalog.Get("confluent-dotnet");
        var topic = BrokerFixture.NewTopicName("old");
        await confluent.CreateTopicAsync(fixture.Bootstrap, topic, 1);

        Assert.NotEqual(0, (await ClientCatalog.KafkaGo.RunAsync(default, "create-topic", fixture.Bootstrap, $"{topic}-2", "1")).ExitCode);
        Assert.NotEqual(0, (await ClientCatalog.KafkaGo.RunAsync(default, "produce", fixture.Bootstrap, topic)).ExitCode);
        Assert.NotEqual(0, (await ClientCatalog.KafkaGo.RunAsync(default, "consume", fixture.Bootstrap, topic)).ExitCode);

        var answers = await confluent.AdminAsync(
            fixture.Bootstrap, [AdminOperation.DescribeTopic($"{topic}-2"), AdminOperation.ListOffsets(topic, 0)]);
        Assert.Equal(3, answers[0].Error);
        Assert.Equal(0, answers[1].Latest);
    }
}
