using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>What transactional producers do.</summary>
internal static class TransactionBehaviours
{
    private static readonly ConsumerOptions s_committed = new() { IsolationLevel = IsolationLevel.ReadCommitted };

    public static IEnumerable<Behaviour> All =>
    [
        new("what is committed is read", run => RunAsync(run, [true])),
        new("what is aborted is not read", run => RunAsync(run, [false])),
        new("commits and aborts alternate", run => RunAsync(run, [true, false, true, false, true])),
        new("two aborts are followed by a commit", run => RunAsync(run, [false, false, true])),
        new("a transaction of many batches is one", run => RunAsync(run, [true, false, true], perTransaction: 15)),
        new("a transaction spans partitions", run => RunAsync(run, [true, false, true], partitions: 3)),
        new("a transaction without records ends", async run =>
        {
            await using var producer = run.NewTransactor();
            await run.EndsAsync((await run.EndsAsync(producer.BeginTransactionAsync())).CommitAsync());
            await run.EndsAsync((await run.EndsAsync(producer.BeginTransactionAsync())).AbortAsync());
        }),
        new("a transaction spans topics", async run =>
        {
            await run.CreateTopicAsync();
            var other = await run.CreateTopicAsync(suffix: "-other");
            await using var producer = run.NewTransactor();
            foreach (var isCommit in new[] { true, false, true })
            {
                var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
                var transacted = run.BeginTransacted();
                await SendAsync(run, producer, transacted, 2);
                await SendAsync(run, producer, transacted, 2, topic: other);
                await EndAsync(run, transaction, transacted, isCommit);
            }
        }),
        new("who reads everything reads aborted records too", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor();
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var transacted = run.BeginTransacted();
            await SendAsync(run, producer, transacted, 3);
            await EndAsync(run, transaction, transacted, isCommit: false);
            await using var consumer = run.NewConsumer();
            consumer.Assign([run.Partition()]);
            Assert.Equal(transacted.Values, await run.ReadAsync(consumer, 3));
        }),
        new("who reads what is committed waits for open transactions", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor();
            await using var consumer = run.NewConsumer(options => options with { IsolationLevel = s_committed.IsolationLevel });
            consumer.Assign([run.Partition()]);
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var transacted = run.BeginTransacted();
            await SendAsync(run, producer, transacted, 2);
            var later = await run.FeedAsync(1);
            await run.ReadNothingAsync(consumer);
            await EndAsync(run, transaction, transacted, isCommit: true);
            Assert.Equal([.. transacted.Values, .. later], await run.ReadAsync(consumer, 3));
        }),
        new("a transaction that is left is aborted", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor();
            var left = run.BeginTransacted();
            await using (await run.EndsAsync(producer.BeginTransactionAsync()))
                await SendAsync(run, producer, left, 2);
            left.End(isCommitted: false);
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var transacted = run.BeginTransacted();
            await SendAsync(run, producer, transacted, 2);
            await EndAsync(run, transaction, transacted, isCommit: true);
        }),
        new("two transactions of one producer are not open at a time", async run =>
        {
            await using var producer = run.NewTransactor();
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            await Assert.ThrowsAsync<InvalidOperationException>(() => run.EndsAsync(producer.BeginTransactionAsync()));
            await run.EndsAsync(transaction.AbortAsync());
        }),
        new("nothing is sent outside of a transaction", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor();
            await Assert.ThrowsAsync<InvalidOperationException>(() => run.EndsAsync(producer.ProduceAsync(run.Topic, null!, 1)));
        }),
        new("a producer without a transactional id begins none", async run =>
        {
            await using var producer = run.NewProducer();
            await Assert.ThrowsAsync<InvalidOperationException>(() => run.EndsAsync(producer.BeginTransactionAsync()));
        }),
        new("the next producer with an id aborts what the last one left open, and fences it", async run =>
        {
            await run.CreateTopicAsync();
            await using var first = run.NewTransactor(options => options with { CloseTimeout = TimeSpan.FromSeconds(1) });
            var open = await run.EndsAsync(first.BeginTransactionAsync());
            var left = run.BeginTransacted();
            await SendAsync(run, first, left, 2);
            left.End(isCommitted: false);
            await using var second = run.NewTransactor();
            var transaction = await run.EndsAsync(second.BeginTransactionAsync());
            var transacted = run.BeginTransacted();
            await SendAsync(run, second, transacted, 2);
            await EndAsync(run, transaction, transacted, isCommit: true);
            await Assert.ThrowsAsync<FatalProducerException>(() => run.EndsAsync(open.CommitAsync()));
            await Assert.ThrowsAsync<FatalProducerException>(() => run.EndsAsync(first.BeginTransactionAsync()));
        }),
        new("a record that cannot be sent fails its transaction and no other", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor(options => options with { MaxBlock = TimeSpan.FromSeconds(20) });
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var failing = producer.ProduceAsync("in/valid", null!, 1);
            await Assert.ThrowsAnyAsync<KafkaException>(() => run.EndsAsync(failing));
            await Assert.ThrowsAsync<AbortableTransactionException>(() => run.EndsAsync(transaction.CommitAsync()));
            await run.EndsAsync(transaction.AbortAsync());
            transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var transacted = run.BeginTransacted();
            await SendAsync(run, producer, transacted, 2);
            await EndAsync(run, transaction, transacted, isCommit: true);
        }),
        new("offsets are committed with their transaction", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor();
            await using var consumer = run.NewConsumer(options => options with { GroupId = run.Group });
            foreach (var (offset, isCommit, expected) in new[] { (5L, true, 5L), (9L, false, 5L), (7L, true, 7L) })
            {
                var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
                await run.EndsAsync(transaction.SendOffsetsAsync(
                    [new PartitionOffset(run.Topic, 0, offset)], new ConsumerGroupMetadata(run.Group, -1, "", null)));
                await run.EndsAsync(isCommit ? transaction.CommitAsync() : transaction.AbortAsync());
                var committed = await run.EndsAsync(consumer.CommittedAsync([run.Partition()]));
                Assert.Equal(expected, committed[run.Partition()]!.Value.Offset);
            }
        }),
        new("offsets of a member that is not in the group abort their transaction", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor();
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var refused = await Assert.ThrowsAsync<AbortableTransactionException>(() => run.EndsAsync(transaction.SendOffsetsAsync(
                [new PartitionOffset(run.Topic, 0, 1)], new ConsumerGroupMetadata(run.Group, 3, "nobody", null))));
            Assert.True(refused.ErrorCode is ErrorCode.UnknownMemberId or ErrorCode.IllegalGeneration, $"{refused.ErrorCode}");
            await run.EndsAsync(transaction.AbortAsync());
        }),
        .. from protocol in new[] { GroupProtocol.Classic, GroupProtocol.Consumer }
           select new Behaviour(
               $"what is read in a {protocol} group is written with its offsets, exactly once", run => PipeAsync(run, protocol)),
    ];

    private static async Task RunAsync(BehaviourRun run, bool[] commits, int perTransaction = 2, int partitions = 1)
    {
        await run.CreateTopicAsync(partitions);
        await using var producer = run.NewTransactor(options => options with { BatchBytes = 100 });
        var expected = new HashSet<long>();
        foreach (var isCommit in commits)
        {
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var transacted = run.BeginTransacted();
            for (var partition = 0; partition < partitions; partition++)
                await SendAsync(run, producer, transacted, perTransaction, partition);
            await EndAsync(run, transaction, transacted, isCommit);
            if (isCommit)
                expected.UnionWith(transacted.Values);
        }

        await using var consumer = run.NewConsumer(options => options with { IsolationLevel = s_committed.IsolationLevel });
        consumer.Assign(Enumerable.Range(0, partitions).Select(run.Partition));
        Assert.Equal(expected, (await run.ReadAsync(consumer, expected.Count)).ToHashSet());
        await run.ReadNothingAsync(consumer);
    }

    private static async Task PipeAsync(BehaviourRun run, GroupProtocol protocol)
    {
        const int count = 9;
        await run.CreateTopicAsync();
        var output = await run.CreateTopicAsync(suffix: "-output");
        var fed = await run.FeedAsync(count);
        await using var producer = run.NewTransactor();
        await using var consumer = run.NewConsumer(options => options with
        {
            GroupId = run.Group,
            GroupProtocol = protocol,
            IsolationLevel = s_committed.IsolationLevel,
        });
        consumer.Subscribe([run.Topic]);
        var piped = new List<long>();
        while (piped.Count < count)
        {
            var record = await run.ReadOneAsync(consumer);
            if (record.Offset < piped.Count)
                continue; // it was given the partition anew, and this one is written
            Assert.Equal(piped.Count, record.Offset);
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            var transacted = run.BeginTransacted();
            try
            {
                transacted.Add(new(output, 0), record.Value);
                await run.EndsAsync(producer.ProduceAsync(new ProducerRecord<byte[], long>(output, null, record.Value)));
                await run.EndsAsync(transaction.SendOffsetsAsync([record.Next], consumer.GroupMetadata!));
                await EndAsync(run, transaction, transacted, isCommit: true);
                piped.Add(record.Value);
            }
            catch (AbortableTransactionException) when (!run.IsCalm)
            {
                await EndAsync(run, transaction, transacted, isCommit: false);
                if (consumer.Assignment.Contains(record.TopicPartition))
                    consumer.Seek(record.TopicPartition, record.Offset);
            }
        }

        Assert.Equal(fed, piped);
    }

    private static async Task SendAsync(
        BehaviourRun run, Producer<byte[], long> producer, Transacted transacted, int count, int partition = 0, string? topic = null)
    {
        var sends = new List<Task>();
        for (var i = 0; i < count; i++)
        {
            var value = run.NextValue();
            transacted.Add(new(topic ?? run.Topic, partition), value);
            sends.Add(producer.ProduceAsync(new ProducerRecord<byte[], long>(topic ?? run.Topic, null, value) { Partition = partition }));
        }

        foreach (var send in sends)
            await run.EndsAsync(send);
    }

    private static async Task EndAsync(BehaviourRun run, ProducerTransaction transaction, Transacted transacted, bool isCommit)
    {
        await run.EndsAsync(isCommit ? transaction.CommitAsync() : transaction.AbortAsync());
        transacted.End(isCommit);
    }
}
