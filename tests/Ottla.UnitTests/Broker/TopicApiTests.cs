using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>Topics come, grow and go.</summary>
public sealed class TopicApiTests
{
    [Fact]
    public async Task CreateTopics_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<CreateTopicsResponse>())
        {
            var name = $"t-{version}";
            var created = Assert.Single(
                (await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(
                    CreateTopics(Topic(name, 3, ("retention.ms", "1000"))), version)).Topics);
            AssertError(ErrorCode.None, created.ErrorCode, created.ErrorMessage);
            Assert.Equal(name, created.Name);
            Assert.Equal(version >= 7, created.TopicId != Uuid.Zero);
            if (version >= 5)
            {
                Assert.Equal((3, (short)1), (created.NumPartitions, created.ReplicationFactor));
                Assert.Equal("1000", created.Configs!.Single(config => config.Name == "retention.ms").Value);
            }

            AssertError(ErrorCode.None, (await client.ProduceAsync(name, Batch(), partition: 2)).ErrorCode); // at once
            AssertError(ErrorCode.TopicAlreadyExists, await ErrorOf(Topic(name)));
            AssertError(ErrorCode.InvalidTopicException, await ErrorOf(Topic("no/topic")));
            AssertError(ErrorCode.InvalidPartitions, await ErrorOf(Topic("u", partitions: 0)));
            AssertError(
                ErrorCode.InvalidReplicationFactor,
                await ErrorOf(new CreateTopicsRequest.CreatableTopic { Name = "u", NumPartitions = 1, ReplicationFactor = 2 }));
            AssertError(ErrorCode.InvalidConfig, await ErrorOf(Topic("u", 1, ("no.such.config", "1"))));
            AssertError(ErrorCode.InvalidConfig, await ErrorOf(Topic("u", 1, ("retention.ms", "often"))));
            AssertError(ErrorCode.InvalidReplicaAssignment, await ErrorOf(Assigned(9)));

            async Task<short> ErrorOf(CreateTopicsRequest.CreatableTopic topic) =>
                Assert.Single((await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(CreateTopics(topic), version)).Topics)
                .ErrorCode;
        }

        static CreateTopicsRequest.CreatableTopic Assigned(int broker) => new()
        {
            Name = "u",
            NumPartitions = -1,
            ReplicationFactor = -1,
            Assignments = [new CreateTopicsRequest.CreatableReplicaAssignment { BrokerIds = [broker] }],
        };
    }

    [Fact]
    public async Task Validating_creates_nothing()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var request = CreateTopics(Topic("t"));
        request.ValidateOnly = true;
        AssertError(
            ErrorCode.None, Assert.Single((await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(request)).Topics).ErrorCode);
        AssertError(ErrorCode.UnknownTopicOrPartition, (await client.ProduceAsync("t", Batch())).ErrorCode);
    }

    [Fact]
    public async Task DeleteTopics_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<DeleteTopicsResponse>())
        {
            var id = await client.CreateTopicAsync("t");
            await client.ProduceAsync("t", Batch(5));
            var deleted = Assert.Single(
                (await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(Delete(version, "t", id), version)).Responses);
            AssertError(ErrorCode.None, deleted.ErrorCode, deleted.ErrorMessage);
            Assert.Equal("t", deleted.Name);
            AssertError(ErrorCode.UnknownTopicOrPartition, (await client.ProduceAsync("t", Batch())).ErrorCode);
            var again = Assert.Single(
                (await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(Delete(version, "t", id), version)).Responses);
            AssertError(version >= 6 ? ErrorCode.UnknownTopicId : ErrorCode.UnknownTopicOrPartition, again.ErrorCode);
        }

        var recreated = await client.CreateTopicAsync("t");
        Assert.NotEqual(Uuid.Zero, recreated);
        Assert.Equal(0, (await client.ProduceAsync("t", Batch())).BaseOffset); // nothing of the old ones is left
        var byName = new DeleteTopicsRequest { Topics = [new DeleteTopicsRequest.DeleteTopicState { Name = "t" }] };
        AssertError(
            ErrorCode.None,
            Assert.Single((await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(byName, 6)).Responses).ErrorCode);

        static DeleteTopicsRequest Delete(short version, string name, Uuid id) =>
            version >= 6 ? new() { Topics = [new DeleteTopicsRequest.DeleteTopicState { Name = null, TopicId = id }] }
            : new() { TopicNames = [name] };
    }

    [Fact]
    public async Task Topics_are_not_deleted_where_the_broker_does_not_allow_it()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t", ("delete.topic.enable", "false"));
        await using var _1 = node;
        foreach (var version in TestConnection.VersionsOf<DeleteTopicsResponse>().Where(version => version < 6))
        {
            var response = await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(
                new DeleteTopicsRequest { TopicNames = ["t"] }, version);
            AssertError(
                version >= 3 ? ErrorCode.TopicDeletionDisabled : ErrorCode.InvalidRequest, Assert.Single(response.Responses).ErrorCode);
        }
    }

    [Fact]
    public async Task CreatePartitions_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var version in TestConnection.VersionsOf<CreatePartitionsResponse>())
        {
            var count = version + 2;
            AssertError(ErrorCode.None, await AskAsync("t", count));
            AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(), partition: count - 1)).ErrorCode);
            AssertError(ErrorCode.InvalidPartitions, await AskAsync("t", count));
            AssertError(ErrorCode.InvalidPartitions, await AskAsync("t", 1));
            AssertError(ErrorCode.UnknownTopicOrPartition, await AskAsync("nowhere", 5));
            AssertError(ErrorCode.InvalidReplicaAssignment, await AskAsync("t", count + 1, [9]));

            async Task<short> AskAsync(string topic, int newCount, int[]? brokers = null)
            {
                var assignments = brokers is null ? null
                    : new[] { new CreatePartitionsRequest.CreatePartitionsAssignment { BrokerIds = brokers } };
                var request =
                    new CreatePartitionsRequest
                    {
                        Topics = [
                        new CreatePartitionsRequest.CreatePartitionsTopic { Name = topic, Count = newCount, Assignments = assignments }],
                        TimeoutMs = 1000
                    };
                return Assert.Single((await client.CallAsync<CreatePartitionsRequest, CreatePartitionsResponse>(request, version)).Results)
                    .ErrorCode;
            }
        }
    }
}
