using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Broker.TransactionCalls;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// What <c>kafka-transactions.sh</c> does, request by request: list, describe, describe-producers, find-hanging, abort and
/// forceTerminateTransaction.
/// </summary>
public sealed class TransactionToolTests
{
    /// <summary>Without verification a transaction can hang, as it could before KIP-890.</summary>
    private static readonly (
        string Name, string Value)[] WithoutVerification = [.. FewPartitions, ("transaction.partition.verification.enable", "false")];

    private static readonly TimeSpan MaxTransactionTimeout = TimeSpan.FromMinutes(15);

    [Fact]
    public async Task Hanging_transactions_are_found_and_aborted_and_others_are_left_alone()
    {
        await using var node = await TestNode.StartAsync([.. WithoutVerification, ("connections.max.idle.ms", "-1")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 3);

        // One that is complete, but for a batch that came after its end; one whose id nobody knows; one that is open and known.
        var late = await client.BeginAsync("late");
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(late, 0, id: "late")).ErrorCode);
        AssertError(ErrorCode.None, (await client.EndAsync(late, commit: true, "late", OldEndTxn)).ErrorCode);
        await client.AwaitStateAsync("CompleteCommit", "late");
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(late, 1, OldProduce, id: "late")).ErrorCode);
        var unknown = new ProducerIdAndEpoch(500, 3);
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(unknown, 0, OldProduce, partition: 1)).ErrorCode);
        var open = await client.BeginAsync("open", timeoutMs: 900_000);
        node.Clock.AdvanceMs((long)(MaxTransactionTimeout - TimeSpan.FromMinutes(1)).TotalMilliseconds);
        Assert.Empty(await FindHangingAsync(client, node.Clock.GetUtcNow()));
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(open, 0, id: "open", partition: 2)).ErrorCode);
        node.Clock.AdvanceMs((long)TimeSpan.FromMinutes(2).TotalMilliseconds);

        var hanging = await FindHangingAsync(client, node.Clock.GetUtcNow());
        Assert.Equal([(0, late.Id), (1, unknown.Id)], hanging.Select(found => (found.Partition, found.Producer.ProducerId)));
        Assert.All(hanging, found => Assert.Equal(ErrorCode.None, found.Error));
        Assert.Equal((2L, 0L), (hanging[0].Producer.CurrentTxnStartOffset, hanging[1].Producer.CurrentTxnStartOffset));
        Assert.Equal(-1, hanging[1].Producer.CoordinatorEpoch);
        Assert.True(hanging[0].Producer.CoordinatorEpoch >= 0);

        foreach (var found in hanging)
            Assert.Equal(ErrorCode.None, await AbortAsync(client, "t", found.Partition, found.Producer.CurrentTxnStartOffset));
        Assert.Empty(await FindHangingAsync(client, node.Clock.GetUtcNow()));
        Assert.Equal([0L], (await client.ConsumeAsync("t", committed: true)).Records.Select(record => record.Offset));
        Assert.Equal("Ongoing", (await client.DescribeTransactionAsync("open")).TransactionState);
        Assert.Equal(
            0L, Assert.Single(Assert.Single(await DescribeProducersAsync(client, ("t", [2]))).Partitions[0].ActiveProducers)
            .CurrentTxnStartOffset);
    }

    [Fact]
    public async Task A_transaction_is_listed_described_and_terminated()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 2);
        await client.BeginAsync("idle");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0, partition: 1)).ErrorCode);
        node.Clock.AdvanceMs(1_000);

        var listed = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(
            new ListTransactionsRequest { StateFilters = ["Ongoing"], DurationFilter = 999, TransactionalIdPattern = "t[wxyz]|other.*" });
        var found = Assert.Single(listed.TransactionStates);
        Assert.Equal(("tx", producer.Id, "Ongoing"), (found.TransactionalId, found.ProducerId, found.TransactionState));
        var described = await client.DescribeTransactionAsync();
        Assert.Equal(
            (producer.Id, producer.Epoch, "Ongoing", 60_000, StartMs), (
                described.ProducerId, described.ProducerEpoch, described.TransactionState, described.TransactionTimeoutMs,
                described.TransactionStartTimeMs));
        Assert.Equal(("t", 1), (Assert.Single(described.Topics).Topic, Assert.Single(described.Topics[0].Partitions)));
        Assert.Equal(-1, (await client.DescribeTransactionAsync("idle")).TransactionStartTimeMs);

        await ForceTerminateAsync(client, "tx");
        Assert.Empty((await client.ConsumeAsync("t", committed: true)).Records);
        AssertError(ErrorCode.InvalidProducerEpoch, (await client.ProduceInTransactionAsync(producer, 1, partition: 1)).ErrorCode);
        AssertError(ErrorCode.ProducerFenced, (await client.EndAsync(producer, commit: true)).ErrorCode);
        Assert.Equal("Empty", (await client.DescribeTransactionAsync()).TransactionState);
    }

    [Fact]
    public async Task Operators_markers_are_refused_where_they_would_undo_a_decision()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        var ended = await client.EndAsync(producer, commit: true);
        await client.AwaitStateAsync("CompleteCommit");
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer with { Epoch = ended.ProducerEpoch }, 0)).ErrorCode);
        Assert.Equal(ErrorCode.InvalidProducerEpoch, await MarkAsync(client, "t", 0, producer, coordinatorEpoch: 0));
        var state = Assert.Single(Assert.Single(await DescribeProducersAsync(client, ("t", [0]))).Partitions[0].ActiveProducers);
        Assert.Equal(
            ErrorCode.TransactionCoordinatorFenced,
            await MarkAsync(client, "t", 0, producer with { Epoch = ended.ProducerEpoch }, state.CoordinatorEpoch - 1));
        // Transaction version 2 has another epoch in every marker.
        Assert.Equal(
            ErrorCode.InvalidProducerEpoch, await MarkAsync(
                client, "t", 0, producer with { Epoch = ended.ProducerEpoch }, state.CoordinatorEpoch, transactionVersion: 2));
        Assert.Equal("Ongoing", (await client.DescribeTransactionAsync()).TransactionState);
        Assert.Equal([0L], (await client.ConsumeAsync("t", committed: true)).Records.Select(record => record.Offset));
    }

    [Fact]
    public async Task A_marker_without_partitions_has_no_result()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        var request =
            new WriteTxnMarkersRequest { Markers = [new WriteTxnMarkersRequest.WritableTxnMarker { ProducerId = 1, Topics = [] }] };
        Assert.Empty((await client.CallAsync<WriteTxnMarkersRequest, WriteTxnMarkersResponse>(request)).Markers);
    }

    [Fact]
    public async Task A_marker_in_the_transaction_log_does_not_cost_the_answer_for_a_stored_record()
    {
        await using var node = await TestNode.StartAsync([.. FewPartitions, ("transaction.state.log.num.partitions", "1")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        Assert.Equal(ErrorCode.None, await MarkAsync(client, "__transaction_state", 0, producer, coordinatorEpoch: 0));
        AssertError(ErrorCode.None, (await client.EndAsync(producer, commit: true)).ErrorCode);
        await client.AwaitStateAsync("CompleteCommit"); // by the coordinator that has read the log again
        Assert.Single((await client.ConsumeAsync("t", committed: true)).Records);
    }

    /// <summary>
    /// Who may write markers may name any partition. One in the transaction log ends nothing, and does not keep the log from being loaded.
    /// </summary>
    [Fact]
    public async Task A_marker_in_the_transaction_log_does_no_harm()
    {
        await using var node = await TestNode.StartAsync([.. FewPartitions, ("transaction.state.log.num.partitions", "1")]);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var producer = await client.BeginAsync();
        AssertError(ErrorCode.None, (await client.ProduceInTransactionAsync(producer, 0)).ErrorCode);
        Assert.Equal(ErrorCode.None, await MarkAsync(client, "__transaction_state", 0, producer, coordinatorEpoch: 0));
        await node.RestartAsync();
        await using var after = await node.ConnectAsync();
        await after.FindTransactionCoordinatorAsync();
        AssertError(ErrorCode.None, (await after.EndAsync(producer, commit: true)).ErrorCode);
        await after.AwaitStateAsync("CompleteCommit");
        Assert.Single((await after.ConsumeAsync("t", committed: true)).Records);
    }

    [Fact]
    public async Task DescribeProducers_tells_an_unknown_topic_from_an_unknown_partition()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        var topics = await DescribeProducersAsync(client, ("t", [0, 1]), ("none", [0]), ("what?", [0]));
        Assert.Equal(
            [
                (ErrorCode.None, null),
                (ErrorCode.UnknownTopicOrPartition, null),
                (ErrorCode.UnknownTopicOrPartition, "This server does not host this topic-partition."),
                (ErrorCode.InvalidTopicException,
                    "Topic name is invalid: 'what?' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
            ],
            topics.SelectMany(topic => topic.Partitions.Select(partition => ((ErrorCode)partition.ErrorCode, partition.ErrorMessage))));
    }

    [Fact]
    public async Task ListTransactions_reads_patterns_as_RE2_does()
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var client = await node.ConnectAsync();
        foreach (var id in new[] { "orders-1", "orders.x", "größe-7" })
            await client.BeginAsync(id);
        Assert.Equal("orders-1", await ListAsync(@"(?P<name>orders)-[[:digit:]]"));
        Assert.Equal("orders.x", await ListAsync(@"\Qorders.\E."));
        Assert.Equal("größe-7, orders-1, orders.x", await ListAsync("(?s).*"));
        Assert.Equal("größe-7", await ListAsync("größe-[0-9]"));
        Assert.Equal("", await ListAsync("orders"));
        foreach (var invalid in new[] { "(?=orders).*", @"(o)\1", "a++", "[", "a{2000}" })
        {
            var refused = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(
                new ListTransactionsRequest { TransactionalIdPattern = invalid, StateFilters = ["Bored"] });
            Assert.Equal((ErrorCode.InvalidRegularExpression, 0), ((ErrorCode)refused.ErrorCode, refused.UnknownStateFilters.Length));
        }

        var filters =
            new ListTransactionsRequest { StateFilters = ["Bored", "Empty", "Bored", "empty"], TransactionalIdPattern = "orders-1" };
        var response = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(filters);
        Assert.Equal(["Bored", "empty"], response.UnknownStateFilters);
        Assert.Single(response.TransactionStates);

        async Task<string> ListAsync(string pattern)
        {
            var response = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(
                new ListTransactionsRequest { TransactionalIdPattern = pattern });
            AssertError(ErrorCode.None, response.ErrorCode);
            return string.Join(", ", response.TransactionStates.Select(state => state.TransactionalId).Order(StringComparer.Ordinal));
        }
    }

    private static async Task<List<(int Partition, DescribeProducersResponse.ProducerState Producer, ErrorCode Error)>> FindHangingAsync(
        TestConnection client, DateTimeOffset now)
    {
        var topics = (await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = null })).Topics;
        Assert.Contains(topics, topic => topic.IsInternal);
        var partitions = topics.Select(topic => (topic.Name!, topic.Partitions.Select(partition => partition.PartitionIndex).ToArray()))
            .ToArray();
        var candidates = (await DescribeProducersAsync(client, partitions))
            .SelectMany(
                topic => topic.Partitions.SelectMany(
                    partition => partition.ActiveProducers.Select(
                        producer =>
                        (Topic: topic.Name, partition.PartitionIndex, Producer: producer, Error: (ErrorCode)partition.ErrorCode))))
            .Where(found => found.Producer.CurrentTxnStartOffset >= 0
                && now.ToUnixTimeMilliseconds() - found.Producer.LastTimestamp > MaxTransactionTimeout.TotalMilliseconds)
            .ToList();
        var ids = new ListTransactionsRequest { ProducerIdFilters = [.. candidates.Select(found => found.Producer.ProducerId).Distinct()] };
        var listed = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(ids);
        AssertError(ErrorCode.None, listed.ErrorCode);
        var idOf = listed.TransactionStates.ToDictionary(state => state.ProducerId, state => state.TransactionalId);
        var expected = new HashSet<(long, string, int)>();
        foreach (var (producerId, id) in idOf)
        {
            await client.FindTransactionCoordinatorAsync(id);
            var described = await client.DescribeTransactionAsync(id);
            AssertError(ErrorCode.None, described.ErrorCode);
            expected.UnionWith(
                described.Topics.SelectMany(topic => topic.Partitions.Select(partition => (producerId, topic.Topic, partition))));
        }

        return [.. candidates.Where(found => !expected.Contains((found.Producer.ProducerId, found.Topic, found.PartitionIndex)))
            .OrderBy(found => found.PartitionIndex).Select(found => (found.PartitionIndex, found.Producer, found.Error))];
    }

    private static async Task<ErrorCode> AbortAsync(TestConnection client, string topic, int partition, long startOffset)
    {
        var described = Assert.Single(Assert.Single(await DescribeProducersAsync(client, (topic, [partition]))).Partitions);
        var state = Assert.Single(described.ActiveProducers, producer => producer.CurrentTxnStartOffset == startOffset);
        return await MarkAsync(
            client, topic, partition, new ProducerIdAndEpoch(state.ProducerId, (short)state.ProducerEpoch),
            Math.Max(state.CoordinatorEpoch, 0));
    }

    private static async Task<ErrorCode> MarkAsync(
        TestConnection client, string topic, int partition, ProducerIdAndEpoch producer, int coordinatorEpoch, sbyte transactionVersion = 0)
    {
        var request = new WriteTxnMarkersRequest
        {
            Markers =
            [
                new WriteTxnMarkersRequest.WritableTxnMarker
                {
                    ProducerId = producer.Id,
                    ProducerEpoch = producer.Epoch,
                    CoordinatorEpoch = coordinatorEpoch,
                    TransactionVersion = transactionVersion,
                    Topics = [new WriteTxnMarkersRequest.WritableTxnMarkerTopic { Name = topic, PartitionIndexes = [partition] }],
                },
            ],
        };
        var result = Assert.Single((await client.CallAsync<WriteTxnMarkersRequest, WriteTxnMarkersResponse>(request)).Markers);
        Assert.Equal((producer.Id, topic), (result.ProducerId, Assert.Single(result.Topics).Name));
        return (ErrorCode)Assert.Single(result.Topics[0].Partitions).ErrorCode;
    }

    private static async Task ForceTerminateAsync(TestConnection client, string id)
    {
        await client.FindTransactionCoordinatorAsync(id);
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        ErrorCode error;
        do
        {
            Assert.True(Environment.TickCount64 < deadline, "the transaction is never terminated");
            error = (ErrorCode)(await client.InitAsync(id, timeoutMs: 30_000)).ErrorCode;
        }
        while (error == ErrorCode.ConcurrentTransactions);
        Assert.Equal(ErrorCode.None, error);
    }

    private static async Task<DescribeProducersResponse.TopicResponse[]> DescribeProducersAsync(
        TestConnection client, params (string Name, int[] Partitions)[] topics)
    {
        var request = new DescribeProducersRequest
        {
            Topics = [.. topics.Select(
                topic => new DescribeProducersRequest.TopicRequest { Name = topic.Name, PartitionIndexes = topic.Partitions })],
        };
        return (await client.CallAsync<DescribeProducersRequest, DescribeProducersResponse>(request)).Topics;
    }
}
