using System.Globalization;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Simulator.Library;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>Programs that one fault must not disturb: each call succeeds in the end, and all is stored as if nothing had been.</summary>
internal static class FaultPrograms
{
    private const int Records = 6;
    private static readonly TimeSpan s_bound = TimeSpan.FromSeconds(45);

    /// <summary>The options of clients: time enough for a fault or two.</summary>
    public static OttlaClientOptions Patient(OttlaClientOptions options) => options with
    {
        RequestTimeout = TimeSpan.FromSeconds(2),
        ApiTimeout = TimeSpan.FromSeconds(40),
    };

    /// <summary>The programs by name.</summary>
    public static IReadOnlyDictionary<string, Func<ClientRun, Task>> All { get; } = new Dictionary<string, Func<ClientRun, Task>>
    {
        ["produce"] = ProduceAsync,
        ["transactions"] = TransactAsync,
        ["classic group"] = run => ConsumeAsync(run, GroupProtocol.Classic),
        ["consumer group"] = run => ConsumeAsync(run, GroupProtocol.Consumer),
    };

    private static ProducerOptions ProducerOptions => new()
    {
        BatchBytes = 1, // every record is a batch of its own
        DeliveryTimeout = TimeSpan.FromSeconds(40),
        MaxBlock = TimeSpan.FromSeconds(40),
        CloseTimeout = TimeSpan.FromSeconds(5),
    };

    private static async Task ProduceAsync(ClientRun run)
    {
        var topic = await CreateTopicAsync(run);
        var producer = run.Client.CreateProducer<string, string>(ProducerOptions);
        await SendAsync(run, producer, topic, 0, Records);
        await EndsAsync(run, producer.DisposeAsync().AsTask());
        Assert.Equal(Numbers(0, Records), await ReadAsync(run, topic, Records));
    }

    private static async Task TransactAsync(ClientRun run)
    {
        var topic = await CreateTopicAsync(run);
        var group = $"tx-{topic}";
        var producer = run.Client.CreateProducer<string, string>(ProducerOptions with { TransactionalId = topic });
        for (var i = 0; i < 3; i++)
        {
            var transaction = await EndsAsync(run, producer.BeginTransactionAsync());
            await SendAsync(run, producer, topic, i * 2, 2);
            await EndsAsync(run, transaction.SendOffsetsAsync(
                [new PartitionOffset(topic, 0, i + 10)], new ConsumerGroupMetadata(group, -1, "", null)));
            await EndsAsync(run, i == 1 ? transaction.AbortAsync() : transaction.CommitAsync());
        }

        Assert.Equal([.. Numbers(0, 2), .. Numbers(4, 2)], await ReadAsync(run, topic, 4));
        var partition = new TopicPartition(topic, 0);
        var consumer = new Consumer<string, string>(run.Client, new ConsumerOptions { GroupId = group });
        Assert.Equal(12, (await EndsAsync(run, consumer.CommittedAsync([partition])))[partition]!.Value.Offset);
    }

    private static async Task ConsumeAsync(ClientRun run, GroupProtocol protocol)
    {
        var topic = await CreateTopicAsync(run);
        var producer = run.Client.CreateProducer<string, string>(ProducerOptions);
        await SendAsync(run, producer, topic, 0, Records);
        var read = new List<string?>();
        foreach (var count in new[] { 2, 4 })
        {
            var consumer = new Consumer<string, string>(run.Client, new ConsumerOptions
            {
                GroupId = topic,
                GroupProtocol = protocol,
                EnableAutoCommit = false,
                OffsetReset = OffsetReset.Earliest,
                SessionTimeout = TimeSpan.FromSeconds(10),
                MaxPollInterval = TimeSpan.FromSeconds(10), // so long, and a little longer, a lost JoinGroup is waited for
            });
            consumer.Subscribe([topic]);
            for (var i = 0; i < count; i++)
                read.Add((await EndsAsync(run, consumer.ConsumeOneAsync(TimeSpan.FromSeconds(40)).AsTask()))?.Value);
            await EndsAsync(run, consumer.CommitAsync());
            await EndsAsync(run, consumer.CloseAsync());
        }

        Assert.Equal(Numbers(0, Records), read);
    }

    private static IEnumerable<string> Numbers(int first, int count) =>
        Enumerable.Range(first, count).Select(number => number.ToString(CultureInfo.InvariantCulture));

    private static async Task<string> CreateTopicAsync(ClientRun run)
    {
        var topic = $"topic{run.Number}";
        var admin = run.Client.CreateAdmin();
        var topics = new[] { new NewTopic(topic) { Partitions = 1 } };
        var created = await EndsAsync(run, admin.CreateTopicsAsync(topics));
        while (created[topic].Error == ErrorCode.InvalidReplicationFactor)
        {
            await run.Process.Delay(TimeSpan.FromSeconds(1)); // a node is being restarted: there are too few, and the cluster says so
            created = await EndsAsync(run, admin.CreateTopicsAsync(topics));
        }

        Assert.True(created[topic].Error is ErrorCode.None or ErrorCode.TopicAlreadyExists, created[topic].Message);
        return topic;
    }

    private static async Task SendAsync(ClientRun run, Producer<string, string> producer, string topic, int first, int count)
    {
        Task<RecordMetadata>[] sent = [.. Numbers(first, count).Select(number => producer.ProduceAsync(topic, "k", number))];
        foreach (var each in sent)
            await EndsAsync(run, each);
    }

    private static async Task<List<string?>> ReadAsync(ClientRun run, string topic, int count)
    {
        var options = new ConsumerOptions { IsolationLevel = IsolationLevel.ReadCommitted, OffsetReset = OffsetReset.Earliest };
        var consumer = new Consumer<string, string>(run.Client, options);
        consumer.Assign([new TopicPartition(topic, 0)]);
        var read = new List<string?>();
        for (var i = 0; i < count; i++)
            read.Add((await EndsAsync(run, consumer.ConsumeOneAsync(TimeSpan.FromSeconds(40)).AsTask()))?.Value);
        Assert.Null(await EndsAsync(run, consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(100)).AsTask())); // nothing is there twice
        await EndsAsync(run, consumer.CloseAsync());
        return read;
    }

    private static async Task<T> EndsAsync<T>(ClientRun run, Task<T> call)
    {
        await EndsAsync(run, (Task)call);
        return await call;
    }

    private static async Task EndsAsync(ClientRun run, Task call)
    {
        await Task.WhenAny(LibrarySession.InContextAsync(call), run.Process.Delay(s_bound));
        Assert.True(call.IsCompleted, "a call does not end");
        await call;
    }
}
