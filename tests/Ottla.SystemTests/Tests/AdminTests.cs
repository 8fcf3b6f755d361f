using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>Topics, partitions, configs, offsets and their errors through the clients' own admin interfaces.</summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class AdminTests(NoAutoCreateBrokerFixture fixture) : IClassFixture<NoAutoCreateBrokerFixture>
{
    private const int OffsetOutOfRange = 1;
    private const int UnknownTopicOrPartition = 3;
    private const int InvalidTopic = 17;
    private const int TopicAlreadyExists = 36;
    private const int InvalidPartitions = 37;
    private const int InvalidConfig = 40;

    [Theory]
    [ClientData("confluent-dotnet")]
    [ClientData("confluent-dotnet-2.16")]
    [ClientData("kafka-python")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    public async Task TopicsAreCreatedGrownAndDeleted(string client)
    {
        var topic = BrokerFixture.NewTopicName(client);
        var answers = await RunAsync(
            client,
            AdminOperation.CreateTopic(topic, 2),
            AdminOperation.DescribeTopic(topic),
            AdminOperation.CreatePartitions(topic, 5),
            AdminOperation.DescribeTopic(topic),
            AdminOperation.DeleteTopic(topic),
            AdminOperation.DescribeTopic(topic));

        AssertOk(answers[0]);
        Assert.Equal(2, AssertOk(answers[1]).Partitions);
        AssertOk(answers[2]);
        Assert.Equal(5, AssertOk(answers[3]).Partitions);
        AssertOk(answers[4]);
        AssertError(UnknownTopicOrPartition, answers[5]);
    }

    [Theory]
    [ClientData("confluent-dotnet")]
    [ClientData("confluent-dotnet-2.16")]
    [ClientData("kafka-python")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    public async Task MistakesWithTopicsGetTheirErrors(string client)
    {
        var topic = BrokerFixture.NewTopicName(client);
        var missing = BrokerFixture.NewTopicName("missing");
        var answers = await RunAsync(
            client,
            AdminOperation.CreateTopic(topic, 2),
            AdminOperation.CreateTopic(topic, 2),
            AdminOperation.CreateTopic("not/a/topic", 1),
            AdminOperation.CreateTopic($"{topic}-value", 1, ("retention.ms", "never")),
            AdminOperation.CreateTopic($"{topic}-name", 1, ("no.such.config", "1")),
            AdminOperation.CreatePartitions(topic, 1),
            AdminOperation.CreatePartitions(missing, 3),
            AdminOperation.DeleteTopic(missing));

        AssertOk(answers[0]);
        AssertError(TopicAlreadyExists, answers[1]);
        AssertError(InvalidTopic, answers[2]);
        AssertError(InvalidConfig, answers[3]);
        AssertError(InvalidConfig, answers[4]);
        AssertError(InvalidPartitions, answers[5]);
        AssertError(UnknownTopicOrPartition, answers[6]);
        AssertError(UnknownTopicOrPartition, answers[7]);
    }

    [Theory]
    [ClientData("confluent-dotnet")]
    [ClientData("confluent-dotnet-2.16")]
    [ClientData("kafka-python")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    public async Task ConfigsAreDescribedAndAltered(string client)
    {
        var topic = BrokerFixture.NewTopicName(client);
        var answers = await RunAsync(
            client,
            AdminOperation.CreateTopic(topic, 1, ("retention.ms", "86400000")),
            AdminOperation.DescribeConfigs(topic),
            AdminOperation.AlterConfig(topic, "retention.ms", "3600000"),
            AdminOperation.DescribeConfigs(topic),
            AdminOperation.AlterConfig(topic, "retention.ms", "never"),
            AdminOperation.DescribeConfigs(topic));

        AssertOk(answers[0]);
        var created = AssertOk(answers[1]).Configs!;
        Assert.Equal("86400000", created["retention.ms"]);
        Assert.Equal("delete", created["cleanup.policy"]);
        Assert.Equal("1", created["min.insync.replicas"]);
        Assert.Equal("producer", created["compression.type"]);
        AssertOk(answers[2]);
        Assert.Equal("3600000", AssertOk(answers[3]).Configs!["retention.ms"]);
        AssertError(InvalidConfig, answers[4]);
        Assert.Equal("3600000", AssertOk(answers[5]).Configs!["retention.ms"]);
    }

    [Theory]
    [ClientData("confluent-dotnet")]
    [ClientData("confluent-dotnet-2.16")]
    [ClientData("kafka-python")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    public async Task OffsetsAreListedAndRecordsDeleted(string client)
    {
        const int recordCount = 30;
        const int deletedCount = 12;
        var tested = ClientCatalog.Get(client);
        var topic = BrokerFixture.NewTopicName(client);
        await tested.CreateTopicAsync(fixture.Bootstrap, topic, 1);
        var records = Enumerable.Range(0, recordCount)
            .Select(index => new TestRecord(0, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), [(byte)index], [(byte)index], []))
            .ToList();
        await tested.ProduceAsync(fixture.Bootstrap, topic, "none", records);

        var listed = AssertOk((await RunAsync(client, AdminOperation.ListOffsets(topic, 0)))[0]);
        Assert.Equal((0L, (long)recordCount), (listed.Earliest, listed.Latest));
        if (tested.MissingOperations.Contains("delete-records"))
            return;

        var answers = await RunAsync(
            client,
            AdminOperation.DeleteRecords(topic, 0, deletedCount),
            AdminOperation.ListOffsets(topic, 0),
            AdminOperation.DeleteRecords(topic, 0, recordCount + 1),
            AdminOperation.ListOffsets(topic, 0));
        AssertOk(answers[0]);
        Assert.Equal((deletedCount, recordCount), (AssertOk(answers[1]).Earliest, answers[1].Latest));
        AssertError(OffsetOutOfRange, answers[2]);
        Assert.Equal((deletedCount, recordCount), (AssertOk(answers[3]).Earliest, answers[3].Latest));

        var read = await tested.ConsumeAsync(fixture.Bootstrap, topic);
        Assert.Equal(records.Skip(deletedCount).Select(record => record.Value![0]), read.Select(record => record.Value![0]));
        Assert.Equal(deletedCount, read[0].Offset);
    }

    private static AdminAnswer AssertOk(AdminAnswer answer)
    {
        Assert.True(answer.Ok, $"error {answer.Error}: {answer.Message}");
        return answer;
    }

    private static void AssertError(int expected, AdminAnswer answer) =>
        Assert.True(!answer.Ok && answer.Error == expected, $"error {expected} was expected, and the answer is {answer}");

    private async Task<IReadOnlyList<AdminAnswer>> RunAsync(string client, params AdminOperation[] operations)
    {
        var answers = await ClientCatalog.Get(client).AdminAsync(fixture.Bootstrap, operations);
        Assert.Equal(operations.Length, answers.Count);
        return answers;
    }
}
