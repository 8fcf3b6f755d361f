using System.Text;
using Ottla.Client;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>What producers do without transactions.</summary>
internal static class ProducerBehaviours
{
    public static IEnumerable<Behaviour> All =>
    [
        .. Ways, .. Batching, .. Partitioning, .. Records, .. Refusals, .. Calls,
    ];

    /// <summary>Every codec with every kind of acknowledgement.</summary>
    private static IEnumerable<Behaviour> Ways =>
        from acks in new[] { Acks.All, Acks.Leader, Acks.None }
        from codec in Enum.GetValues<CompressionType>()
        select new Behaviour($"acks {acks}, {codec}: records are read as they were sent", async run =>
        {
            // Without sequences, a repeated request stores its records twice; without an answer, nobody knows whether they are stored.
            var isUnsure = acks != Acks.All && !run.IsCalm;
            await (isUnsure ? run.CreateForeignTopicAsync(run.Topic) : run.CreateTopicAsync());
            await using var producer = run.NewProducer(
                options => options with { Acks = acks, Idempotence = acks == Acks.All, Compression = codec });
            if (isUnsure)
            {
                for (var i = 0; i < 3; i++)
                    await run.EndsAsync(producer.ProduceAsync(run.Topic, null!, run.NextValue()));
                return;
            }

            var sent = await run.SendAsync(producer, 5);
            await run.EndsAsync(producer.FlushAsync());
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            Assert.Equal(sent, await run.ReadAsync(consumer, 5));
        });

    private static IEnumerable<Behaviour> Batching =>
        from bytes in new[] { 1, 200, 262_144 }
        from inFlight in new[] { 1, 5 }
        from linger in new[] { 0, 20 }
        select new Behaviour($"batches of {bytes} bytes, {inFlight} in flight, linger {linger} ms: the order is kept", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewProducer(options => options with
            {
                BatchBytes = bytes,
                InFlightMax = inFlight,
                Linger = TimeSpan.FromMilliseconds(linger),
            });
            var sent = await run.SendAsync(producer, 12);
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            Assert.Equal(sent, await run.ReadAsync(consumer, 12));
        });

    private static IEnumerable<Behaviour> Partitioning =>
    [
        new("a record goes to the partition that it names", async run =>
        {
            await run.CreateTopicAsync(3);
            await using var producer = run.NewProducer();
            foreach (var partition in new[] { 2, 0, 1 })
                await run.SendAsync(producer, 2, partition);
        }),
        .. from partitioner in Enum.GetValues<KeyPartitioner>()
           select new Behaviour($"records with the same key go to one partition, by {partitioner}", async run =>
           {
               await run.CreateTopicAsync(4);
               await using var producer = run.NewProducer(options => options with { KeyPartitioner = partitioner });
               for (var key = 0; key < 6; key++)
               {
                   var bytes = Encoding.UTF8.GetBytes($"key{key}");
                   var (first, second) = (await SendAsync(bytes), await SendAsync(bytes));
                   Assert.Equal(first, second);
               }

               async Task<int> SendAsync(byte[] key) =>
                   (await run.ProduceAsync(producer, run.NextValue(), key)).Partition;
           }),
        new("records without a key are spread, and none is lost", async run =>
        {
            await run.CreateTopicAsync(3);
            await using var producer = run.NewProducer(options => options with { BatchBytes = 100 });
            var values = Enumerable.Range(0, 30).Select(_ => run.NextValue()).ToList();
            var sends = values.Select(value => run.ProduceAsync(producer, value)).ToList();
            foreach (var send in sends)
                await send;
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition(0), run.Partition(1), run.Partition(2)]);
            Assert.Equal(values, (await run.ReadAsync(consumer, 30)).Order());
        }),
        new("records of several topics go with one request and come to theirs", async run =>
        {
            await run.CreateTopicAsync();
            var other = await run.CreateTopicAsync(suffix: "-other");
            await using var producer = run.NewProducer();
            await run.SendAsync(producer, 3);
            await run.SendAsync(producer, 3, topic: other);
        }),
    ];

    private static IEnumerable<Behaviour> Records =>
    [
        Record("a null value is a tombstone", record => record, null, result => Assert.False(result.HasValue)),
        Record("an empty value is no tombstone", record => record, [], result => Assert.Equal([], result.Value!)),
        Record("a null key is none", record => record with { Key = null! }, [1], result => Assert.False(result.HasKey)),
        Record("an empty key is a key", record => record with { Key = [] }, [1], result => Assert.True(result.HasKey)),
        Record("headers keep their order, their repetitions and their nulls", record => record with
        {
            Headers = new[]
            {
                new RecordHeader("a", Encoding.UTF8.GetBytes("1")), new RecordHeader("a", Encoding.UTF8.GetBytes("2")),
                new RecordHeader("b", null),
            },
        }, [1], result =>
        {
            Assert.Equal(3, result.Headers.Count);
            Assert.True(result.Headers.TryGetLast("a", out var last));
            Assert.Equal("2", Encoding.UTF8.GetString(last));
        }),
        Record("a timestamp is kept", record => record with { Timestamp = DateTimeOffset.FromUnixTimeMilliseconds(1_600_000_000_123) }, [1],
            result => Assert.Equal((1_600_000_000_123, TimestampType.CreateTime), (result.TimestampMs, result.TimestampType))),
        Record("a broker's timestamp replaces the sender's",
            record => record with { Timestamp = DateTimeOffset.FromUnixTimeMilliseconds(1_600_000_000_123) }, [1],
            result => Assert.Equal(TimestampType.LogAppendTime, result.TimestampType), ("message.timestamp.type", "LogAppendTime")),
        Record("a large record has a batch of its own", record => record, new byte[400_000],
            result => Assert.Equal(400_000, result.Value!.Length)),
        Record("a topic's codec replaces the sender's", record => record, new byte[10_000],
            result => Assert.Equal(10_000, result.Value!.Length), ("compression.type", "zstd")),
    ];

    private static IEnumerable<Behaviour> Refusals =>
    [
        new("a record larger than a request is refused, and the producer goes on", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.Client.CreateProducer<byte[], byte[]>(new ProducerOptions { RequestBytesMax = 2_000 });
            var refused = await Assert.ThrowsAsync<KafkaException>(
                () => run.EndsAsync(producer.ProduceAsync(run.Topic, null!, new byte[3_000])));
            Assert.Equal(ErrorCode.MessageTooLarge, refused.ErrorCode);
        }),
        new("a record larger than the topic allows is refused, and the producer goes on", async run =>
        {
            await run.CreateTopicAsync(configs: ("max.message.bytes", "1000"));
            await using var large = run.Client.CreateProducer<byte[], byte[]>(
                new ProducerOptions { DeliveryTimeout = TimeSpan.FromSeconds(80), MaxBlock = TimeSpan.FromSeconds(80) });
            var refused = await Assert.ThrowsAsync<KafkaException>(
                () => run.EndsAsync(large.ProduceAsync(run.Topic, null!, new byte[3_000])));
            Assert.Equal(ErrorCode.MessageTooLarge, refused.ErrorCode);
            await using var producer = run.NewProducer();
            await run.SendAsync(producer, 2);
        }),
        new("a batch larger than the topic allows is split", async run =>
        {
            await run.CreateTopicAsync(configs: ("max.message.bytes", "300"));
            await using var producer = run.NewProducer(options => options with { Linger = TimeSpan.FromMilliseconds(50) });
            var sent = await run.SendAsync(producer, 40);
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            Assert.Equal(sent, await run.ReadAsync(consumer, 40));
        }),
        new("an invalid topic is refused", async run =>
        {
            await using var producer = run.NewProducer();
            var refused = await Assert.ThrowsAsync<KafkaException>(
                () => run.EndsAsync(producer.ProduceAsync("in/valid", null!, 1)));
            Assert.Equal(ErrorCode.InvalidTopicException, refused.ErrorCode);
        }),
        new("a topic that is not there is waited for, as long as a call may block", async run =>
        {
            await using var producer = run.NewProducer(options => options with { MaxBlock = TimeSpan.FromSeconds(3) });
            await Assert.ThrowsAsync<KafkaTimeoutException>(
                () => run.EndsAsync(producer.ProduceAsync($"{run.Topic}-never", null!, 1)));
        }),
        new("a topic that is created meanwhile is written to", async run =>
        {
            await using var producer = run.NewProducer();
            var sending = run.ProduceAsync(producer, run.NextValue());
            await run.DelayAsync(TimeSpan.FromMilliseconds(500));
            await run.CreateTopicAsync();
            Assert.Equal(0, (await sending).Offset);
        }),
    ];

    private static IEnumerable<Behaviour> Calls =>
    [
        new("a flush waits for all that was enqueued", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewProducer(options => options with { Linger = TimeSpan.FromSeconds(5) });
            var delivered = new List<long>();
            for (var i = 0; i < 10; i++)
            {
                var value = run.NextValue();
                await run.EndsAsync(producer.EnqueueAsync(
                    new(run.Topic, null!, value), delivery =>
                    {
                        delivered.Add(delivery.Metadata.Offset);
                        run.NoteSent(delivery.Metadata, value);
                    }).AsTask());
            }

            await run.EndsAsync(producer.FlushAsync());
            Assert.Equal(Enumerable.Range(0, 10).Select(i => (long)i), delivered);
        }),
        new("closing sends what is enqueued", async run =>
        {
            await run.CreateTopicAsync();
            var producer = run.NewProducer(options => options with
            {
                Linger = TimeSpan.FromSeconds(5),
                CloseTimeout = TimeSpan.FromSeconds(60),
            });
            var values = Enumerable.Range(0, 5).Select(_ => run.NextValue()).ToList();
            foreach (var value in values)
            {
                await run.EndsAsync(producer.EnqueueAsync(
                    new(run.Topic, null!, value), sent => run.NoteSent(sent.Metadata, value)).AsTask());
            }

            await run.EndsAsync(producer.DisposeAsync().AsTask());
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            Assert.Equal(values, await run.ReadAsync(consumer, 5));
        }),
        new("a closed producer sends nothing", async run =>
        {
            await run.CreateTopicAsync();
            var producer = run.NewProducer();
            await run.SendAsync(producer, 1);
            await run.EndsAsync(producer.DisposeAsync().AsTask());
            await Assert.ThrowsAsync<ObjectDisposedException>(() => run.EndsAsync(producer.ProduceAsync(run.Topic, null!, 1)));
            await run.EndsAsync(producer.DisposeAsync().AsTask());
        }),
        new("a list of records has a list of outcomes", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewProducer();
            var records = Enumerable.Range(0, 6).Select(_ => new ProducerRecord<byte[], long>(run.Topic, null!, run.NextValue())).ToList();
            var outcomes = await run.EndsAsync(producer.ProduceAsync(records));
            Assert.Equal(Enumerable.Range(0, 6).Select(i => (long)i), outcomes.Select(outcome => outcome.Metadata.Offset));
            foreach (var (record, outcome) in records.Zip(outcomes))
                run.NoteSent(outcome.Metadata, record.Value);
        }),
        new("what cannot be enqueued at once is not, until the topic is known", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewProducer();
            var record = new ProducerRecord<byte[], long>(run.Topic, null!, run.NextValue());
            Assert.False(TryEnqueue());
            for (var i = 0; i < 400 && !TryEnqueue(); i++)
                await run.DelayAsync(TimeSpan.FromMilliseconds(100));
            await run.EndsAsync(producer.FlushAsync());
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            Assert.Equal(record.Value, (await run.ReadOneAsync(consumer)).Value);

            bool TryEnqueue() => producer.TryEnqueue(record, sent => run.NoteSent(sent.Metadata, record.Value));
        }),
        new("the first record of a topic asks for its metadata once", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewProducer();
            await run.SendAsync(producer, 2);
            if (run.IsCalm)
                Assert.Single(run.Faults.Seen, request => request.Key == ApiKey.Metadata);
        }),
        new("two producers keep each its own order", async run =>
        {
            await run.CreateTopicAsync();
            await using var first = run.NewProducer(options => options with { BatchBytes = 1 });
            await using var second = run.NewProducer(options => options with { BatchBytes = 1 });
            var sends = new List<Task>();
            var (ofFirst, ofSecond) = (new List<long>(), new List<long>());
            for (var i = 0; i < 8; i++)
            {
                Send(first, ofFirst);
                Send(second, ofSecond);
            }

            foreach (var send in sends)
                await send;
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            var read = await run.ReadAsync(consumer, 16);
            Assert.Equal(ofFirst, read.Where(ofFirst.Contains));
            Assert.Equal(ofSecond, read.Where(ofSecond.Contains));

            void Send(Producer<byte[], long> producer, List<long> values)
            {
                values.Add(run.NextValue());
                sends.Add(run.ProduceAsync(producer, values[^1]));
            }
        }),
        new("a call that is cancelled while it waits for its topic sends nothing", async run =>
        {
            await using var producer = run.NewProducer();
            using var stop = new CancellationTokenSource();
            var sending = producer.ProduceAsync(run.Topic, null!, 1, stop.Token);
            await run.DelayAsync(TimeSpan.FromMilliseconds(200));
            stop.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.EndsAsync(sending));
        }),
    ];

    private static Behaviour Record(
        string name, Func<ProducerRecord<byte[], byte[]>, ProducerRecord<byte[], byte[]>> change, byte[]? value,
        Action<ConsumeResult<byte[], byte[]>> check, params (string Name, string Value)[] configs) => new(name, async run =>
        {
            var topic = $"{run.Topic}-record"; // its values are no numbers
            await run.CreateForeignTopicAsync(topic, configs);
            await using var producer = run.Client.CreateProducer<byte[], byte[]>(
                new ProducerOptions { DeliveryTimeout = TimeSpan.FromSeconds(80), MaxBlock = TimeSpan.FromSeconds(80) });
            var record = new ProducerRecord<byte[], byte[]>(topic, Encoding.UTF8.GetBytes("k"), value!);
            await run.EndsAsync(producer.ProduceAsync(change(record)));
            await using var consumer = new Consumer<byte[], byte[]>(
                run.Client, new ConsumerOptions { OffsetReset = OffsetReset.Earliest, FetchMaxWait = TimeSpan.FromMilliseconds(200) });
            consumer.Assign([new(topic, 0)]);
            var read = await run.EndsAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(60)).AsTask());
            Assert.True(read.HasValue);
            check(read.Value);
        });
}
