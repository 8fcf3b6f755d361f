using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;
using Xunit.Abstractions;

namespace Ottla.SystemTests.Tests;

/// <summary>Consumer groups of real clients: they share partitions, leave, crash and come back, and go on where they committed.</summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class GroupTests(GroupBrokerFixture fixture, ITestOutputHelper output) : IClassFixture<GroupBrokerFixture>
{
    private const int NonEmptyGroup = 68;
    private const int GroupIdNotFound = 69;

    [Theory]
    [ClientData("kcat")]
    [ClientData("librdkafka")]
    [ClientData("confluent-dotnet")]
    [ClientData("librdkafka-2.16")]
    [ClientData("librdkafka-2.16-kip848")]
    [ClientData("confluent-dotnet-2.16-kip848")]
    [ClientData("kafka-python")]
    [ClientData("kafka-python-1.0.0")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    [ClientData("platformatic-kip848")]
    public async Task MembersShareThePartitionsAndGoOnWhereTheyCommitted(string client)
    {
        await using var scene = await CreateAsync(client);
        await scene.ProduceAsync(10);
        var first = scene.Join();
        await scene.SharedAmongAsync(first);
        await scene.AllCommittedAsync();

        var second = scene.Join();
        await scene.SharedAmongAsync(first, second);
        await scene.ProduceAsync(10);
        await scene.AllCommittedAsync();
        await second.LeaveAsync();
        await scene.SharedAmongAsync(first);
        await scene.ProduceAsync(10);
        await scene.AllCommittedAsync();
        await first.LeaveAsync();

        // Somebody read every record; after all was committed, nobody reads it again.
        await scene.ReadAsync(GroupScene.PartitionCount * scene.Produced, first, second);
        var returned = scene.Join();
        await scene.SharedAmongAsync(returned);
        await scene.ProduceAsync(5);
        await scene.AllCommittedAsync();
        await scene.ReadAsync(GroupScene.PartitionCount * 5, returned);
        Assert.All(returned.Records, record => Assert.True(record.Offset >= 30, $"read {record} again, though it was committed"));
    }

    [Theory]
    [ClientData("kcat")]
    [ClientData("librdkafka")]
    [ClientData("confluent-dotnet")]
    [ClientData("librdkafka-2.16")]
    [ClientData("librdkafka-2.16-kip848")]
    [ClientData("confluent-dotnet-2.16-kip848")]
    [ClientData("kafka-python")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    [ClientData("platformatic-kip848")]
    public async Task ACrashedMembersPartitionsGoToTheOthers(string client)
    {
        await using var scene = await CreateAsync(client);
        await scene.ProduceAsync(5);
        var stays = scene.Join();
        var crashes = scene.Join();
        await scene.SharedAmongAsync(stays, crashes);
        await scene.AllCommittedAsync();

        await crashes.KillAsync();
        await scene.ProduceAsync(5);
        await scene.SharedAmongAsync(stays);
        await scene.AllCommittedAsync();
        var returned = scene.Join();
        await scene.SharedAmongAsync(stays, returned);
    }

    [Theory]
    [ClientData("kcat")]
    [ClientData("librdkafka")]
    [ClientData("confluent-dotnet")]
    [ClientData("librdkafka-2.16")]
    [ClientData("platformatic")]
    public async Task StaticMembersKeepTheirPartitionsOverARestart(string client)
    {
        await using var scene = await CreateAsync(client);
        await scene.ProduceAsync(5);
        var stays = scene.Join("stays");
        var restarts = scene.Join("restarts");
        await scene.SharedAmongAsync(stays, restarts);
        await scene.AllCommittedAsync();
        var (kept, rounds) = (restarts.Partitions, stays.Assignments);

        await restarts.KillAsync();
        var restarted = scene.Join("restarts");
        await scene.HoldsAsync("the member has its partitions again", () => restarted.Partitions.SequenceEqual(kept));
        await scene.ProduceAsync(5);
        await scene.AllCommittedAsync();
        Assert.Equal(rounds, stays.Assignments); // the others noticed nothing
    }

    [ClientFact("kafka-go", "confluent-dotnet")]
    public async Task OldKafkaGoSharesPartitions()
    {
        await using var scene = await CreateAsync("kafka-go");
        await scene.ProduceAsync(1);
        var first = scene.Join();
        await scene.SharedAmongAsync(first);
        var second = scene.Join();
        await scene.SharedAmongAsync(first, second);
        await scene.AllCommittedAsync();
        await second.LeaveAsync();
        await scene.SharedAmongAsync(first);
    }

    [Theory]
    [ClientData("confluent-dotnet")]
    [ClientData("confluent-dotnet-2.16")]
    [ClientData("kafka-python")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    public async Task OperatorsListDescribeAndDeleteGroups(string client)
    {
        await using var scene = await CreateAsync(client);
        await scene.ProduceAsync(3);
        var member = scene.Join();
        await scene.AllCommittedAsync();

        var living = await AdminAsync(
            client, AdminOperation.ListGroups(), AdminOperation.DescribeGroup(scene.Group),
            AdminOperation.GroupOffsets(scene.Group, scene.Topic), AdminOperation.DeleteGroup(scene.Group));
        Assert.Contains(scene.Group, living[0].Groups!);
        Assert.Equal(("STABLE", 1), (living[1].State!.ToUpperInvariant(), living[1].Members));
        Assert.Equal(Enumerable.Range(0, GroupScene.PartitionCount).ToDictionary(partition => partition, _ => 3L), living[2].Offsets);
        Assert.Equal(NonEmptyGroup, living[3].Error);

        await member.LeaveAsync();
        var gone = await AdminAsync(
            client, AdminOperation.DescribeGroup(scene.Group), AdminOperation.DeleteGroup(scene.Group), AdminOperation.ListGroups(),
            AdminOperation.DeleteGroup(scene.Group));
        Assert.Equal(("EMPTY", 0), (gone[0].State!.ToUpperInvariant(), gone[0].Members));
        Assert.True(gone[1].Ok, gone[1].Message);
        Assert.DoesNotContain(scene.Group, gone[2].Groups!);
        Assert.Equal(GroupIdNotFound, gone[3].Error);
        Assert.Empty(scene.Committed());
    }

    private Task<GroupScene> CreateAsync(string client) =>
        GroupScene.CreateAsync(client, fixture.Bootstrap, () => fixture.BrokerOutput, output);

    private Task<IReadOnlyList<AdminAnswer>> AdminAsync(string client, params AdminOperation[] operations) =>
        ClientCatalog.Get(client).AdminAsync(fixture.Bootstrap, operations);
}
