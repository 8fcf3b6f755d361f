using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>What consumers do whose partitions are assigned by hand.</summary>
internal static class ConsumerBehaviours
{
    public static IEnumerable<Behaviour> All => [.. Positions, .. Limits, .. Shapes, .. Calls];

    private static IEnumerable<Behaviour> Positions =>
    [
        Reading("the first record comes first", 5, (_, _, sent) => sent),
        Reading("from an offset on", 5, (run, consumer, sent) =>
        {
            consumer.Seek(run.Partition(), 3);
            return sent.Skip(3);
        }),
        Reading("from an offset on whose epoch is known", 5, (run, consumer, sent) =>
        {
            consumer.Seek(new PartitionOffset(run.Partition(), new CommitOffset(2, 0)));
            return sent.Skip(2);
        }),
        Reading("from the beginning again", 5, (run, consumer, sent) =>
        {
            consumer.Seek(run.Partition(), 4);
            consumer.SeekToBeginning([run.Partition()]);
            return sent;
        }),
        Reading("from the first record of a time on", 5, (_, _, sent) => sent,
            change: options => options with { OffsetReset = OffsetReset.ByDuration(TimeSpan.FromHours(1)) }),
        Reading("from the first record on, when the offset is gone", 5, (run, consumer, sent) =>
        {
            consumer.Seek(run.Partition(), 1_000);
            return sent;
        }),
        new("from the end on", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(3);
            await using var consumer = run.NewConsumer(options => options with { OffsetReset = OffsetReset.Latest });
            consumer.Assign([run.Partition()]);
            Assert.Equal(3, await run.EndsAsync(consumer.PositionAsync(run.Partition())));
            var sent = await run.FeedAsync(2);
            Assert.Equal(sent, await run.ReadAsync(consumer, 2));
        }),
        new("from the end on when it is asked for", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(3);
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            await run.ReadAsync(consumer, 1);
            consumer.SeekToEnd([run.Partition()]);
            Assert.Equal(3, await run.EndsAsync(consumer.PositionAsync(run.Partition())));
        }),
        new("nowhere, when nothing is committed and nothing says where", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(1);
            await using var consumer = run.NewConsumer(options => options with { OffsetReset = OffsetReset.None, GroupId = run.Group });
            consumer.Assign([run.Partition()]);
            var refused = await Assert.ThrowsAsync<OffsetResetException>(() => run.ReadOneAsync(consumer));
            Assert.Equal(run.Partition(), refused.Partition);
            consumer.Seek(run.Partition(), 0);
            await run.ReadAsync(consumer, 1);
        }),
        new("an offset that is gone is said, when nothing says where to go on", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(2);
            await using var consumer = run.NewConsumer(options => options with { OffsetReset = OffsetReset.None });
            consumer.Assign([run.Partition()]);
            consumer.Seek(run.Partition(), 99);
            var refused = await Assert.ThrowsAsync<OffsetResetException>(() => run.ReadOneAsync(consumer));
            Assert.Equal((ErrorCode.OffsetOutOfRange, 99), (refused.ErrorCode, refused.Offset));
        }),
        new("after records that were deleted", async run =>
        {
            var topic = $"{run.Topic}-deleted"; // what is deleted is not lost
            await run.CreateForeignTopicAsync(topic);
            await using (var producer = run.NewProducer())
            {
                for (var i = 0; i < 5; i++)
                    await run.EndsAsync(producer.ProduceAsync(topic, null!, i));
            }

            var partition = new TopicPartition(topic, 0);
            (await run.EndsAsync(run.Admin.DeleteRecordsAsync(new Dictionary<TopicPartition, long> { [partition] = 3 }))).ThrowIfFailed();
            await using var consumer = run.NewConsumer();
            consumer.Assign([partition]);
            Assert.Equal([3, 4], await run.ReadAsync(consumer, 2));
        }),
        new("where the group has committed", async run =>
        {
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(4);
            for (var i = 0; i < 2; i++)
            {
                await using var consumer = run.NewConsumer(options => options with { GroupId = run.Group });
                consumer.Assign([run.Partition()]);
                Assert.Equal(sent.Skip(2 * i).Take(2), await run.ReadAsync(consumer, 2));
                await run.EndsAsync(consumer.CommitAsync());
            }
        }),
    ];

    private static IEnumerable<Behaviour> Limits =>
    [
        Reading("a partition's answer of one byte still has a batch", 8, (_, _, sent) => sent,
            change: options => options with { MaxPartitionFetchBytes = 1 }),
        Reading("an answer of one byte still has a batch", 8, (_, _, sent) => sent, change: options => options with { FetchMaxBytes = 1 }),
        Reading("nothing is fetched ahead of what is taken", 8, (_, _, sent) => sent,
            change: options => options with { PrefetchMaxBytes = 1 }),
        Reading("a fetch that wants more than there is waits no longer than it may", 3, (_, _, sent) => sent,
            change: options => options with { FetchMinBytes = 1_000_000 }),
        Reading("without checksums", 5, (_, _, sent) => sent, change: options => options with { CheckCrcs = false }),
        Reading("what is committed", 5, (_, _, sent) => sent,
            change: options => options with { IsolationLevel = IsolationLevel.ReadCommitted }),
        .. from partitions in new[] { 2, 5 }
           select new Behaviour($"the records of {partitions} partitions, each in its order", async run =>
           {
               await run.CreateTopicAsync(partitions);
               var sent = new List<List<long>>();
               for (var partition = 0; partition < partitions; partition++)
                   sent.Add(await run.FeedAsync(6, partition));
               await using var consumer = run.NewConsumer();
               consumer.Assign(Enumerable.Range(0, partitions).Select(run.Partition));
               var read = await run.ReadAsync(consumer, 6 * partitions);
               Assert.All(sent, values => Assert.Equal(values, read.Where(values.Contains)));
           }),
        new("nothing of a paused partition", async run =>
        {
            await run.CreateTopicAsync(2);
            var (first, second) = (await run.FeedAsync(4, 0), await run.FeedAsync(4, 1));
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition(0), run.Partition(1)]);
            consumer.Pause([run.Partition(0)]);
            Assert.Equal(second, await run.ReadAsync(consumer, 4));
            await run.ReadNothingAsync(consumer);
            Assert.Equal([run.Partition(0)], consumer.Paused);
            consumer.Resume([run.Partition(0)]);
            Assert.Equal(first, await run.ReadAsync(consumer, 4));
        }),
        new("other partitions, when others are assigned", async run =>
        {
            await run.CreateTopicAsync(2);
            var (first, second) = (await run.FeedAsync(3, 0), await run.FeedAsync(3, 1));
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition(0)]);
            Assert.Equal(first, await run.ReadAsync(consumer, 3));
            consumer.Assign([run.Partition(1)]);
            Assert.Equal(second, await run.ReadAsync(consumer, 3));
            Assert.Equal([run.Partition(1)], consumer.Assignment);
            Assert.Throws<InvalidOperationException>(() => consumer.Seek(run.Partition(0), 0));
        }),
    ];

    private static IEnumerable<Behaviour> Shapes =>
    [
        Shaped("one by one", async (run, consumer, count) =>
        {
            var values = new List<long>();
            await foreach (var record in consumer.ConsumeAsync())
            {
                values.Add(record.Value);
                if (values.Count == count)
                    break;
            }

            return values;
        }),
        Shaped("in batches", async (run, consumer, count) =>
        {
            var values = new List<long>();
            await foreach (var batch in consumer.ConsumeBatchesAsync())
            {
                Assert.InRange(batch.Records.Count, 1, 2);
                values.AddRange(batch.Records.Select(record => record.Value));
                if (values.Count == count)
                    break;
            }

            return values;
        }),
        Shaped("as raw batches", async (run, consumer, count) =>
        {
            var values = new List<long>();
            await foreach (var batch in consumer.ConsumeRawBatchesAsync())
            {
                while (batch.TryRead(out var record))
                    values.Add(System.Buffers.Binary.BinaryPrimitives.ReadInt64BigEndian(record.Value.Span));
                if (values.Count == count)
                    break;
            }

            return values;
        }),
        .. from order in Enum.GetValues<ProcessingOrder>()
           select Shaped($"side by side, in the order of {order}", async (run, consumer, count) =>
           {
               var values = new List<long>();
               using var stop = new CancellationTokenSource();
               var processing = consumer.ProcessAsync(
                   async (record, _) =>
                   {
                       await Task.Yield();
                       values.Add(record.Value);
                       if (values.Count == count)
                           stop.Cancel();
                   },
                   new ProcessingOptions { Order = order }, stop.Token);
               await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.EndsAsync(processing));
               return order == ProcessingOrder.None ? [.. values.Order()] : values;
           }),
    ];

    private static IEnumerable<Behaviour> Calls =>
    [
        new("the ends of a log are known", async run =>
        {
            await run.CreateTopicAsync(2);
            await run.FeedAsync(3, 1);
            await using var consumer = run.NewConsumer();
            var partitions = new[] { run.Partition(0), run.Partition(1) };
            var first = await run.EndsAsync(consumer.BeginningOffsetsAsync(partitions));
            var last = await run.EndsAsync(consumer.EndOffsetsAsync(partitions));
            Assert.Equal((0, 0, 0, 3), (first[partitions[0]], first[partitions[1]], last[partitions[0]], last[partitions[1]]));
        }),
        new("the offset of a time is known", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(2);
            var between = run.Clock.GetUtcNow().AddMilliseconds(1);
            await run.DelayAsync(TimeSpan.FromMilliseconds(10));
            await run.FeedAsync(2);
            await using var consumer = run.NewConsumer();
            var found = await run.EndsAsync(consumer.OffsetsForTimesAsync(
                new Dictionary<TopicPartition, DateTimeOffset> { [run.Partition()] = between }));
            Assert.Equal(2, found[run.Partition()]!.Value.Offset);
            found = await run.EndsAsync(consumer.OffsetsForTimesAsync(
                new Dictionary<TopicPartition, DateTimeOffset> { [run.Partition()] = between.AddHours(1) }));
            Assert.Null(found[run.Partition()]);
        }),
        new("position and lag follow what is read", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(4);
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            Assert.Equal(0, await run.EndsAsync(consumer.PositionAsync(run.Partition())));
            await run.ReadAsync(consumer, 3);
            Assert.Equal((3, 1), (consumer.Position(run.Partition()), consumer.Lag(run.Partition())));
        }),
        new("offsets can be committed without members", async run =>
        {
            await run.CreateTopicAsync(2);
            await using var consumer = run.NewConsumer(options => options with { GroupId = run.Group });
            await run.EndsAsync(consumer.CommitAsync([new PartitionOffset(run.Topic, 1, 7)]));
            var committed = await run.EndsAsync(consumer.CommittedAsync([run.Partition(0), run.Partition(1)]));
            Assert.Null(committed[run.Partition(0)]);
            Assert.Equal(7, committed[run.Partition(1)]!.Value.Offset);
        }),
        new("without a group nothing is committed or subscribed to", async run =>
        {
            await using var consumer = run.NewConsumer();
            Assert.Throws<InvalidOperationException>(() => consumer.Subscribe([run.Topic]));
            await Assert.ThrowsAsync<InvalidOperationException>(() => run.EndsAsync(consumer.CommitAsync()));
        }),
        new("a record that cannot be read is named, and can be passed", async run =>
        {
            var topic = $"{run.Topic}-texts";
            await run.CreateForeignTopicAsync(topic);
            await using (var producer = run.Client.CreateProducer<byte[], byte[]>())
            {
                await run.EndsAsync(producer.ProduceAsync(topic, null!, new byte[3])); // no number
                await run.EndsAsync(producer.ProduceAsync(topic, null!, new byte[8]));
            }

            var partition = new TopicPartition(topic, 0);
            await using var consumer = run.NewConsumer();
            consumer.Assign([partition]);
            var unreadable = await Assert.ThrowsAsync<UnreadableRecordException>(() => run.ReadOneAsync(consumer));
            Assert.Equal((partition, 0L), (unreadable.Partition, unreadable.Offset));
            consumer.Seek(partition, 1);
            Assert.Equal(0, (await run.ReadOneAsync(consumer)).Value);
        }),
        new("a wait that is cancelled ends", async run =>
        {
            await run.CreateTopicAsync();
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            using var stop = new CancellationTokenSource();
            var waiting = consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1), stop.Token).AsTask();
            await run.DelayAsync(TimeSpan.FromMilliseconds(100));
            stop.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.EndsAsync(waiting));
            var sent = await run.FeedAsync(1);
            Assert.Equal(sent, await run.ReadAsync(consumer, 1));
        }),
        new("a closed consumer reads nothing, and is closed again at will", async run =>
        {
            await run.CreateTopicAsync();
            var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            await run.EndsAsync(consumer.CloseAsync());
            await run.EndsAsync(consumer.CloseAsync());
            await Assert.ThrowsAsync<ObjectDisposedException>(
                () => run.EndsAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(1)).AsTask()));
        }),
        new("the first read of a topic asks for its metadata once", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(1);
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            await run.ReadAsync(consumer, 1);
            if (run.IsCalm)
                Assert.Single(run.Faults.Seen, request => request.Key == ApiKey.Metadata);
        }),
        new("a topic that is created later is read", async run =>
        {
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            await run.ReadNothingAsync(consumer);
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(2);
            Assert.Equal(sent, await run.ReadAsync(consumer, 2));
        }),
    ];

    /// <summary>Reads records that are there.</summary>
    private static Behaviour Reading(
        string name, int count, Func<BehaviourRun, Consumer<byte[], long>, List<long>, IEnumerable<long>> prepare,
        Func<ConsumerOptions, ConsumerOptions>? change = null) => new($"reads: {name}", async run =>
        {
            await run.CreateTopicAsync();
            var sent = new List<long>();
            while (sent.Count < count)
                sent.AddRange(await run.FeedAsync(Math.Min(2, count - sent.Count)));
            await using var consumer = run.NewConsumer(change);
            consumer.Assign([run.Partition()]);
            var expected = prepare(run, consumer, sent).ToList();
            Assert.Equal(expected, await run.ReadAsync(consumer, expected.Count));
            await run.ReadNothingAsync(consumer);
        });

    /// <summary>Reads records in some form, and goes on behind them in another.</summary>
    private static Behaviour Shaped(string name, Func<BehaviourRun, Consumer<byte[], long>, int, Task<List<long>>> readAsync) =>
        new($"reads {name}", async run =>
        {
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(6);
            await using var consumer = run.NewConsumer(options => options with { MaxBatchRecords = 2 });
            consumer.Assign([run.Partition()]);
            Assert.Equal(sent, await run.EndsAsync(readAsync(run, consumer, 6)));
            var later = await run.FeedAsync(1);
            Assert.Equal(later, await run.ReadAsync(consumer, 1));
        });
}
