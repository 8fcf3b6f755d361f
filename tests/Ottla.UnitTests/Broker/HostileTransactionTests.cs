using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Broker.TransactionCalls;

namespace Ottla.UnitTests.Broker;

/// <summary>Transactional clients that do what no producer should, or more of it than usual.</summary>
public sealed class HostileTransactionTests
{
    private const string Longest = "the longest that the protocol has";
    private const int StringBytesMax = short.MaxValue;

    /// <summary>Kafka takes the last of the two; here each is a batch of its own, in the order of the request.</summary>
    [Theory]
    [InlineData(TransactionCalls.OldProduce)]
    [InlineData((short)12)]
    public async Task A_request_may_name_a_partition_twice(short version)
    {
        await using var node = await TestNode.StartAsync(TransactionCalls.FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        if (version == TransactionCalls.OldProduce)
            Assert.Equal(ErrorCode.None, await client.AddPartitionAsync(producer, "t"));
        Assert.Equal([ErrorCode.None, ErrorCode.None], await TwiceAsync(producer, 0, 1, "tx"));
        // Neither a transactional id that nobody knows nor a sequence that is given twice ends the connection.
        var unknown = await TwiceAsync(new ProducerIdAndEpoch(77, 0), 0, 1, "nobody");
        Assert.Equal(unknown[0], unknown[1]);
        Assert.NotEqual(ErrorCode.None, unknown[0]);
        Assert.Equal([ErrorCode.None, ErrorCode.None], await TwiceAsync(producer, 2, 2, "tx"));
        AssertError(ErrorCode.None, (await client.EndAsync(producer, commit: true)).ErrorCode);
        await client.AwaitStateAsync("CompleteCommit");
        Assert.Equal(3, (await client.ConsumeAsync("t", committed: true)).Records.Count);

        async Task<ErrorCode[]> TwiceAsync(ProducerIdAndEpoch of, int first, int second, string id)
        {
            var request = TransactionCalls.ProduceInTransaction(of, first, version, id: id);
            request.TopicData[0].PartitionData = [
                request.TopicData[0].PartitionData[0],
                TransactionCalls.ProduceInTransaction(of, second, version, id: id).TopicData[0].PartitionData[0]];
            var response = await client.CallAsync<ProduceRequest, ProduceResponse>(request, version);
            return [.. Assert.Single(response.Responses).PartitionResponses.Select(partition => (ErrorCode)partition.ErrorCode)];
        }
    }

    /// <summary>As Kafka's: transactions' coordinators write no sequence, those of groups write 0.</summary>
    [Fact]
    public async Task Batches_of_coordinators_have_the_base_sequence_that_Kafka_writes()
    {
        await using var node = await TestNode.StartAsync(
            [("transaction.state.log.num.partitions", "1"), ("offsets.topic.num.partitions", "1"),
                ("group.initial.rebalance.delay.ms", "0")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        Assert.NotEmpty(await SequencesAsync("__transaction_state"));
        Assert.All(await SequencesAsync("__transaction_state"), sequence => Assert.Equal(RecordBatchLayout.NoSequence, sequence));

        await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
            new FindCoordinatorRequest { CoordinatorKeys = ["g"], KeyType = 0 });
        while (await client.CommitOffsetAsync(producer, "g", "t", 1) is not ErrorCode.None and var error) // the coordinator is loaded
            Assert.Contains(
                error, new[] { ErrorCode.CoordinatorLoadInProgress, ErrorCode.NotCoordinator, ErrorCode.CoordinatorNotAvailable });
        Assert.NotEmpty(await SequencesAsync("__consumer_offsets"));
        Assert.All(await SequencesAsync("__consumer_offsets"), sequence => Assert.Equal(0, sequence));

        async Task<List<int>> SequencesAsync(string topic)
        {
            var sequences = new List<int>();
            for (var rest = (await client.FetchAsync(topic, 0)).Records.Memory; rest.Length > 0;)
            {
                var batch = new RecordBatchView(rest.Span);
                sequences.Add(batch.BaseSequence);
                rest = rest[batch.SizeInBytes..];
            }

            return sequences;
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_transaction_spans_500_partitions(bool commit)
    {
        const int partitions = 500;
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", partitions);
        var producer = await client.BeginAsync();
        var request = ProduceInTransaction(producer, 0, 12);
        request.TopicData[0].PartitionData =
            [.. Enumerable.Range(0, partitions)
                .Select(partition => ProduceInTransaction(producer, 0, 12, partition: partition).TopicData[0].PartitionData[0])];
        var produced = await client.CallAsync<ProduceRequest, ProduceResponse>(request, 12);
        Assert.All(produced.Responses[0].PartitionResponses, partition => AssertError(ErrorCode.None, partition.ErrorCode));
        Assert.Equal(Enumerable.Range(0, partitions), Assert.Single((await client.DescribeTransactionAsync()).Topics).Partitions);

        await node.RestartAsync();
        await using var after = await node.ConnectAsync();
        await after.FindTransactionCoordinatorAsync();
        AssertError(ErrorCode.None, (await after.EndAsync(producer, commit)).ErrorCode);
        await after.AwaitStateAsync(commit ? "CompleteCommit" : "CompleteAbort");
        for (var partition = 0; partition < partitions; partition++)
        {
            var fetched = await after.FetchAsync("t", 0, of => of.Partition = partition, fetch => fetch.IsolationLevel = 1);
            Assert.Equal((2L, 2L, commit ? 0 : 1), (fetched.HighWatermark, fetched.LastStableOffset, fetched.AbortedTransactions!.Length));
        }
    }

    [Theory]
    [InlineData("größe-\U0001F600-\0-ends")]
    [InlineData(" ")]
    [InlineData(Longest)]
    public async Task Transactional_ids_may_be_anything(string id)
    {
        id = id == Longest ? new string('i', StringBytesMax) : id;
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync(id);
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0, id: id)).ErrorCode);
        await node.RestartAsync();
        await using var after = await node.ConnectAsync();
        await after.FindTransactionCoordinatorAsync(id);
        AssertError(ErrorCode.None, (await after.EndAsync(producer, commit: true, id)).ErrorCode);
        await after.AwaitStateAsync("CompleteCommit", id);
        Assert.Equal(id, Assert.Single((await after.AwaitTransactionsAsync()).TransactionStates).TransactionalId);
        Assert.Single((await after.ConsumeAsync("t", committed: true)).Records);
    }

    [Fact]
    public async Task The_empty_transactional_id_is_nobodys()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("g");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.InvalidRequest, (await client.InitAsync("")).ErrorCode);
        AssertError(ErrorCode.InvalidRequest, (await client.EndAsync(producer, commit: true, "")).ErrorCode);
        Assert.Equal(ErrorCode.InvalidRequest, await client.AddPartitionAsync(producer, "t", id: ""));
        Assert.Equal(ErrorCode.InvalidRequest, await client.AddOffsetsAsync(producer, "g", id: ""));
        Assert.Equal(ErrorCode.InvalidRequest, await client.CommitOffsetAsync(producer, "g", "t", 1, id: ""));
        AssertError(ErrorCode.InvalidRequest, (await client.ProduceInTransactionAsync(producer, 0, id: "")).ErrorCode);
        AssertError(ErrorCode.InvalidRequest, (await client.DescribeTransactionAsync("")).ErrorCode);
        Assert.Equal(0, (await client.FetchAsync("t", 0)).HighWatermark);
    }

    [Theory]
    [InlineData("1", 1, ErrorCode.None)]
    [InlineData("1", 2, ErrorCode.InvalidTransactionTimeout)]
    [InlineData("2147483647", int.MaxValue, ErrorCode.None)]
    [InlineData("900000", int.MinValue, ErrorCode.InvalidTransactionTimeout)]
    public async Task The_longest_timeout_is_the_brokers(string max, int timeoutMs, ErrorCode error)
    {
        await using var node = await TestNode.StartAsync([.. FewPartitions, ("transaction.max.timeout.ms", max)]);
        await using var client = await node.ConnectAsync();
        await client.FindTransactionCoordinatorAsync();
        AssertError(error, (await client.InitAsync(timeoutMs: timeoutMs)).ErrorCode);
    }

    [Fact]
    public async Task Batches_outside_of_the_transaction_do_not_mix_with_it()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();

        // A transactional id makes no batch transactional; nor does it begin a transaction.
        AssertError(ErrorCode.None, (await SendPlainAsync(0)).ErrorCode);
        Assert.Equal("Empty", (await client.DescribeTransactionAsync()).TransactionState);
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 1)).ErrorCode);
        AssertError(ErrorCode.InvalidTxnState, (await SendPlainAsync(2)).ErrorCode);
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 2)).ErrorCode);
        AssertError(ErrorCode.None, (await client.EndAsync(producer, commit: false)).ErrorCode);
        await client.AwaitStateAsync("CompleteAbort");
        Assert.Equal([0L], (await client.ConsumeAsync("t", committed: true)).Records.Select(record => record.Offset));

        async Task<ProduceResponse.PartitionProduceResponse> SendPlainAsync(int sequence)
        {
            var request = Produce(
                "t", Uuid.Zero, Batch(
                    options: new RecordBatchOptions { ProducerId = producer.Id, ProducerEpoch = producer.Epoch, BaseSequence = sequence }),
                        12, acks: -1);
            request.TransactionalId = "tx";
            return (await client.CallAsync<ProduceRequest, ProduceResponse>(request, 12)).Responses[0].PartitionResponses[0];
        }
    }

    [Theory]
    [InlineData("tx")]
    [InlineData(null)]
    public async Task Control_batches_of_clients_are_refused(string? id)
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        foreach (var epoch in new[] { producer.Epoch, (short)(producer.Epoch + 1) })
        {
            var marker = ControlBatches.BuildEndTransactionMarker(ControlRecordType.Commit, 0, producer.Id, epoch, StartMs);
            var request = Produce("t", Uuid.Zero, marker, 12, acks: -1);
            request.TransactionalId = id;
            var refused = (await client.CallAsync<ProduceRequest, ProduceResponse>(request, 12)).Responses[0].PartitionResponses[0];
            AssertError(
                id is null ? ErrorCode.TransactionalIdAuthorizationFailed : epoch == producer.Epoch ? ErrorCode.InvalidRecord
                : ErrorCode.InvalidProducerEpoch, refused.ErrorCode);
        }

        Assert.Equal(
            (1L, 0L), await client.FetchAsync("t", 0) is var fetched ? (fetched.HighWatermark, fetched.LastStableOffset) : default);
        Assert.Equal("Ongoing", (await client.DescribeTransactionAsync()).TransactionState);
    }

    [Fact]
    public async Task Offsets_of_unknown_topics_begin_no_transaction()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("g");
        var producer = await client.BeginAsync();
        foreach (var version in TestConnection.VersionsOf<TxnOffsetCommitResponse>().Where(version => version < 6))
            Assert.Equal(ErrorCode.UnknownTopicOrPartition, await client.CommitOffsetAsync(producer, "g", "none", 1, version: version));
        Assert.Equal("Empty", (await client.DescribeTransactionAsync()).TransactionState);
        AssertError(ErrorCode.InvalidTxnState, (await client.EndAsync(producer, commit: true)).ErrorCode);
        Assert.Equal(ErrorCode.None, await client.CommitOffsetAsync(producer, "g", "t", 1));
        AssertError(ErrorCode.None, (await client.EndAsync(producer, commit: true)).ErrorCode);
        await client.AwaitStateAsync("CompleteCommit");
    }

    [Fact]
    public async Task A_refused_write_to_an_internal_topic_begins_no_transaction()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        var producer = await client.BeginAsync();
        AssertError(
            ErrorCode.InvalidTopicException, (await client.ProduceInTransactionAsync(producer, 0, topic: "__transaction_state")).ErrorCode);
        Assert.Equal("Empty", (await client.DescribeTransactionAsync()).TransactionState);
    }

    /// <summary>
    /// The same producer on two connections: one sends while the other ends the transaction. What was acknowledged is in it, whole, and
    /// nothing stays open.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_end_in_the_middle_of_sends_leaves_nothing_open(bool commit)
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var first = await node.ConnectAsync();
        await using var second = await node.ConnectAsync();
        await first.CreateTopicAsync("t");
        var producer = await first.BeginAsync();
        var acknowledged = new List<long>();
        for (var round = 0; round < 30; round++)
        {
            const int sends = 4;
            var began = await first.ProduceInTransactionAsync(producer, 0);
            AssertError(ErrorCode.None, began.ErrorCode);
            acknowledged.Add(began.BaseOffset);
            for (var sequence = 1; sequence <= sends; sequence++)
                await first.SendAsync(ProduceInTransaction(producer, sequence, 12), 12);
            var end = second.EndAsync(producer, commit);
            for (var sequence = 1; sequence <= sends; sequence++)
            {
                var answer = (await first.ReceiveAsync<ProduceResponse>()).Responses[0].PartitionResponses[0];
                if (answer.ErrorCode == 0)
                    acknowledged.Add(answer.BaseOffset);
                else
                    Assert.True(
                        (ErrorCode)answer.ErrorCode is ErrorCode.InvalidProducerEpoch or ErrorCode.InvalidTxnState
                        or ErrorCode.ConcurrentTransactions, $"{(ErrorCode)answer.ErrorCode}");
            }

            var ended = await end;
            AssertError(ErrorCode.None, ended.ErrorCode);
            producer = new ProducerIdAndEpoch(ended.ProducerId, ended.ProducerEpoch);
            await first.AwaitStateAsync(commit ? "CompleteCommit" : "CompleteAbort");
            var (records, fetched) = await first.ConsumeAsync("t", committed: true);
            Assert.Equal(commit ? acknowledged : [], records.Select(record => record.Offset));
            Assert.Equal(fetched.HighWatermark, fetched.LastStableOffset);
        }
    }

    /// <summary>
    /// Committed, aborted, open and plain records of several producers, in small segments: a committed reader sees the same from wherever
    /// it begins.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Committed_readers_see_the_same_from_every_offset(ulong seed)
    {
        const int steps = 120, producers = 4;
        await using var node = await TestNode.StartAsync([.. FewPartitions, ("log.segment.bytes", "1048576")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 1, ("segment.bytes", "1048576"), ("index.interval.bytes", "100"));
        var random = new Prng(seed);
        var ids = new ProducerIdAndEpoch[producers];
        var sequences = new int[producers];
        var open = new List<long>[producers];
        for (var i = 0; i < producers; i++)
            (ids[i], open[i]) = (await client.BeginAsync($"tx-{i}"), []);
        var visible = new SortedSet<long>();
        for (var step = 0; step < steps; step++)
        {
            var i = random.NextInt(producers);
            var id = $"tx-{i}";
            switch (random.NextInt(10))
            {
                case 0:
                    visible.Add((await client.ProduceAsync("t", Batch())).BaseOffset);
                    break;
                case < 7:
                    var count = random.NextInt(1, 4);
                    var produced = await client.ProduceInTransactionAsync(ids[i], sequences[i], count: count, id: id);
                    AssertError(ErrorCode.None, produced.ErrorCode);
                    open[i].AddRange(Enumerable.Range(0, count).Select(record => produced.BaseOffset + record));
                    sequences[i] += count;
                    break;
                case var _ when open[i].Count > 0:
                    var commit = random.NextChance(50);
                    var ended = await client.EndAsync(ids[i], commit, id);
                    AssertError(ErrorCode.None, ended.ErrorCode);
                    await client.AwaitStateAsync(commit ? "CompleteCommit" : "CompleteAbort", id);
                    if (commit)
                        visible.UnionWith(open[i]);
                    open[i].Clear();
                    (ids[i], sequences[i]) = (new ProducerIdAndEpoch(ended.ProducerId, ended.ProducerEpoch), 0);
                    break;
            }
        }

        var end = (await client.FetchAsync("t", 0)).HighWatermark;
        var stable = open.Where(offsets => offsets.Count > 0).Select(offsets => offsets[0]).DefaultIfEmpty(end).Min();
        for (var from = 0L; from <= stable; from++)
        {
            foreach (var maxBytes in new[] { 1, 500, 1 << 20 })
            {
                var read = await client.ConsumeFromAsync("t", from, maxBytes);
                Assert.Equal(visible.Where(offset => offset >= from && offset < stable), read);
            }
        }
    }
}
