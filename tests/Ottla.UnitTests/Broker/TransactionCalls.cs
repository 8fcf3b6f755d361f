using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What transactional producers ask of a node, as clients do.</summary>
internal static class TransactionCalls
{
    /// <summary>A node with few partitions of internal topics.</summary>
    public static readonly (string Name, string Value)[] FewPartitions =
        [("transaction.state.log.num.partitions", "3"), ("offsets.topic.num.partitions", "3"), ("group.initial.rebalance.delay.ms", "0")];

    /// <summary>The last version of Produce whose clients add partitions themselves.</summary>
    public const short OldProduce = 11;

    /// <summary>The last version of EndTxn without a bump of the epoch.</summary>
    public const short OldEndTxn = 4;

    /// <summary>Looks for the coordinator of a transactional id, and waits until all are loaded.</summary>
    public static async Task FindTransactionCoordinatorAsync(this TestConnection client, string id = "tx")
    {
        var request = new FindCoordinatorRequest { CoordinatorKeys = [id], KeyType = 1 };
        AssertError(
            ErrorCode.None,
            Assert.Single((await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(request)).Coordinators).ErrorCode);
        await client.AwaitTransactionsAsync();
    }

    /// <summary>Waits until all transactions are loaded.</summary>
    public static async Task<ListTransactionsResponse> AwaitTransactionsAsync(this TestConnection client)
    {
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        while (true)
        {
            var response = await client.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(new ListTransactionsRequest());
            if (response.ErrorCode == 0)
                return response;
            AssertError(ErrorCode.CoordinatorLoadInProgress, response.ErrorCode);
            Assert.True(Environment.TickCount64 < deadline, "transactions are never loaded");
        }
    }

    public static Task<InitProducerIdResponse> InitAsync(
        this TestConnection client, string id = "tx", ProducerIdAndEpoch? expected = null, short version = 5, int timeoutMs = 60_000) =>
        client.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(
            new InitProducerIdRequest
            {
                TransactionalId = id,
                TransactionTimeoutMs = timeoutMs,
                ProducerId = expected?.Id ?? -1,
                ProducerEpoch = expected?.Epoch ?? -1
            }, version);

    /// <summary>Begins as a producer of a transactional id.</summary>
    public static async Task<ProducerIdAndEpoch> BeginAsync(this TestConnection client, string id = "tx", int timeoutMs = 60_000)
    {
        await client.FindTransactionCoordinatorAsync(id);
        var response = await client.InitAsync(id, timeoutMs: timeoutMs);
        AssertError(ErrorCode.None, response.ErrorCode);
        return new ProducerIdAndEpoch(response.ProducerId, response.ProducerEpoch);
    }

    /// <summary>Adds a partition to the transaction, as producers up to transaction version 1 do.</summary>
    public static async Task<ErrorCode> AddPartitionAsync(
        this TestConnection client, ProducerIdAndEpoch producer, string topic, int partition = 0, string id = "tx", short version = 3)
    {
        var request = new AddPartitionsToTxnRequest
        {
            V3AndBelowTransactionalId = id,
            V3AndBelowProducerId = producer.Id,
            V3AndBelowProducerEpoch = producer.Epoch,
            V3AndBelowTopics = [new AddPartitionsToTxnRequest.AddPartitionsToTxnTopic { Name = topic, Partitions = [partition] }],
        };
        var response = await client.CallAsync<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(request, version);
        return (ErrorCode)Assert.Single(Assert.Single(response.ResultsByTopicV3AndBelow).ResultsByPartition).PartitionErrorCode;
    }

    public static async Task<ErrorCode> AddOffsetsAsync(
        this TestConnection client, ProducerIdAndEpoch producer, string group, string id = "tx", short version = 4) =>
        (ErrorCode)(await client.CallAsync<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>(
            new AddOffsetsToTxnRequest { TransactionalId = id, ProducerId = producer.Id, ProducerEpoch = producer.Epoch, GroupId = group },
            version)).ErrorCode;

    public static async Task<ErrorCode> CommitOffsetAsync(
        this TestConnection client, ProducerIdAndEpoch producer, string group, string topic, long offset, string id = "tx",
        short version = 5)
    {
        var request = new TxnOffsetCommitRequest
        {
            TransactionalId = id,
            GroupId = group,
            ProducerId = producer.Id,
            ProducerEpoch = producer.Epoch,
            GenerationIdOrMemberEpoch = -1,
            Topics =
            [
                new TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
                {
                    Name = topic,
                    Partitions = [
                        new TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition { PartitionIndex = 0, CommittedOffset = offset }],
                },
            ],
        };
        var response = await client.CallAsync<TxnOffsetCommitRequest, TxnOffsetCommitResponse>(request, version);
        return (ErrorCode)Assert.Single(Assert.Single(response.Topics).Partitions).ErrorCode;
    }

    public static Task<EndTxnResponse> EndAsync(
        this TestConnection client, ProducerIdAndEpoch producer, bool commit, string id = "tx", short version = 5) =>
        client.CallAsync<EndTxnRequest, EndTxnResponse>(
            new EndTxnRequest { TransactionalId = id, ProducerId = producer.Id, ProducerEpoch = producer.Epoch, Committed = commit },
            version);

    public static ProduceRequest ProduceInTransaction(
        ProducerIdAndEpoch producer, int sequence, short version, string topic = "t", int count = 1, string id = "tx", int partition = 0,
        Uuid topicId = default, short acks = -1)
    {
        var options =
            new RecordBatchOptions
            {
                ProducerId = producer.Id,
                ProducerEpoch = producer.Epoch,
                BaseSequence = sequence,
                IsTransactional = true
            };
        var request = Produce(topic, topicId, Batch(count, options), version, acks, partition);
        request.TransactionalId = id;
        return request;
    }

    /// <summary>Produces a transactional batch to a partition.</summary>
    public static async Task<ProduceResponse.PartitionProduceResponse> ProduceInTransactionAsync(
        this TestConnection client, ProducerIdAndEpoch producer, int sequence, short version = 12, string topic = "t", int count = 1,
        string id = "tx", int partition = 0)
    {
        var request = ProduceInTransaction(producer, sequence, version, topic, count, id, partition);
        var response = await client.CallAsync<ProduceRequest, ProduceResponse>(request, version);
        return Assert.Single(Assert.Single(response.Responses).PartitionResponses);
    }

    public static async Task<DescribeTransactionsResponse.TransactionStateData> DescribeTransactionAsync(
        this TestConnection client, string id = "tx") =>
        Assert.Single(
            (await client.CallAsync<DescribeTransactionsRequest, DescribeTransactionsResponse>(
                new DescribeTransactionsRequest { TransactionalIds = [id] })).TransactionStates);

    /// <summary>Waits for a state of a transactional id.</summary>
    public static async Task AwaitStateAsync(this TestConnection client, string state, string id = "tx")
    {
        var deadline = Environment.TickCount64 + (long)TestNode.Patience.TotalMilliseconds;
        while (await client.DescribeTransactionAsync(id) is var described && described.TransactionState != state)
            Assert.True(
                Environment.TickCount64 < deadline,
                $"{id} stays {described.TransactionState} {(ErrorCode)described.ErrorCode} and does not become {state}");
    }

    /// <summary>
    /// What a consumer of an isolation level reads of partition 0, filtered as clients do; and the last fetch that brought something.
    /// </summary>
    public static async Task<(List<(long Offset, string? Value)> Records, FetchResponse.PartitionData Fetched)> ConsumeAsync(
        this TestConnection client, string topic, bool committed)
    {
        var records = new List<(long, string?)>();
        FetchResponse.PartitionData? last = null;
        for (var offset = 0L; ;)
        {
            var fetched = await client.FetchAsync(
                topic, offset, changeRequest: request => request.IsolationLevel = (sbyte)(committed ? 1 : 0));
            AssertError(ErrorCode.None, fetched.ErrorCode);
            if (fetched.Records.Length == 0)
                return (records, last ?? fetched);
            records.AddRange(ReadVisible(fetched, offset, out offset));
            last = fetched;
        }
    }

    /// <summary>The offsets that a committed reader sees from an offset on, as <see cref="ConsumeAsync"/>.</summary>
    /// <param name="client">Over which connection.</param>
    /// <param name="topic">The topic, of which partition 0 is read.</param>
    /// <param name="from">Where to begin.</param>
    /// <param name="maxBytes">How much to ask for at a time; the first batch comes whole.</param>
    public static async Task<List<long>> ConsumeFromAsync(this TestConnection client, string topic, long from, int maxBytes)
    {
        var offsets = new List<long>();
        for (var offset = from; ;)
        {
            var fetched = await client.FetchAsync(
                topic, offset, partition => partition.PartitionMaxBytes = maxBytes, request => request.IsolationLevel = 1);
            AssertError(ErrorCode.None, fetched.ErrorCode);
            if (fetched.Records.Length == 0)
                return offsets;
            var start = offset;
            offsets.AddRange(ReadVisible(fetched, offset, out offset).Select(record => record.Offset).Where(read => read >= start));
        }
    }

    private static List<(long Offset, string? Value)> ReadVisible(FetchResponse.PartitionData fetched, long from, out long next)
    {
        var records = new List<(long Offset, string? Value)>();
        var aborted = (fetched.AbortedTransactions ?? []).OrderBy(transaction => transaction.FirstOffset).ToList();
        var abortedProducers = new HashSet<long>();
        next = from;
        for (var rest = fetched.Records.Memory; rest.Length > 0;)
        {
            var batch = new RecordBatchView(rest.Span);
            for (; aborted.Count > 0 && aborted[0].FirstOffset <= batch.LastOffset; aborted.RemoveAt(0))
                abortedProducers.Add(aborted[0].ProducerId);
            if (batch.IsControl)
                abortedProducers.Remove(batch.ProducerId);
            else if (!(batch.IsTransactional && abortedProducers.Contains(batch.ProducerId)))
                records.AddRange(Read(rest[..batch.SizeInBytes]));
            next = batch.NextOffset;
            rest = rest[batch.SizeInBytes..];
        }

        return records;
    }

    private static List<(long Offset, string? Value)> Read(Memory<byte> batch)
    {
        var records = new List<(long, string?)>();
        using var reader = new RecordReader(batch);
        while (reader.TryRead(out var record))
            records.Add((record.Offset, record.HasValue ? System.Text.Encoding.Latin1.GetString(record.Value) : null));
        return records;
    }
}
