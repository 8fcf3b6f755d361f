using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Broker.TransactionCalls;

namespace Ottla.UnitTests.Broker;

/// <summary>Transactions over the wire: every API in every version, and producers of each transaction version.</summary>
public sealed class TransactionApiTests
{
    [Fact]
    public async Task FindCoordinator_creates_the_topic_and_names_this_node()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<FindCoordinatorResponse>().Where(version => version >= 1))
        {
            var request = version >= 4 ? new FindCoordinatorRequest { CoordinatorKeys = ["tx"], KeyType = 1 }
                : new FindCoordinatorRequest { Key = "tx", KeyType = 1 };
            var response = await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(request, version);
            Assert.Equal(
                (0, 0), version >= 4 ? (response.Coordinators[0].ErrorCode, response.Coordinators[0].NodeId)
                : (response.ErrorCode, response.NodeId));
        }

        var topic = Assert.Single(
            (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Topics);
        Assert.Equal(("__transaction_state", true, 3), (topic.Name, topic.IsInternal, topic.Partitions.Length));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(2, false)]
    public async Task Records_are_seen_by_committed_readers_with_the_commit(short transactionVersion, bool commit)
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        if (transactionVersion < 2)
            await FinalizeAsync(client, transactionVersion);
        var isNew = transactionVersion == 2;
        var producer = await client.BeginAsync();
        await client.ProduceAsync("t", Batch());
        if (!isNew)
            Assert.Equal(ErrorCode.None, await client.AddPartitionAsync(producer, "t"));
        var produced = await client.ProduceInTransactionAsync(producer, 0, isNew ? (short)12 : OldProduce, count: 2);
        AssertError(ErrorCode.None, produced.ErrorCode);
        Assert.Equal(1, produced.BaseOffset);
        await client.ProduceAsync("t", Batch());

        var (open, fetched) = await client.ConsumeAsync("t", committed: true);
        Assert.Equal([0L], open.Select(record => record.Offset));
        Assert.Equal((1L, 4L), (fetched.LastStableOffset, fetched.HighWatermark));
        Assert.Equal(4, (await client.ConsumeAsync("t", committed: false)).Records.Count);
        Assert.Equal((1L, 4L), (await ListLatestAsync(client, 1), await ListLatestAsync(client, 0)));

        var ended = await client.EndAsync(producer, commit, version: isNew ? (short)5 : OldEndTxn);
        AssertError(ErrorCode.None, ended.ErrorCode);
        if (isNew)
            Assert.Equal((producer.Id, producer.Epoch + 1), (ended.ProducerId, ended.ProducerEpoch));
        await client.AwaitStateAsync(commit ? "CompleteCommit" : "CompleteAbort");

        (var decided, fetched) = await client.ConsumeAsync("t", committed: true);
        Assert.Equal(commit ? [0, 1, 2, 3] : [0L, 3], decided.Select(record => record.Offset));
        Assert.Equal((5L, commit ? 0 : 1), (fetched.LastStableOffset, fetched.AbortedTransactions!.Length));
        (decided, fetched) = await client.ConsumeAsync("t", committed: false);
        Assert.Equal([0L, 1, 2, 3], decided.Select(record => record.Offset));
        Assert.Null(fetched.AbortedTransactions);
        Assert.Equal(5, await ListLatestAsync(client, 1));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task Offsets_become_visible_exactly_with_the_commit(short transactionVersion)
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindCoordinatorAsync("g");
        if (transactionVersion < 2)
            await FinalizeAsync(client, transactionVersion);
        var isNew = transactionVersion == 2;
        var producer = await client.BeginAsync();
        var offset = 10;
        foreach (var commit in new[] { true, false, true })
        {
            var visible = await client.FetchOffsetAsync("g", "t");
            if (!isNew)
            {
                Assert.Equal(ErrorCode.InvalidTxnState, await client.CommitOffsetAsync(producer, "g", "t", offset, version: 3));
                Assert.Equal(ErrorCode.TransactionAbortable, await client.CommitOffsetAsync(producer, "g", "t", offset, version: 4));
                Assert.Equal(ErrorCode.None, await client.AddOffsetsAsync(producer, "g"));
            }

            Assert.Equal(ErrorCode.None, await client.CommitOffsetAsync(producer, "g", "t", offset, version: isNew ? (short)5 : (short)4));
            Assert.Equal(
                ErrorCode.None, await client.CommitOffsetAsync(producer, "g", "t", offset + 1, version: isNew ? (short)5 : (short)4));
            Assert.Equal(visible, await client.FetchOffsetAsync("g", "t"));
            Assert.Equal(
                ErrorCode.UnstableOffsetCommit, (await client.FetchOffsetAsync("g", "t", Uuid.Zero, 9, requireStable: true)).Error);
            Assert.Equal(
                ErrorCode.InvalidProducerEpoch,
                await client.CommitOffsetAsync(producer with { Epoch = (short)(producer.Epoch - 1) }, "g", "t", 99));
            var ended = await client.EndAsync(producer, commit, version: isNew ? (short)5 : OldEndTxn);
            AssertError(ErrorCode.None, ended.ErrorCode);
            await client.AwaitStateAsync(commit ? "CompleteCommit" : "CompleteAbort");
            Assert.Equal(
                (ErrorCode.None, commit ? offset + 1 : visible),
                await client.FetchOffsetAsync("g", "t", Uuid.Zero, 9, requireStable: true));
            producer = isNew ? new ProducerIdAndEpoch(ended.ProducerId, ended.ProducerEpoch) : producer;
            offset += 10;
        }
    }

    [Fact]
    public async Task Verification_keeps_batches_out_that_belong_to_no_transaction()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        foreach (var version in TestConnection.VersionsOf<ProduceResponse>().Where(version => version <= OldProduce))
        {
            var refused = await client.ProduceInTransactionAsync(producer, 0, version);
            AssertError(version == OldProduce ? ErrorCode.TransactionAbortable : ErrorCode.InvalidTxnState, refused.ErrorCode);
        }

        AssertError(ErrorCode.InvalidProducerIdMapping, (await client.ProduceInTransactionAsync(producer with { Id = 999 }, 0)).ErrorCode);
        AssertError(ErrorCode.InvalidProducerEpoch, (await client.ProduceInTransactionAsync(producer with { Epoch = 9 }, 0)).ErrorCode);
        AssertError(ErrorCode.InvalidProducerIdMapping, (await client.ProduceInTransactionAsync(producer, 0, id: "nobody")).ErrorCode);
        Assert.Equal(0, (await client.FetchAsync("t", 0)).HighWatermark);

        // In the transaction it gets in; what comes after the end does not.
        Assert.Equal(ErrorCode.None, await client.AddPartitionAsync(producer, "t"));
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0, OldProduce)).ErrorCode);
        AssertError(ErrorCode.None, (await client.EndAsync(producer, commit: true, version: OldEndTxn)).ErrorCode);
        await client.AwaitStateAsync("CompleteCommit");
        AssertError(ErrorCode.TransactionAbortable, (await client.ProduceInTransactionAsync(producer, 1, OldProduce)).ErrorCode);
        // nor a retry of what is there, as in Kafka
        AssertError(ErrorCode.TransactionAbortable, (await client.ProduceInTransactionAsync(producer, 0, OldProduce)).ErrorCode);
        Assert.Equal(2, (await client.FetchAsync("t", 0)).HighWatermark);
    }

    [Fact]
    public async Task Verification_can_be_switched_off()
    {
        await using var node = await TestNode.StartAsync([.. FewPartitions, ("transaction.partition.verification.enable", "false")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0, OldProduce)).ErrorCode);
    }

    [Fact]
    public async Task Batches_of_two_transactional_producers_do_not_go_together()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        var producer = await client.BeginAsync();
        var request = ProduceInTransaction(producer, 0, 12);
        request.TopicData = [.. request.TopicData, .. ProduceInTransaction(producer with { Epoch = 1 }, 0, 12, partition: 1).TopicData];
        var response = await client.CallAsync<ProduceRequest, ProduceResponse>(request, 12);
        Assert.All(response.Responses, topic => AssertError(ErrorCode.InvalidProducerIdMapping, topic.PartitionResponses[0].ErrorCode));
    }

    /// <summary>
    /// A request of an earlier transaction that comes late, or twice: by the old protocol it ends the next transaction, by the new one it
    /// is refused.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Late_requests_of_an_earlier_transaction(bool isNew)
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.CreateTopicAsync("other");
        var first = await client.BeginAsync();
        var endVersion = isNew ? (short)5 : OldEndTxn;
        Assert.Equal(0, (await SendAsync(first, 0)).BaseOffset);
        var ended = await client.EndAsync(first, commit: true, version: endVersion);
        await client.AwaitStateAsync("CompleteCommit");
        var second = isNew ? new ProducerIdAndEpoch(ended.ProducerId, ended.ProducerEpoch) : first;
        Assert.Equal(2, (await SendAsync(second, isNew ? 0 : 1)).BaseOffset);

        // Both are duplicates of what the first transaction sent, or would have sent.
        var lateAdd = await client.AddPartitionAsync(first, "other");
        var lateEnd = await client.EndAsync(first, commit: true, version: endVersion);
        if (isNew)
        {
            Assert.Equal(ErrorCode.ProducerFenced, lateAdd);
            AssertError(ErrorCode.ProducerFenced, lateEnd.ErrorCode);
            Assert.Equal("Ongoing", (await client.DescribeTransactionAsync()).TransactionState);
            AssertError(ErrorCode.InvalidProducerEpoch, (await SendAsync(first, 1)).ErrorCode);
            AssertError(ErrorCode.None, (await client.EndAsync(second, commit: false, version: endVersion)).ErrorCode);
            await client.AwaitStateAsync("CompleteAbort");
            Assert.Equal([0L], (await client.ConsumeAsync("t", committed: true)).Records.Select(record => record.Offset));
        }
        else
        {
            // The anomaly: half of the second transaction is committed before its producer says so, and the abort comes too late.
            Assert.Equal(ErrorCode.None, lateAdd);
            AssertError(ErrorCode.None, lateEnd.ErrorCode);
            await client.AwaitStateAsync("CompleteCommit");
            Assert.Equal([0L, 2], (await client.ConsumeAsync("t", committed: true)).Records.Select(record => record.Offset));
            AssertError(ErrorCode.InvalidTxnState, (await client.EndAsync(second, commit: false, version: endVersion)).ErrorCode);
        }

        async Task<ProduceResponse.PartitionProduceResponse> SendAsync(ProducerIdAndEpoch producer, int sequence)
        {
            if (!isNew)
                Assert.Equal(ErrorCode.None, await client.AddPartitionAsync(producer, "t"));
            return await client.ProduceInTransactionAsync(producer, sequence, isNew ? (short)12 : OldProduce);
        }
    }

    /// <summary>
    /// While markers cannot be written, the next transaction's batches wait, and then go in in the order in which they were sent.
    /// </summary>
    [Fact]
    public async Task Batches_that_wait_for_the_transaction_before_keep_their_order()
    {
        await using var node = await TestNode.StartAsync([.. FewPartitions, ("add.partitions.to.txn.retry.backoff.max.ms", "600000")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.CreateTopicAsync("stuck");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0, topic: "stuck")).ErrorCode);
        node.SetWritable("stuck-0", false);
        var ended = await client.EndAsync(producer, commit: true);
        AssertError(ErrorCode.None, ended.ErrorCode);
        var next = new ProducerIdAndEpoch(ended.ProducerId, ended.ProducerEpoch);
        await using var other = await node.ConnectAsync();
        var described = await other.DescribeTransactionAsync();
        Assert.Equal(("PrepareCommit", "stuck"), (described.TransactionState, Assert.Single(described.Topics).Topic));
        AssertError(ErrorCode.ConcurrentTransactions, (await other.EndAsync(next, commit: true)).ErrorCode);
        AssertError(ErrorCode.ConcurrentTransactions, (await other.InitAsync()).ErrorCode);

        for (var sequence = 0; sequence < 5; sequence++)
            await client.SendAsync(ProduceInTransaction(next, sequence, 12), 12);
        node.SetWritable("stuck-0", true);
        var offsets = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            var received = client.ReceiveAsync<ProduceResponse>();
            await node.Clock.AdvanceUntilAsync(received, stepMs: 10);
            var answer = (await received).Responses[0].PartitionResponses[0];
            AssertError(ErrorCode.None, answer.ErrorCode);
            offsets.Add(answer.BaseOffset);
        }

        Assert.Equal([0L, 1, 2, 3, 4], offsets);
        Assert.Equal("Ongoing", (await client.DescribeTransactionAsync()).TransactionState);
    }

    [Fact]
    public async Task Producers_that_do_not_add_partitions_themselves_are_told_to_come_again_later()
    {
        await using var node = await TestNode.StartAsync(
            [.. FewPartitions, ("add.partitions.to.txn.retry.backoff.max.ms", "1"), ("add.partitions.to.txn.retry.backoff.ms", "1")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.CreateTopicAsync("stuck");
        var producer = await client.BeginAsync();
        await client.ProduceInTransactionAsync(producer, 0, topic: "stuck");
        node.SetWritable("stuck-0", false);
        var ended = await client.EndAsync(producer, commit: true);
        var next = new ProducerIdAndEpoch(ended.ProducerId, ended.ProducerEpoch);
        AssertError(ErrorCode.NotEnoughReplicas, (await client.ProduceInTransactionAsync(next, 0, OldProduce)).ErrorCode);
        var produce = client.ProduceInTransactionAsync(next, 0);
        await node.Clock.AdvanceUntilAsync(produce, stepMs: 1);
        AssertError(ErrorCode.ConcurrentTransactions, (await produce).ErrorCode);
    }

    [Fact]
    public async Task Timed_out_transactions_are_aborted()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync(timeoutMs: 15_000);
        await client.ProduceInTransactionAsync(producer, 0);
        node.Clock.AdvanceMs(10_000);
        Assert.Equal("Ongoing", (await client.DescribeTransactionAsync()).TransactionState);
        node.Clock.AdvanceMs(10_000);
        await client.AwaitStateAsync("CompleteAbort");
        var (records, fetched) = await client.ConsumeAsync("t", committed: true);
        Assert.Empty(records);
        Assert.Equal(2, fetched.LastStableOffset);
        AssertError(ErrorCode.InvalidProducerEpoch, (await client.ProduceInTransactionAsync(producer, 1)).ErrorCode);
        AssertError(ErrorCode.InvalidTxnState, (await client.EndAsync(producer, commit: true)).ErrorCode);
        Assert.Equal(
            (producer.Id, producer.Epoch + 2), await client.InitAsync() is var next ? (next.ProducerId, (int)next.ProducerEpoch) : default);
    }

    [Fact]
    public async Task Another_producer_of_the_id_fences_the_first()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var first = await client.BeginAsync();
        await client.ProduceInTransactionAsync(first, 0);
        AssertError(ErrorCode.ConcurrentTransactions, (await client.InitAsync()).ErrorCode);
        await client.AwaitStateAsync("CompleteAbort");
        var second = await client.InitAsync();
        Assert.Equal((first.Id, first.Epoch + 2), (second.ProducerId, second.ProducerEpoch));
        AssertError(ErrorCode.InvalidProducerEpoch, (await client.ProduceInTransactionAsync(first, 1)).ErrorCode);
        foreach (var version in TestConnection.VersionsOf<EndTxnResponse>())
            AssertError(
                version < 2 ? ErrorCode.InvalidProducerEpoch : ErrorCode.ProducerFenced,
                (await client.EndAsync(first, commit: true, version: version)).ErrorCode);
        foreach (var version in TestConnection.VersionsOf<AddOffsetsToTxnResponse>())
            Assert.Equal(
                version < 2 ? ErrorCode.InvalidProducerEpoch : ErrorCode.ProducerFenced,
                await client.AddOffsetsAsync(first, "g", version: version));
        foreach (var version in TestConnection.VersionsOf<AddPartitionsToTxnResponse>().Where(version => version < 4))
            Assert.Equal(
                version < 2 ? ErrorCode.InvalidProducerEpoch : ErrorCode.ProducerFenced,
                await client.AddPartitionAsync(first, "t", version: version));
        foreach (var version in TestConnection.VersionsOf<InitProducerIdResponse>().Where(version => version >= 3))
            AssertError(
                version < 4 ? ErrorCode.InvalidProducerEpoch : ErrorCode.ProducerFenced,
                (await client.InitAsync(expected: first, version: version)).ErrorCode);
        foreach (var version in TestConnection.VersionsOf<InitProducerIdResponse>())
            AssertError(ErrorCode.InvalidTransactionTimeout, (await client.InitAsync(version: version, timeoutMs: 900_001)).ErrorCode);
    }

    [Fact]
    public async Task AddPartitionsToTxn_adds_all_or_none_in_every_version()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        var producer = await client.BeginAsync();
        var another = await client.BeginAsync("another");
        foreach (var version in TestConnection.VersionsOf<AddPartitionsToTxnResponse>())
        {
            if (version < 4)
            {
                Assert.Equal(ErrorCode.UnknownTopicOrPartition, await client.AddPartitionAsync(producer, "none", version: version));
                Assert.Equal(
                    ErrorCode.TopicAuthorizationFailed, await client.AddPartitionAsync(producer, "__transaction_state", version: version));
                Assert.Equal(ErrorCode.None, await client.AddPartitionAsync(producer, "t", version: version));
                continue;
            }

            Assert.Equal(
                "tx: t-0 OperationNotAttempted, t-7 UnknownTopicOrPartition; another: t-1 TransactionAbortable",
                await SendAsync(version, verify: true, 7));
            Assert.Equal("tx: t-0 None, t-1 None; another: t-1 None", await SendAsync(version, verify: false, 1));
            Assert.Equal("tx: t-0 None, t-1 None; another: t-1 None", await SendAsync(version, verify: true, 1));
            await client.EndAsync(another, commit: true, "another", version: OldEndTxn);
            await client.AwaitStateAsync("CompleteCommit", "another");
        }

        async Task<string> SendAsync(short version, bool verify, int partition)
        {
            var request = new AddPartitionsToTxnRequest
            {
                Transactions = [Transaction("tx", producer, verify, 0, partition), Transaction("another", another, verify, 1)],
            };
            var response = await client.CallAsync<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(request, version);
            AssertError(ErrorCode.None, response.ErrorCode);
            return string.Join("; ", response.ResultsByTransaction.Select(result =>
                $"{result.TransactionalId}: "
                    + string.Join(", ", result.TopicResults.SelectMany(topic => topic.ResultsByPartition.Select(
                        p => $"{topic.Name}-{p.PartitionIndex} {(ErrorCode)p.PartitionErrorCode}")))));
        }

        static AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction Transaction(
            string id, ProducerIdAndEpoch producer, bool verify, params int[] partitions) => new()
            {
                TransactionalId = id,
                ProducerId = producer.Id,
                ProducerEpoch = producer.Epoch,
                VerifyOnly = verify,
                Topics = [new AddPartitionsToTxnRequest.AddPartitionsToTxnTopic { Name = "t", Partitions = partitions }],
            };
    }

    [Fact]
    public async Task DescribeTransactions_and_ListTransactions_in_every_version()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        await client.BeginAsync("idle");
        await client.ProduceInTransactionAsync(producer, 0);
        node.Clock.AdvanceMs(100);
        foreach (var version in TestConnection.VersionsOf<DescribeTransactionsResponse>())
        {
            var response = await client.CallAsync<DescribeTransactionsRequest, DescribeTransactionsResponse>(
                new DescribeTransactionsRequest { TransactionalIds = ["tx", "none", ""] }, version);
            Assert.Equal(
                [("tx", ErrorCode.None), ("none", ErrorCode.TransactionalIdNotFound), ("", ErrorCode.InvalidRequest)],
                response.TransactionStates.Select(state => (state.TransactionalId, (ErrorCode)state.ErrorCode)));
            var described = response.TransactionStates[0];
            Assert.Equal(
                ("Ongoing", producer.Id, producer.Epoch, 60_000, StartMs), (
                    described.TransactionState, described.ProducerId, described.ProducerEpoch, described.TransactionTimeoutMs,
                    described.TransactionStartTimeMs));
            Assert.Equal("t", Assert.Single(described.Topics).Topic);
        }

        foreach (var version in TestConnection.VersionsOf<ListTransactionsResponse>())
        {
            Assert.Equal("idle Empty, tx Ongoing", await ListAsync(new ListTransactionsRequest()));
            Assert.Equal("tx Ongoing; Bored", await ListAsync(new ListTransactionsRequest { StateFilters = ["Ongoing", "Bored"] }));
            Assert.Equal("; Bored", await ListAsync(new ListTransactionsRequest { StateFilters = ["Bored"] }));
            Assert.Equal("tx Ongoing", await ListAsync(new ListTransactionsRequest { ProducerIdFilters = [producer.Id] }));
            if (version >= 1)
                Assert.Equal("idle Empty", await ListAsync(new ListTransactionsRequest { DurationFilter = 100 }));
            if (version < 2)
                continue;
            Assert.Equal("tx Ongoing", await ListAsync(new ListTransactionsRequest { TransactionalIdPattern = "t.*" }));
            Assert.Equal("", await ListAsync(new ListTransactionsRequest { TransactionalIdPattern = "t" }));
            Assert.Equal("idle Empty, tx Ongoing", await ListAsync(new ListTransactionsRequest { TransactionalIdPattern = "" }));
            AssertError(
                ErrorCode.InvalidRegularExpression, (
                    await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(
                        new ListTransactionsRequest { TransactionalIdPattern = "tx-(" }, version)).ErrorCode);

            async Task<string> ListAsync(ListTransactionsRequest request)
            {
                var response = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(request, version);
                AssertError(ErrorCode.None, response.ErrorCode);
                var listed = string.Join(
                    ", ", response.TransactionStates.Select(state => $"{state.TransactionalId} {state.TransactionState}")
                    .Order(StringComparer.Ordinal));
                return response.UnknownStateFilters.Length == 0 ? listed : $"{listed}; {string.Join(',', response.UnknownStateFilters)}";
            }
        }
    }

    [Fact]
    public async Task WriteTxnMarkers_lets_an_operator_abort_what_hangs()
    {
        await using var node = await TestNode.StartAsync([.. FewPartitions, ("transaction.partition.verification.enable", "false")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        foreach (var version in TestConnection.VersionsOf<WriteTxnMarkersResponse>())
        {
            // Without verification a transaction can hang that no coordinator knows of.
            var hanging = new ProducerIdAndEpoch(500 + version, 0);
            AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(hanging, 0, OldProduce)).ErrorCode);
            var state = Assert.Single(await DescribeProducersAsync("t", 0), producer => producer.ProducerId == hanging.Id);
            Assert.Equal((ErrorCode.None, -1), (await MarkAsync(version, hanging, 1), state.CoordinatorEpoch));
            Assert.True(state.CurrentTxnStartOffset >= 0);
            Assert.Equal(ErrorCode.None, await MarkAsync(version, hanging, 0));
            state = Assert.Single(await DescribeProducersAsync("t", 0), producer => producer.ProducerId == hanging.Id);
            Assert.Equal((4, -1L), (state.CoordinatorEpoch, state.CurrentTxnStartOffset));
            Assert.Equal(ErrorCode.TransactionCoordinatorFenced, await MarkAsync(version, hanging, 0, coordinatorEpoch: 3));
            Assert.Equal(ErrorCode.InvalidRequest, await MarkAsync(version, hanging with { Epoch = -1 }, 0));
            Assert.Equal(ErrorCode.InvalidRequest, await MarkAsync(version, hanging with { Id = -1 }, 0));
            Assert.Equal(ErrorCode.UnknownTopicOrPartition, await MarkAsync(version, hanging, 7));
        }

        var (records, fetched) = await client.ConsumeAsync("t", committed: true);
        Assert.Empty(records);
        Assert.Equal(fetched.HighWatermark, fetched.LastStableOffset);

        async Task<ErrorCode> MarkAsync(short version, ProducerIdAndEpoch producer, int partition, int coordinatorEpoch = 4)
        {
            var request = new WriteTxnMarkersRequest
            {
                Markers =
                [
                    new WriteTxnMarkersRequest.WritableTxnMarker
                    {
                        ProducerId = producer.Id,
                        ProducerEpoch = producer.Epoch,
                        TransactionResult = false,
                        CoordinatorEpoch = coordinatorEpoch,
                        Topics = [new WriteTxnMarkersRequest.WritableTxnMarkerTopic { Name = "t", PartitionIndexes = [partition] }],
                    },
                ],
            };
            var result = Assert.Single((await client.CallAsync<WriteTxnMarkersRequest, WriteTxnMarkersResponse>(request, version)).Markers);
            Assert.Equal(producer.Id, result.ProducerId);
            return (ErrorCode)Assert.Single(Assert.Single(result.Topics).Partitions).ErrorCode;
        }

        async Task<DescribeProducersResponse.ProducerState[]> DescribeProducersAsync(string topic, int partition)
        {
            var request =
                new DescribeProducersRequest
                {
                    Topics = [
                    new DescribeProducersRequest.TopicRequest { Name = topic, PartitionIndexes = [partition] }]
                };
            var response = await client.CallAsync<DescribeProducersRequest, DescribeProducersResponse>(request);
            return Assert.Single(Assert.Single(response.Topics).Partitions).ActiveProducers;
        }
    }

    [Fact]
    public async Task DescribeProducers_says_why_it_cannot()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var request = new DescribeProducersRequest { Topics = [Of("none"), Of("what?")] };
        var response = await client.CallAsync<DescribeProducersRequest, DescribeProducersResponse>(request);
        Assert.Equal(
            [ErrorCode.UnknownTopicOrPartition, ErrorCode.InvalidTopicException],
            response.Topics.Select(topic => (ErrorCode)topic.Partitions[0].ErrorCode));

        static DescribeProducersRequest.TopicRequest Of(string topic) => new() { Name = topic, PartitionIndexes = [0] };
    }

    [Fact]
    public async Task Without_a_coordinator_everything_says_so()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = new ProducerIdAndEpoch(1, 0);
        AssertError(ErrorCode.NotCoordinator, (await client.InitAsync()).ErrorCode);
        foreach (var version in TestConnection.VersionsOf<EndTxnResponse>())
            AssertError(
                ErrorCode.NotCoordinator, (
                    await client.CallAsync<EndTxnRequest, EndTxnResponse>(new EndTxnRequest { TransactionalId = "tx" }, version))
                        .ErrorCode);
        foreach (var version in TestConnection.VersionsOf<AddOffsetsToTxnResponse>())
            AssertError(
                ErrorCode.NotCoordinator, (
                    await client.CallAsync<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>(
                        new AddOffsetsToTxnRequest { TransactionalId = "tx" }, version)).ErrorCode);
        Assert.Equal(ErrorCode.NotCoordinator, await client.AddPartitionAsync(producer, "t"));
        AssertError(ErrorCode.NotEnoughReplicas, (await client.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        AssertError(ErrorCode.NotCoordinator, (await client.DescribeTransactionAsync()).ErrorCode);
        Assert.Empty((await client.AwaitTransactionsAsync()).TransactionStates);
    }

    private static async Task FinalizeAsync(TestConnection client, short transactionVersion)
    {
        const sbyte safeDowngrade = 2;
        var request = new UpdateFeaturesRequest
        {
            FeatureUpdates = [
                new UpdateFeaturesRequest.FeatureUpdateKey { Feature = "transaction.version", MaxVersionLevel = transactionVersion,
                    UpgradeType = safeDowngrade }],
        };
        var response = await client.CallAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(request);
        AssertError(ErrorCode.None, response.ErrorCode, response.ErrorMessage);
    }

    private static async Task<long> ListLatestAsync(TestConnection client, sbyte isolationLevel)
    {
        var request = new ListOffsetsRequest
        {
            ReplicaId = -1,
            IsolationLevel = isolationLevel,
            Topics = [new ListOffsetsRequest.ListOffsetsTopic { Name = "t",
                Partitions = [new ListOffsetsRequest.ListOffsetsPartition { Timestamp = -1, CurrentLeaderEpoch = -1 }] }],
        };
        return (await client.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(request, 9)).Topics[0].Partitions[0].Offset;
    }
}
