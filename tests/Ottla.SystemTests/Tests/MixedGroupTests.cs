using System.Globalization;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;
using Xunit.Abstractions;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// Groups whose members are different clients: the .NET client, librdkafka and kafka-python. They share partitions, one client is replaced
/// by another while the group reads, and the group goes over to the consumer protocol and back.
/// </summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class MixedGroupTests(GroupBrokerFixture fixture, ITestOutputHelper output) : IClassFixture<GroupBrokerFixture>
{
    private const string OurOwn = "ottla";
    private const string Librdkafka = "librdkafka-2.16";
    private const string KafkaPython = "kafka-python";

    /// <summary>What stands for an assignor where the coordinator assigns.</summary>
    private const string ConsumerProtocol = "consumer";

    [ClientFact(Librdkafka, KafkaPython)]
    public Task MembersShareByRange() => ShareAsync("range", OurOwn, Librdkafka, KafkaPython);

    [ClientFact(Librdkafka, KafkaPython)]
    public Task MembersShareByRoundRobin() => ShareAsync("roundrobin", KafkaPython, OurOwn, Librdkafka);

    [ClientFact(Librdkafka)]
    public Task MembersShareByCooperativeSticky() => ShareAsync("cooperative-sticky", Librdkafka, OurOwn, Librdkafka, OurOwn);

    [ClientFact(Librdkafka)]
    public Task MembersShareByTheConsumerProtocol() => ShareAsync(ConsumerProtocol, OurOwn, Librdkafka, OurOwn);

    [ClientFact(Librdkafka, KafkaPython)]
    public Task OneClientIsReplacedByTheOtherByRange() => ReplaceAsync(
        (Librdkafka, "range"), (OurOwn, "range"), (KafkaPython, "range"), (OurOwn, "range"));

    [ClientFact(KafkaPython)]
    public Task OneClientIsReplacedByTheOtherByRoundRobin() => ReplaceAsync(
        (KafkaPython, "roundrobin"), (OurOwn, "roundrobin"), (KafkaPython, "roundrobin"));

    [ClientFact(Librdkafka)]
    public Task OneClientIsReplacedByTheOtherByCooperativeSticky() =>
        ReplaceAsync((Librdkafka, "cooperative-sticky"), (OurOwn, "cooperative-sticky"), (Librdkafka, "cooperative-sticky"));

    [ClientFact(Librdkafka)]
    public Task OneClientIsReplacedByTheOtherInTheConsumerProtocol() =>
        ReplaceAsync((Librdkafka, ConsumerProtocol), (OurOwn, ConsumerProtocol), (Librdkafka, ConsumerProtocol));

    // Not from librdkafka's cooperative-sticky: it writes the user data of a member's subscription into the member's assignment
    // (rd_kafka_group_MemberState_consumer_write in rdkafka_request.c, 2.16), which Kafka and Ottla take for a custom assignor's. They
    // refuse the first member of the newer protocol then, GROUP_ID_NOT_FOUND.
    [ClientFact(Librdkafka)]
    public Task TheGroupGoesOverToTheConsumerProtocolAndBack() => ReplaceAsync(
        (Librdkafka, "range"), (OurOwn, ConsumerProtocol), (Librdkafka, "cooperative-sticky"), (OurOwn, "cooperative-sticky"),
        (Librdkafka, ConsumerProtocol), (OurOwn, "range"), (OurOwn, ConsumerProtocol));

    [ClientFact(KafkaPython)]
    public Task AnOldClientsGroupGoesOverToTheConsumerProtocol() => ReplaceAsync((KafkaPython, "range"), (OurOwn, ConsumerProtocol));

    /// <summary>Members come, share, go in order and die.</summary>
    private async Task ShareAsync(string assignor, params string[] clients)
    {
        await using var scene = await CreateAsync();
        await scene.ProduceAsync(5);
        var members = new List<GroupMember>();
        foreach (var client in clients)
        {
            members.Add(Join(scene, client, assignor));
            await scene.SharedAmongAsync([.. members]);
            await scene.ProduceAsync(5);
            await scene.AllCommittedAsync();
        }

        await members[0].LeaveAsync();
        members.RemoveAt(0);
        await scene.ProduceAsync(5);
        await scene.SharedAmongAsync([.. members]);
        await scene.AllCommittedAsync();
        await members[0].KillAsync();
        members.RemoveAt(0);
        await scene.ProduceAsync(5);
        await scene.SharedAmongAsync([.. members]);
        await EndAsync(scene);
    }

    /// <summary>A group of two members of the first client; each of them is replaced by one of the second client, and so on.</summary>
    private async Task ReplaceAsync(params (string Client, string Assignor)[] generations)
    {
        await using var scene = await CreateAsync();
        await scene.ProduceAsync(5);
        var members = new Queue<GroupMember>();
        foreach (var (client, assignor) in generations)
        {
            for (var i = 0; i < 2; i++)
            {
                members.Enqueue(Join(scene, client, assignor));
                if (members.Count > 2)
                    await members.Dequeue().LeaveAsync();
                await scene.ProduceAsync(5);
                await scene.SharedAmongAsync([.. members]);
                await scene.AllCommittedAsync();
            }
        }

        await EndAsync(scene);
    }

    private async Task<GroupScene> CreateAsync() =>
        await GroupScene.CreateAsync("confluent-dotnet", fixture.Bootstrap, () => fixture.BrokerOutput, output);

    /// <summary>All is committed and was read; nothing was read again whose commit was acknowledged.</summary>
    private static async Task EndAsync(GroupScene scene)
    {
        await scene.AllCommittedAsync();
        await scene.ReadAsync(GroupScene.PartitionCount * scene.Produced, [.. scene.Members]);
        var committedBy = new Dictionary<(int Partition, long Offset), GroupMember>();
        foreach (var member in scene.Members)
        {
            var read = new HashSet<(int Partition, long Offset)>();
            var acknowledged = new Dictionary<int, long>();
            foreach (var told in member.Events)
            {
                if (told.Event == GroupEvent.Record)
                {
                    Assert.False(
                        told.Offset < acknowledged.GetValueOrDefault(told.Partition),
                        $"{told} was read again by the member that had committed it: {member}");
                    read.Add((told.Partition, told.Offset));
                }
                else if (told.Event == GroupEvent.Committed)
                {
                    acknowledged[told.Partition] = told.Offset;
                    foreach (var record in read.Where(record => record.Partition == told.Partition && record.Offset < told.Offset).ToList())
                    {
                        read.Remove(record);
                        Assert.True(
                            committedBy.TryAdd(record, member),
                            string.Create(CultureInfo.InvariantCulture, $"{record} was read and committed by two members: {member}"));
                    }
                }
            }
        }
    }

    private static GroupMember Join(GroupScene scene, string client, string assignor) => scene.Join((bootstrap, group, topic) =>
    {
        var isConsumer = assignor == ConsumerProtocol;
        if (client == OurOwn)
            return OttlaGroupMember.Command(bootstrap, group, topic, isConsumer ? null : assignor);
        var command = ClientCatalog.Get(client).GroupMemberCommand(bootstrap, group, topic, instance: null);
        var (name, value) = client == KafkaPython ? ("KAFKA_PYTHON_ASSIGNORS", assignor)
            : isConsumer ? ("LIBRDKAFKA_GROUP_PROTOCOL", ConsumerProtocol) : ("LIBRDKAFKA_ASSIGNORS", assignor);
        return command with { Environment = new Dictionary<string, string>(command.Environment) { [name] = value } };
    });
}
