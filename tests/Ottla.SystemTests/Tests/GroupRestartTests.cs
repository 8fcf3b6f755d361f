using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;
using Xunit.Abstractions;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// The broker is stopped, or killed, under a group that reads and commits: the group goes on, and no acknowledged commit is lost.
/// </summary>
[Trait(Categories.Trait, Categories.Kill)]
public sealed class GroupRestartTests(ITestOutputHelper output)
{
    private const int Rounds = 4;

    [Theory]
    [ClientData("kcat")]
    [ClientData("librdkafka")]
    [ClientData("confluent-dotnet")]
    [ClientData("librdkafka-2.16-kip848")]
    [ClientData("confluent-dotnet-2.16-kip848")]
    [ClientData("kafka-python")]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    [ClientData("platformatic-kip848")]
    public async Task GroupsGoOnAfterTheBrokerComesBack(string client)
    {
        await using var broker = await BrokerProcess.StartAsync(GroupBrokerFixture.ShortSessions);
        await using var scene = await GroupScene.CreateAsync(client, broker.Bootstrap, () => broker.Output, output);
        await scene.ProduceAsync(20);
        var first = scene.Join();
        var second = scene.Join();
        await scene.HoldsAsync("somebody commits", () => first.Events.Concat(second.Events).Any(one => one.Event != GroupEvent.Assigned));
        for (var round = 0; round < Rounds; round++)
        {
            if (round % 2 == 0)
                await broker.KillAsync();
            else
                Assert.Equal(0, await broker.TerminateAsync());
            var acknowledged = AcknowledgedBy(first, second);
            await broker.StartAgainAsync();
            var committed = scene.Committed();
            Assert.All(acknowledged, one => Assert.True(
                committed.GetValueOrDefault(one.Key, -1) >= one.Value,
                $"partition {one.Key}: {one.Value} was acknowledged, {committed.GetValueOrDefault(one.Key, -1)} is there"));
            await scene.ProduceAsync(20);
            await scene.AllCommittedAsync();
        }

        // librdkafka 2.16 does not survive a Metadata answer that names no broker: rd_kafka_metadata_decommission_unavailable_brokers
        // (rdkafka_metadata.c, since 2.10) takes it at its word, destroys the handles of all brokers and of the bootstrap servers too, and
        // nothing makes new ones. So a broker that shuts down last names itself, and the members come back.
        await scene.SharedAmongAsync(first, second);
        await scene.ReadAsync(GroupScene.PartitionCount * scene.Produced, first, second);
    }

    /// <summary>The highest commit of each partition that a member was told to have succeeded.</summary>
    private static Dictionary<int, long> AcknowledgedBy(params GroupMember[] members) => members.SelectMany(member => member.Events)
        .Where(one => one.Event == GroupEvent.Committed)
        .GroupBy(one => one.Partition)
        .ToDictionary(partition => partition.Key, partition => partition.Max(one => one.Offset));
}
