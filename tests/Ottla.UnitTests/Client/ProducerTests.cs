using System.Text;
using Ottla.Client;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Client;

/// <summary>A producer at a whole node.</summary>
public sealed class ProducerTests
{
    [Fact]
    public async Task Says_where_a_record_is()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>();
        for (var i = 0; i < 3; i++)
        {
            var written = await bed.RunAsync(producer.ProduceAsync("a", "key", $"value-{i}"));
            Assert.Equal(("a", 0, (long)i), (written.Topic, written.Partition, written.Offset));
            Assert.Equal(bed.Node.Clock.NowMs, written.Timestamp.ToUnixTimeMilliseconds(), 100.0);
        }

        Assert.Equal(["key=value-0", "key=value-1", "key=value-2"], Records(bed.Node, "a"));
    }

    [Fact]
    public async Task Writes_all_parts_of_a_record()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<int?, byte[]>();
        var timestamp = DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_000);
        var written = await bed.RunAsync(producer.ProduceAsync(new ProducerRecord<int?, byte[]>("a", 7, null)
        {
            Partition = 0,
            Timestamp = timestamp,
            Headers = new RecordHeader[] { new("h", [1, 2]), new("n", null) },
        }));
        Assert.Equal((0L, timestamp), (written.Offset, written.Timestamp));
        using var reader = new RecordReader(Log(bed.Node, "a"));
        Assert.True(reader.TryRead(out var record));
        Assert.Equal((1_700_000_000_000, false, 2), (record.Timestamp, record.HasValue, record.HeaderCount));
        Assert.Equal([0, 0, 0, 7], record.Key.ToArray());
        var headers = new List<string>();
        foreach (var header in record.Headers)
            headers.Add($"{Encoding.UTF8.GetString(header.Key)}={(header.HasValue ? Convert.ToHexString(header.Value) : "null")}");
        Assert.Equal(["h=0102", "n=null"], headers);
    }

    [Fact]
    public async Task Sends_a_list_and_says_what_became_of_each()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, byte[]>();
        var tooLong = new byte[new ProducerOptions().RequestBytesMax];
        ProducerRecord<string, byte[]>[] records = [new("a", "0", [0]), new("a", "1", tooLong), new("a", "2", [2])];
        var outcomes = await bed.RunAsync(producer.ProduceAsync(records));
        Assert.Equal([0, -1, 1], outcomes.Select(outcome => outcome.Metadata.Offset));
        Assert.Equal([null, ErrorCode.MessageTooLarge, null], outcomes.Select(outcome => outcome.Error?.ErrorCode));
        Assert.Empty(await producer.ProduceAsync([]));
    }

    [Fact]
    public async Task Sends_without_waiting_for_answers()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>(
            new ProducerOptions { Acks = Acks.None, Idempotence = false });
        for (var i = 0; i < 100; i++)
        {
            var sent = await bed.RunAsync(producer.ProduceAsync("a", null, $"{i}"));
            Assert.Equal(("a", 0, -1L), (sent.Topic, sent.Partition, sent.Offset));
        }

        // Another request of the node is answered after all of these: they come over one connection.
        await bed.Node.Clock.AdvanceUntilAsync(UntilWrittenAsync(), 1);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"={i}"), Records(bed.Node, "a"));

        async Task UntilWrittenAsync()
        {
            while (Records(bed.Node, "a").Count < 100)
                await Task.Yield();
        }
    }

    [Fact]
    public async Task Enqueues_many_records_into_few_batches_in_order()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>(new ProducerOptions { BatchBytes = 4096 });
        var outcomes = new List<DeliveryResult>();
        for (var i = 0; i < 1000; i++)
            await bed.RunAsync(producer.EnqueueAsync(new("a", null, $"{i}"), outcomes.Add).AsTask());
        await bed.RunAsync(producer.FlushAsync());
        Assert.Equal(Enumerable.Range(0, 1000).Select(i => (long)i), outcomes.Select(outcome => outcome.Metadata.Offset));
        Assert.All(outcomes, outcome => Assert.Null(outcome.Error));
        Assert.Equal(Enumerable.Range(0, 1000).Select(i => $"={i}"), Records(bed.Node, "a"));
        Assert.Equal(0, bed.Client.Memory.TakenBytes);
    }

    [Theory]
    [InlineData(CompressionType.Gzip)]
    [InlineData(CompressionType.Snappy)]
    [InlineData(CompressionType.Lz4)]
    [InlineData(CompressionType.Zstd)]
    public async Task Compresses(CompressionType compression)
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>(new ProducerOptions { Compression = compression });
        Task[] sent = [.. Enumerable.Range(0, 100).Select(i => producer.ProduceAsync("a", $"{i}", new string('x', 100)))];
        foreach (var each in sent)
            await bed.RunAsync(each);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}={new string('x', 100)}"), Records(bed.Node, "a"));
        Assert.Equal(compression, new RecordBatchView(Log(bed.Node, "a").Span).Compression);
        Assert.Equal(0, bed.Client.Memory.TakenBytes);
    }

    [Fact]
    public async Task Survives_a_restart_of_the_node_without_doubling_or_losing_records()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>();
        await bed.RunAsync(producer.ProduceAsync("a", null, "0"));
        var sent = new List<Task<RecordMetadata>>();
        for (var i = 1; i <= 50; i++)
        {
            sent.Add(producer.ProduceAsync("a", null, $"{i}"));
            if (i == 25)
                await bed.Node.RestartAsync();
        }

        foreach (var each in sent)
            await bed.RunAsync(each, stepMs: 10);
        Assert.Equal(Enumerable.Range(0, 51).Select(i => $"={i}"), Records(bed.Node, "a"));
    }

    [Fact]
    public async Task A_record_that_does_not_fit_a_request_is_refused_at_once()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, byte[]>();
        await bed.RunAsync(producer.ProduceAsync("a", null, [1]));
        var refusal = await Assert.ThrowsAsync<KafkaException>(() => producer.ProduceAsync("a", null, new byte[1024 * 1024]));
        Assert.Equal((ErrorCode.MessageTooLarge, false), (refusal.ErrorCode, refusal.IsRetriable));
    }

    [Fact]
    public async Task A_batch_that_the_leader_finds_too_large_is_split()
    {
        await using var bed = await ClientBed.StartAsync();
        await using (var connection = await bed.Node.ConnectAsync())
            await connection.CreateTopicAsync("small", configs: ("max.message.bytes", "2000"));
        await using var producer = bed.Client.CreateProducer<string, string>();
        await bed.RunAsync(producer.ProduceAsync("small", "k", "first"));
        Task<RecordMetadata>[] sent =
            [.. Enumerable.Range(0, 20).Select(i => producer.ProduceAsync("small", $"{i}", new string('x', 400)))];
        var offsets = new List<long>();
        foreach (var each in sent)
            offsets.Add((await bed.RunAsync(each)).Offset);
        Assert.Equal(Enumerable.Range(1, 20).Select(i => (long)i), offsets);
        var tooLarge = producer.ProduceAsync("small", "k", new string('x', 4000));
        var alone = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(tooLarge));
        Assert.Equal(ErrorCode.MessageTooLarge, alone.ErrorCode);
        Assert.Equal(21, (await bed.RunAsync(producer.ProduceAsync("small", "k", "last"))).Offset);
        Assert.Equal(0, bed.Client.Memory.TakenBytes);
    }

    [Fact]
    public async Task Waits_for_a_topic_no_longer_than_it_may()
    {
        await using var bed = await ClientBed.StartAsync();
        await using var producer = bed.Client.CreateProducer<string, string>(new ProducerOptions { MaxBlock = TimeSpan.FromSeconds(3) });
        var started = bed.Node.Clock.NowMs;
        var sending = producer.ProduceAsync("none", "k", "v");
        var failure = await Assert.ThrowsAsync<KafkaTimeoutException>(() => bed.RunAsync(sending, stepMs: 10));
        Assert.Contains("UNKNOWN_TOPIC_OR_PARTITION", failure.Message);
        Assert.InRange(bed.Node.Clock.NowMs - started, 3000, 4000);
        Assert.False(producer.TryEnqueue(new("none", "k", "v")));
    }

    [Fact]
    public async Task Gives_records_up_when_their_time_is_over()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var options = new ProducerOptions { DeliveryTimeout = TimeSpan.FromSeconds(40), CloseTimeout = TimeSpan.FromSeconds(1) };
        await using var producer = bed.Client.CreateProducer<string, string>(options);
        await bed.RunAsync(producer.ProduceAsync("a", "k", "v"));
        await bed.Node.StopAsync();
        var sending = producer.ProduceAsync("a", "k", "lost");
        var started = bed.Node.Clock.NowMs;
        var failure = await Assert.ThrowsAsync<KafkaTimeoutException>(() => bed.RunAsync(sending, stepMs: 100));
        Assert.InRange(bed.Node.Clock.NowMs - started, 39_000, 45_000);
        Assert.Contains("a-0", failure.Message);
        Assert.Equal(0, bed.Client.Memory.TakenBytes);
    }

    [Fact]
    public async Task Closing_ends_in_time_when_nothing_can_be_sent()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var producer = bed.Client.CreateProducer<string, string>();
        await bed.RunAsync(producer.ProduceAsync("a", "k", "v"));
        await bed.Node.StopAsync();
        var sending = producer.ProduceAsync("a", "k", "lost");
        var started = bed.Node.Clock.NowMs;
        await bed.RunAsync(producer.DisposeAsync().AsTask(), stepMs: 100);
        Assert.InRange(bed.Node.Clock.NowMs - started, 29_000, 35_000);
        await Assert.ThrowsAsync<KafkaException>(() => sending);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => producer.ProduceAsync("a", "k", "v"));
        Assert.Equal(0, bed.Client.Memory.TakenBytes);
    }

    [Fact]
    public async Task Who_finds_no_memory_waits_until_there_is_some()
    {
        await using var bed = await ClientBed.StartAsync(options => options with { MemoryLimitBytes = 20_000 }, "a");
        await using var producer = bed.Client.CreateProducer<string, byte[]>(new ProducerOptions { BatchBytes = 4096 });
        var sent = new List<Task>();
        for (var i = 0; i < 50; i++)
            sent.Add(producer.EnqueueAsync(new("a", null, new byte[3000])).AsTask());
        Assert.Contains(sent, each => !each.IsCompleted);
        Assert.False(producer.TryEnqueue(new("a", null, new byte[3000])));
        foreach (var each in sent)
            await bed.RunAsync(each);
        await bed.RunAsync(producer.FlushAsync());
        Assert.Equal(50, bed.Node.Replica("a").Log.LogEndOffset);
        Assert.Equal(0, bed.Client.Memory.TakenBytes);
    }

    [Fact]
    public async Task A_handler_that_throws_does_not_end_the_producer()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using var producer = bed.Client.CreateProducer<string, string>();
        await bed.RunAsync(producer.EnqueueAsync(new("a", "k", "v"), _ => throw new InvalidOperationException("mine")).AsTask());
        Assert.Equal(1, (await bed.RunAsync(producer.ProduceAsync("a", "k", "v"))).Offset);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sequences_are_written_as_the_options_say(bool isIdempotent)
    {
        await using var bed = await ClientBed.StartAsync("a");
        var options = new ProducerOptions { Idempotence = isIdempotent, Acks = isIdempotent ? Acks.All : Acks.Leader };
        await using var producer = bed.Client.CreateProducer<string, string>(options);
        await bed.RunAsync(producer.ProduceAsync("a", "k", "v"));
        await bed.RunAsync(producer.ProduceAsync("a", "k", "v"));
        var log = Log(bed.Node, "a");
        var second = new RecordBatchView(log.Span[new RecordBatchView(log.Span).SizeInBytes..]);
        Assert.Equal(isIdempotent ? (true, 1) : (false, -1), (second.ProducerId >= 0, second.BaseSequence));
    }

    internal static ReadOnlyMemory<byte> Log(TestNode node, string topic, int partition = 0)
    {
        using var slice = node.Replica(topic, partition).Log.Read(0, int.MaxValue, minOneBatch: true, long.MaxValue).Slice;
        var bytes = new byte[slice?.Length ?? 0];
        slice?.Read(0, bytes);
        return bytes;
    }

    internal static List<string> Records(TestNode node, string topic, int partition = 0)
    {
        var records = new List<string>();
        for (var rest = Log(node, topic, partition); rest.Length > 0; rest = rest[new RecordBatchView(rest.Span).SizeInBytes..])
        {
            using var reader = new RecordReader(rest);
            while (reader.TryRead(out var record))
                records.Add($"{Encoding.UTF8.GetString(record.Key)}={Encoding.UTF8.GetString(record.Value)}");
        }

        return records;
    }
}
