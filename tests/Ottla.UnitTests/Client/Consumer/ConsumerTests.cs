using System.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Client.Consumer.ConsumerBed;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>What an application reads from a whole node, with partitions assigned by hand.</summary>
public sealed class ConsumerTests
{
    [Fact]
    public async Task Reads_records_with_all_that_belongs_to_them()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a", "b"]);
        await bed.WriteAsync(["c"]);
        var consumer = bed.Open();
        consumer.Assign([Partition()]);
        var records = await bed.ReadAsync(consumer, 3);
        Assert.Equal("a b c", Values(records));
        Assert.Equal([0, 1, 2], records.Select(record => record.Offset));
        Assert.Equal(["k0", "k1", "k0"], records.Select(record => record.Key));
        Assert.Equal(
            [StartMs, StartMs + 1, StartMs], records.Select(record => record.TimestampMs));
        Assert.All(records, record => Assert.Equal(("t", 0, 0), (record.Topic, record.Partition, record.LeaderEpoch)));
        foreach (var record in records)
        {
            Assert.True(record.Headers.TryGetLast("h", out var header));
            Assert.Equal(record.Value, Encoding.UTF8.GetString(header));
            Assert.Single(record.Headers.ToList());
        }

        Assert.Equal(3, consumer.Position(Partition()));
        Assert.Equal(0, consumer.Lag(Partition()));
        Assert.Null(consumer.GroupMetadata);
    }

    [Fact]
    public async Task Enumerates_records_as_they_come()
    {
        await using var bed = await ConsumerBed.StartAsync();
        var consumer = bed.Open();
        consumer.Assign([Partition()]);
        using var stop = new CancellationTokenSource();
        var values = new List<string?>();
        var reading = ReadAsync();
        await bed.WriteNumbersAsync(0, 20);
        await bed.RunAsync(reading);
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}"), values);

        async Task ReadAsync()
        {
            await Assert.ThrowsAsync<OperationCanceledException>(async () =>
            {
                await foreach (var record in consumer.ConsumeAsync(stop.Token))
                {
                    values.Add(record.Value);
                    if (values.Count == 20)
                        await stop.CancelAsync();
                }
            });
        }
    }

    [Fact]
    public async Task Reads_batches_of_one_partition_at_a_time()
    {
        await using var bed = await ConsumerBed.StartAsync(partitions: 2);
        await bed.WriteAsync(["a", "b", "c"]);
        await bed.WriteAsync(["d"], partition: 1);
        var consumer = bed.Open(change: options => options with { MaxBatchRecords = 2 });
        consumer.Assign([Partition(0), Partition(1)]);
        var batches = new List<string>();
        await using var enumerator = consumer.ConsumeBatchesAsync().GetAsyncEnumerator();
        for (var i = 0; i < 3; i++)
        {
            Assert.True(await bed.RunAsync(enumerator.MoveNextAsync().AsTask()));
            batches.Add($"{enumerator.Current.TopicPartition}: {Values(enumerator.Current.Records)}");
        }

        Assert.Equal(["t-0: a b", "t-0: c", "t-1: d"], batches.Order());
    }

    [Fact]
    public async Task Reads_batches_as_they_are_stored()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a", "b", "c"]);
        await bed.WriteAsync(["d"], options: new RecordBatchOptions { Compression = CompressionType.Lz4 });
        var consumer = new Consumer<Ignored, Ignored>(bed.Bed.Client, new ConsumerOptions { OffsetReset = OffsetReset.Earliest });
        consumer.Assign([Partition()]);
        var first = await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(5)).AsTask()); // the batch begins in the middle
        Assert.Equal(0, first!.Value.Offset);
        await using var enumerator = consumer.ConsumeRawBatchesAsync().GetAsyncEnumerator();
        Assert.True(await bed.RunAsync(enumerator.MoveNextAsync().AsTask()));
        Assert.Equal("1:b 2:c", Describe(enumerator.Current));
        Assert.Equal((1L, 2L, 3L), (enumerator.Current.FirstOffset, enumerator.Current.LastOffset, enumerator.Current.Next.Offset.Offset));
        Assert.Equal(3, new RecordBatchView(enumerator.Current.Bytes.Span).RecordCount);
        Assert.True(await bed.RunAsync(enumerator.MoveNextAsync().AsTask()));
        Assert.Equal("3:d", Describe(enumerator.Current));
        Assert.Equal(4, consumer.Position(Partition()));

        static string Describe(RawBatch batch)
        {
            var records = new List<string>();
            while (batch.TryRead(out var record))
            {
                Assert.True(record.Headers.TryGetLast("h", out var header));
                Assert.True(header.SequenceEqual(record.Value.Span));
                records.Add($"{record.Offset}:{Encoding.UTF8.GetString(record.Value.Span)}");
            }

            return string.Join(' ', records);
        }
    }

    [Fact]
    public async Task Uses_the_memory_of_its_answers_again_where_nobody_keeps_it()
    {
        await using var bed = await ConsumerBed.StartAsync();
        var text = new string('x', 50_000);
        await bed.WriteAsync([text, text]); // an answer that has memory of its own
        await bed.WriteAsync(["last"]);
        var before = bed.Bed.Client.Connections.Buffers.RentedBytes;
        var consumer = bed.Open();
        consumer.Assign([Partition()]);
        var records = await bed.ReadAsync(consumer, 3);
        Assert.Equal([text, text, "last"], records.Select(record => record.Value));
        foreach (var record in records)
        {
            Assert.True(record.Headers.TryGetLast("h", out var header)); // headers are copied
            Assert.Equal(record.Value, Encoding.UTF8.GetString(header));
        }

        await bed.RunAsync(consumer.CloseAsync());
        Assert.Equal(before, bed.Bed.Client.Connections.Buffers.RentedBytes);
    }

    [Fact]
    public async Task Begins_at_the_end_unless_told_otherwise()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["old"]);
        var consumer = bed.Open(change: options => options with { OffsetReset = OffsetReset.Latest });
        consumer.Assign([Partition()]);
        Assert.Null(await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(2)).AsTask()));
        await bed.WriteAsync(["new"]);
        Assert.Equal("new", Values(await bed.ReadAsync(consumer, 1)));
    }

    [Fact]
    public async Task Begins_at_records_of_a_certain_age()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["old"]);
        bed.Bed.Node.Clock.AdvanceMs(300_000);
        using (var builder = new RecordBatchBuilder(new RecordBatchOptions()))
        {
            builder.Append(bed.Bed.Node.Clock.NowMs, NullableBytes.Null, "young"u8);
            AssertError(ErrorCode.None, (await bed.Writer.ProduceAsync("t", builder.Build())).ErrorCode);
        }

        var consumer = bed.Open(change: options => options with { OffsetReset = OffsetReset.ByDuration(TimeSpan.FromMinutes(1)) });
        consumer.Assign([Partition()]);
        var record = Assert.Single(await bed.ReadAsync(consumer, 1));
        Assert.Equal(("young", false, 1), (record.Value, record.HasKey, record.Offset));
    }

    [Fact]
    public async Task Chooses_no_position_when_told_so()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a", "b"]);
        var consumer = bed.Open(change: options => options with { OffsetReset = OffsetReset.None });
        consumer.Assign([Partition()]);
        for (var i = 0; i < 2; i++)
        {
            var failure = await Assert.ThrowsAsync<OffsetResetException>(
                () => bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(5)).AsTask()));
            Assert.Equal(Partition(), failure.Partition);
        }

        consumer.Seek(Partition(), 1);
        Assert.Equal("b", Values(await bed.ReadAsync(consumer, 1)));
    }

    [Fact]
    public async Task Seeks_back_and_forth()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 5);
        var consumer = bed.Open();
        consumer.Assign([Partition()]);
        Assert.Equal("0 1 2 3 4", Values(await bed.ReadAsync(consumer, 5)));
        consumer.Seek(Partition(), 3);
        Assert.Equal("3 4", Values(await bed.ReadAsync(consumer, 2)));
        consumer.SeekToBeginning([Partition()]);
        Assert.Equal(0, await bed.RunAsync(consumer.PositionAsync(Partition())));
        Assert.Equal("0 1 2 3 4", Values(await bed.ReadAsync(consumer, 5)));
        consumer.SeekToEnd([Partition()]);
        Assert.Equal(5, await bed.RunAsync(consumer.PositionAsync(Partition())));
        consumer.Seek(new PartitionOffset(Partition(), new CommitOffset(2, LeaderEpoch: 0)));
        Assert.Equal("2 3 4", Values(await bed.ReadAsync(consumer, 3)));
        Assert.Throws<InvalidOperationException>(() => consumer.Seek(Partition(7), 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => consumer.Seek(Partition(), -1));
    }

    [Fact]
    public async Task Goes_on_at_the_beginning_when_an_offset_is_gone()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 3);
        var consumer = bed.Open();
        consumer.Assign([Partition()]);
        consumer.Seek(Partition(), 99);
        Assert.Equal("0 1 2", Values(await bed.ReadAsync(consumer, 3)));
    }

    [Fact]
    public async Task Returns_nothing_of_a_paused_partition_and_keeps_what_was_fetched()
    {
        await using var bed = await ConsumerBed.StartAsync(partitions: 2);
        await bed.WriteAsync(["a", "b", "c"]);
        var consumer = bed.Open();
        consumer.Assign([Partition(0), Partition(1)]);
        Assert.Equal("a", (await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask()))!.Value.Value);
        consumer.Pause([Partition(0)]);
        Assert.Equal([Partition(0)], consumer.Paused);
        await bed.WriteAsync(["x"], partition: 1);
        Assert.Equal("x", Values(await bed.ReadAsync(consumer, 1)));
        consumer.Resume([Partition(0)]);
        Assert.Equal("b c", Values(await bed.ReadAsync(consumer, 2)));
    }

    [Theory]
    [InlineData(CompressionType.Gzip)]
    [InlineData(CompressionType.Snappy)]
    [InlineData(CompressionType.Lz4)]
    [InlineData(CompressionType.Zstd)]
    public async Task Reads_compressed_batches(CompressionType compression)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(Enumerable.Range(0, 500).Select(i => $"{i}"), options: new RecordBatchOptions { Compression = compression });
        var consumer = bed.Open();
        consumer.Assign([Partition()]);
        consumer.Seek(Partition(), 100); // in the middle of the batch
        Assert.Equal(Enumerable.Range(100, 400).Select(i => $"{i}"), (await bed.ReadAsync(consumer, 400)).Select(record => record.Value));
    }

    [Fact]
    public async Task Sees_what_its_isolation_level_shows()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.Writer.FindTransactionCoordinatorAsync();
        await TransactAsync(commit: false, count: 2);
        await TransactAsync(commit: true, count: 3);
        await bed.WriteAsync(["plain"]);
        var committed = bed.Open(change: options => options with { IsolationLevel = IsolationLevel.ReadCommitted });
        committed.Assign([Partition()]);
        Assert.Equal([3, 4, 5, 7], (await bed.ReadAsync(committed, 4)).Select(record => record.Offset));
        Assert.Equal(8, committed.Position(Partition()));

        var all = bed.Open();
        all.Assign([Partition()]);
        Assert.Equal([0, 1, 3, 4, 5, 7], (await bed.ReadAsync(all, 6)).Select(record => record.Offset));

        // An open transaction holds back what follows it, but only from those who want decided ones.
        var producer = await bed.Writer.BeginAsync();
        await bed.Writer.AddPartitionAsync(producer, "t");
        AssertError(ErrorCode.None, (await bed.Writer.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        await bed.WriteAsync(["later"]);
        Assert.Equal([8, 9], (await bed.ReadAsync(all, 2)).Select(record => record.Offset));
        Assert.Null(await bed.RunAsync(committed.ConsumeOneAsync(TimeSpan.FromSeconds(2)).AsTask()));
        Assert.Equal(0, committed.Lag(Partition()));
        Assert.Equal(8, (await bed.RunAsync(committed.EndOffsetsAsync([Partition()])))[Partition()]);
        Assert.Equal(10, (await bed.RunAsync(all.EndOffsetsAsync([Partition()])))[Partition()]);

        async Task TransactAsync(bool commit, int count)
        {
            var begun = await bed.Writer.BeginAsync();
            await bed.Writer.AddPartitionAsync(begun, "t");
            AssertError(ErrorCode.None, (await bed.Writer.ProduceInTransactionAsync(begun, 0, count: count)).ErrorCode);
            AssertError(ErrorCode.None, (await bed.Writer.EndAsync(begun, commit)).ErrorCode);
            await bed.Writer.AwaitStateAsync(commit ? "CompleteCommit" : "CompleteAbort");
        }
    }

    [Fact]
    public async Task Finds_offsets()
    {
        await using var bed = await ConsumerBed.StartAsync(partitions: 2);
        await bed.WriteAsync(["a", "b", "c"]);
        var consumer = bed.Open();
        var times = await bed.RunAsync(consumer.OffsetsForTimesAsync(new Dictionary<TopicPartition, DateTimeOffset>
        {
            [Partition(0)] = DateTimeOffset.FromUnixTimeMilliseconds(StartMs + 1),
            [Partition(1)] = DateTimeOffset.FromUnixTimeMilliseconds(0),
        }));
        Assert.Equal(new TimestampedOffset(1, StartMs + 1, 0), times[Partition(0)]);
        Assert.Null(times[Partition(1)]);
        Assert.Equal(0, (await bed.RunAsync(consumer.BeginningOffsetsAsync([Partition(0)])))[Partition(0)]);
        Assert.Equal(3, (await bed.RunAsync(consumer.EndOffsetsAsync([Partition(0)])))[Partition(0)]);
        await Assert.ThrowsAsync<KafkaTimeoutException>(() => bed.RunAsync(consumer.EndOffsetsAsync([Partition(9, "no")]), stepMs: 500));
    }

    [Fact]
    public async Task Stops_at_a_record_that_cannot_be_deserialized_and_goes_on_behind_it()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["1234", "no", "5678"]);
        var consumer = new Consumer<string, int>(bed.Bed.Client, new ConsumerOptions { OffsetReset = OffsetReset.Earliest });
        consumer.Assign([Partition()]);
        Assert.Equal(0x31323334, (await TakeAsync())!.Value.Value);
        for (var i = 0; i < 2; i++)
        {
            var failure = await Assert.ThrowsAsync<UnreadableRecordException>(TakeAsync);
            Assert.Equal((Partition(), 1), (failure.Partition, failure.Offset));
        }

        consumer.Seek(Partition(), 2);
        Assert.Equal(0x35363738, (await TakeAsync())!.Value.Value);

        Task<ConsumeResult<string, int>?> TakeAsync() => bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask());
    }

    [Fact]
    public async Task Ends_when_it_is_told_to_while_the_cluster_is_away()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a"]);
        var consumer = bed.Open("g");
        consumer.Assign([Partition()]);
        await bed.ReadAsync(consumer, 1);
        await bed.Bed.Node.StopAsync();
        Assert.Null(await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(10)).AsTask(), stepMs: 100));
        await Assert.ThrowsAsync<KafkaTimeoutException>(() => bed.RunAsync(consumer.CommitAsync(), stepMs: 500));
        await Assert.ThrowsAsync<KafkaTimeoutException>(() => bed.RunAsync(consumer.CommittedAsync([Partition()]), stepMs: 500));
        await Assert.ThrowsAsync<KafkaTimeoutException>(() => bed.RunAsync(consumer.BeginningOffsetsAsync([Partition()]), stepMs: 500));
        var before = bed.Bed.Node.Clock.NowMs;
        await bed.RunAsync(consumer.CloseAsync(), stepMs: 500);
        Assert.InRange(bed.Bed.Node.Clock.NowMs - before, 0, 40_000);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => consumer.ConsumeOneAsync(TimeSpan.Zero).AsTask());
    }

    [Fact]
    public async Task Goes_on_after_the_node_was_away()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a"]);
        var consumer = bed.Open();
        consumer.Assign([Partition()]);
        await bed.ReadAsync(consumer, 1);
        await bed.Bed.Node.RestartAsync();
        await using var writer = await bed.Bed.Node.ConnectAsync();
        AssertError(ErrorCode.None, (await writer.ProduceAsync("t", Batch())).ErrorCode);
        Assert.Equal(1, (await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask(), stepMs: 10))!.Value.Offset);
    }

    [Fact]
    public async Task Says_what_is_wrong_with_its_use()
    {
        await using var bed = await ConsumerBed.StartAsync();
        var consumer = bed.Open();
        Assert.Throws<InvalidOperationException>(() => consumer.Subscribe(["t"]));
        await Assert.ThrowsAsync<InvalidOperationException>(() => consumer.ConsumeOneAsync(TimeSpan.Zero).AsTask());
        await Assert.ThrowsAsync<InvalidOperationException>(() => consumer.CommitAsync([new PartitionOffset("t", 0, 1)]));
        Assert.Throws<ArgumentException>(() => bed.Open("g").Subscribe([]));
        Assert.ThrowsAny<ArgumentException>(() => bed.Open("g").SubscribePattern("("));
        Assert.Throws<ArgumentException>(() => bed.Open(""));
        Assert.Throws<ArgumentException>(() => bed.Open("g", change: options => options with { Assignors = ["best"] }));
        Assert.Throws<ArgumentException>(() => new Consumer<ConsumerTests, string>(bed.Bed.Client, new ConsumerOptions()));
        consumer.Assign([Partition()]);
        var waiting = consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask();
        await Assert.ThrowsAsync<InvalidOperationException>(() => consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask());
        await bed.WriteAsync(["a"]);
        Assert.NotNull(await bed.RunAsync(waiting));
    }
}
