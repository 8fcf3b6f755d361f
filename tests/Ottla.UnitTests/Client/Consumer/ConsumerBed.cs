using System.Globalization;
using System.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>A node with topics, a client, and consumers of texts; all in memory and on one clock. Made and disposed by one test.</summary>
internal sealed class ConsumerBed : IAsyncDisposable
{
    private readonly List<TestConnection> _connections = [];

    private ConsumerBed(ClientBed bed, TestConnection writer)
    {
        Bed = bed;
        Writer = writer;
        _connections.Add(writer);
    }

    public ClientBed Bed { get; }

    /// <summary>A client that writes.</summary>
    public TestConnection Writer { get; }

    /// <summary>Starts a node with the topic <c>t</c>.</summary>
    public static async Task<ConsumerBed> StartAsync(int partitions = 1, Func<OttlaClientOptions, OttlaClientOptions>? change = null)
    {
        var bed = await ClientBed.StartAsync(change);
        var writer = await bed.Node.ConnectAsync();
        await writer.CreateTopicAsync("t", partitions);
        return new ConsumerBed(bed, writer);
    }

    public static TopicPartition Partition(int index = 0, string topic = "t") => new(topic, index);

    /// <summary>Opens a consumer that reads from the beginning.</summary>
    public Consumer<string, string> Open(
        string? group = null, GroupProtocol protocol = GroupProtocol.Auto, Func<ConsumerOptions, ConsumerOptions>? change = null)
    {
        var options = new ConsumerOptions { GroupId = group, GroupProtocol = protocol, OffsetReset = OffsetReset.Earliest };
        return new Consumer<string, string>(Bed.Client, change is null ? options : change(options));
    }

    /// <summary>Writes texts, one batch of them.</summary>
    public async Task WriteAsync(IEnumerable<string> values, int partition = 0, string topic = "t", RecordBatchOptions? options = null)
    {
        using var builder = new RecordBatchBuilder(options ?? new RecordBatchOptions());
        var i = 0;
        foreach (var value in values)
        {
            builder.Append(
                StartMs + i, Encoding.UTF8.GetBytes($"k{i++}"), Encoding.UTF8.GetBytes(value),
                [new RecordHeader("h", Encoding.UTF8.GetBytes(value))]);
        }

        AssertError(ErrorCode.None, (await Writer.ProduceAsync(topic, builder.Build(), partition: partition)).ErrorCode);
    }

    /// <summary>Writes the numbers of a range, each in a batch of its own.</summary>
    public async Task WriteNumbersAsync(int start, int count, int partition = 0, string topic = "t")
    {
        for (var i = start; i < start + count; i++)
            await WriteAsync([i.ToString(CultureInfo.InvariantCulture)], partition, topic);
    }

    /// <summary>Reads as many records as there should be, and asks for the next one, so that they count as processed.</summary>
    public async Task<List<ConsumeResult<string, string>>> ReadAsync(Consumer<string, string> consumer, int count)
    {
        var records = new List<ConsumeResult<string, string>>();
        while (records.Count < count)
        {
            var next = await RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(2)).AsTask());
            Assert.True(next.HasValue, $"only {records.Count} of {count} records came: {Values(records)}");
            records.Add(next.Value);
        }

        Assert.Null(await RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(1)).AsTask()));
        return records;
    }

    public static string Values(IEnumerable<ConsumeResult<string, string>> records) =>
        string.Join(' ', records.Select(record => record.Value));

    public Task<T> RunAsync<T>(Task<T> task, long stepMs = 5) => Bed.RunAsync(task, stepMs);

    public Task RunAsync(Task task, long stepMs = 5) => Bed.RunAsync(task, stepMs);

    /// <summary>Has consumers ask for records, one after the other, until a condition holds.</summary>
    public async Task<List<ConsumeResult<string, string>>> PollUntilAsync(Func<bool> condition, params Consumer<string, string>[] consumers)
    {
        var records = new List<ConsumeResult<string, string>>();
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        while (!condition())
        {
            Assert.True(Environment.TickCount64 < deadline, "the condition does not come true: "
                + string.Join(" | ", consumers.Select(consumer => string.Join(' ', consumer.Assignment))));
            foreach (var consumer in consumers)
            {
                if (await RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(20)).AsTask()) is { } record)
                    records.Add(record);
            }
        }

        return records;
    }

    public async ValueTask DisposeAsync()
    {
        await Bed.DisposeAsync();
        foreach (var connection in _connections)
            await connection.DisposeAsync();
    }
}

/// <summary>Notes how partitions come and go.</summary>
internal sealed class NotingListener : IRebalanceListener
{
    public List<string> Notes { get; } = [];

    public Func<string, IReadOnlyList<TopicPartition>, ValueTask>? Then { get; set; }

    public ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) =>
        Note("assigned", partitions);

    public ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) =>
        Note("revoked", partitions);

    public ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => Note("lost", partitions);

    private ValueTask Note(string what, IReadOnlyList<TopicPartition> partitions)
    {
        Notes.Add($"{what} {string.Join(',', partitions.Order(Comparer<TopicPartition>.Create((a, b) =>
            string.CompareOrdinal(a.ToString(), b.ToString()))))}");
        return Then?.Invoke(what, partitions) ?? ValueTask.CompletedTask;
    }
}
