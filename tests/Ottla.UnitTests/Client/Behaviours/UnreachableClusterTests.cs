using Ottla.Client;
using Ottla.Kernel;
using Ottla.Simulator.Faults;
using Ottla.Simulator.Library;
using Ottla.UnitTests.Client.Errors;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>
/// Closing and calls while no node can be reached, or none answers: they end within their time, and a call says that it has failed. Clients
/// of others hang here (confluent-kafka-dotnet 2013 and 2365), or say nothing (Dekaf 2770).
/// </summary>
public sealed class UnreachableClusterTests
{
    private const string Topic = "t";
    private static readonly TimeSpan s_close = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan s_api = TimeSpan.FromSeconds(6);

    /// <summary>Each prepares something while all is well, and returns what is done afterwards.</summary>
    private static readonly Dictionary<string, Func<OttlaClient, Task<Func<Task>>>> s_ends = new()
    {
        ["closing a producer that has sent"] = async client =>
        {
            var producer = client.CreateProducer<string, string>(ProducerOptions);
            await producer.ProduceAsync(Topic, "k", "v");
            return () => producer.DisposeAsync().AsTask();
        },
        ["closing a producer that sends"] = async client =>
        {
            var producer = client.CreateProducer<string, string>(ProducerOptions);
            await producer.ProduceAsync(Topic, "k", "v");
            return async () =>
            {
                var sending = producer.ProduceAsync(Topic, "k", "never");
                await producer.DisposeAsync();
                await Assert.ThrowsAnyAsync<KafkaException>(() => sending);
            };
        },
        ["closing a producer in a transaction"] = async client =>
        {
            var producer = client.CreateProducer<string, string>(ProducerOptions with { TransactionalId = "x" });
            await producer.BeginTransactionAsync();
            await producer.ProduceAsync(Topic, "k", "v");
            return () => producer.DisposeAsync().AsTask();
        },
        ["committing a transaction"] = async client =>
        {
            var producer = client.CreateProducer<string, string>(ProducerOptions with { TransactionalId = "x" });
            var transaction = await producer.BeginTransactionAsync();
            await producer.ProduceAsync(Topic, "k", "v");
            return () => Assert.ThrowsAsync<KafkaTimeoutException>(() => transaction.CommitAsync());
        },
        ["closing a member of a classic group"] = client => JoinAsync(client, GroupProtocol.Classic, consumer => consumer.CloseAsync()),
        ["closing a member of a consumer group"] = client => JoinAsync(client, GroupProtocol.Consumer, consumer => consumer.CloseAsync()),
        ["unsubscribing a member of a consumer group"] = client => JoinAsync(
            client, GroupProtocol.Consumer, consumer => ClientRun.TryAsync(consumer.UnsubscribeAsync())),
        ["committing offsets in a classic group"] = client => JoinAsync(
            client, GroupProtocol.Classic, consumer => Assert.ThrowsAnyAsync<KafkaException>(() => consumer.CommitAsync())),
        ["committing offsets in a consumer group"] = client => JoinAsync(
            client, GroupProtocol.Consumer, consumer => Assert.ThrowsAnyAsync<KafkaException>(() => consumer.CommitAsync())),
        ["asking for committed offsets"] = client => JoinAsync(
            client, GroupProtocol.Consumer,
            consumer => Assert.ThrowsAsync<KafkaTimeoutException>(() => consumer.CommittedAsync([new TopicPartition(Topic, 0)]))),
        ["waiting for a record"] = client => JoinAsync(
            client, GroupProtocol.Consumer, async consumer => Assert.Null(await consumer.ConsumeOneAsync(s_close))),
        ["creating a topic"] = client => Task.FromResult<Func<Task>>(() => Assert.ThrowsAsync<KafkaTimeoutException>(
            async () => (await client.CreateAdmin().CreateTopicsAsync([new NewTopic("never")])).ThrowIfFailed())),
        ["closing the client with all that it has opened"] = async client =>
        {
            var producer = client.CreateProducer<string, string>(ProducerOptions);
            await producer.ProduceAsync(Topic, "k", "v");
            await JoinAsync(client, GroupProtocol.Consumer, _ => Task.CompletedTask);
            return () => client.DisposeAsync().AsTask();
        },
    };

    public static TheoryData<string, bool> Cases()
    {
        var cases = new TheoryData<string, bool>();
        foreach (var end in s_ends.Keys)
        {
            cases.Add(end, false);
            cases.Add(end, true);
        }

        return cases;
    }

    private static ProducerOptions ProducerOptions => new()
    {
        DeliveryTimeout = TimeSpan.FromSeconds(5),
        MaxBlock = s_api,
        CloseTimeout = s_close,
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void It_ends_in_its_time(string end, bool isSilent) => ClientWorld.Run(nodes: 1, (world, _) => world.WithClientAsync(
        async run =>
        {
            (await run.Client.CreateAdmin().CreateTopicsAsync([new NewTopic(Topic) { Partitions = 1 }])).ThrowIfFailed();
            var act = await s_ends[end](run.Client);
            if (isSilent)
                run.Faults.Decide = _ => new RequestFault.Drop();
            else
                world.Cluster.Nodes[1].Kill();
            var acting = act();
            var bound = s_api + s_close + TimeSpan.FromSeconds(1);
            await Task.WhenAny(LibrarySession.InContextAsync(acting), run.Process.Delay(bound));
            Assert.True(acting.IsCompleted, $"it has not ended within {bound}");
            await acting;
        },
        options => options with { ApiTimeout = s_api, RequestTimeout = TimeSpan.FromSeconds(2) }));

    private static async Task<Func<Task>> JoinAsync(
        OttlaClient client, GroupProtocol protocol, Func<Consumer<string, string>, Task> actAsync)
    {
        var consumer = new Consumer<string, string>(client, new ConsumerOptions
        {
            GroupId = "g",
            GroupProtocol = protocol,
            OffsetReset = OffsetReset.Earliest,
            CloseTimeout = s_close,
        });
        consumer.Subscribe([Topic]);
        while (consumer.Assignment.Count == 0)
            await consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(50));
        await consumer.PositionAsync(new TopicPartition(Topic, 0)); // there is something to commit
        return () => actAsync(consumer);
    }
}
