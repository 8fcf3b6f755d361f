using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Broker.TransactionCalls;

namespace Ottla.UnitTests.Broker;

/// <summary>Transactions after the node stopped, or died, and started again; and those that Kafka has left.</summary>
public sealed class TransactionRestartTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Open_transactions_go_on_and_prepared_ones_are_completed(bool isCrash)
    {
        await using var node = await TestNode.StartAsync(FewPartitions);
        await using var before = await node.ConnectAsync();
        await before.CreateTopicAsync("t");
        await before.CreateTopicAsync("stuck");
        var open = await before.BeginAsync("open");
        await before.ProduceInTransactionAsync(open, 0, id: "open");
        var prepared = await before.BeginAsync("prepared");
        await before.ProduceInTransactionAsync(prepared, 0, id: "prepared");
        await before.ProduceInTransactionAsync(prepared, 0, topic: "stuck", id: "prepared");
        node.SetWritable("stuck-0", false);
        var ended = await before.EndAsync(prepared, commit: true, "prepared");
        AssertError(ErrorCode.None, ended.ErrorCode);
        Assert.Equal("PrepareCommit", (await before.DescribeTransactionAsync("prepared")).TransactionState);

        for (var i = 0; i < 2; i++)
        {
            await (isCrash ? node.CrashAsync() : node.RestartAsync());
            await using var client = await node.ConnectAsync();
            await client.FindTransactionCoordinatorAsync();
            Assert.Equal("PrepareCommit", (await client.DescribeTransactionAsync("prepared")).TransactionState);
            Assert.Equal("Ongoing", (await client.DescribeTransactionAsync("open")).TransactionState);
        }

        await using var after = await node.ConnectAsync();
        node.SetWritable("stuck-0", true);
        await node.Clock.AdvanceUntilAsync(after.AwaitStateAsync("CompleteCommit", "prepared"), stepMs: 10);
        // The transaction that is open bounds what is stable; it goes on as if nothing had been.
        AssertError(ErrorCode.None, (await after.ProduceInTransactionAsync(open, 1, id: "open")).ErrorCode);
        Assert.Empty((await after.ConsumeAsync("t", committed: true)).Records);
        AssertError(ErrorCode.None, (await after.EndAsync(open, commit: true, "open")).ErrorCode);
        await after.AwaitStateAsync("CompleteCommit", "open");
        Assert.Equal(3, (await after.ConsumeAsync("t", committed: true)).Records.Count);
        Assert.Single((await after.ConsumeAsync("stuck", committed: true)).Records);

        var next = new ProducerIdAndEpoch(ended.ProducerId, ended.ProducerEpoch);
        AssertError(ErrorCode.None, (await after.ProduceInTransactionAsync(next, 0, id: "prepared")).ErrorCode);
    }

    [Fact]
    public async Task What_Kafka_left_reads_as_it_was_and_its_open_transaction_times_out()
    {
        const string topic = "txn";
        const long begunMs = 1_795_348_222_349; // as the golden transaction log says
        const int timeoutMs = 900_000;
        var disk = new InMemoryFileSystem();
        GroupRestartTests.CopyInto(disk, GoldenData.CleanDirectory, "/data");
        await using var node = await TestNode.StartOnAsync(disk, ("node.id", "1"), ("log.retention.ms", "-1"));
        await node.RestartAsync(_ => node.Clock.AdvanceMs(begunMs + timeoutMs - 1_000 - node.Clock.NowMs));
        await using var client = await node.ConnectAsync();
        Assert.Equal(
            [("tx-a", "CompleteAbort", 16L), ("tx-open", "Ongoing", 17)],
            (await client.AwaitTransactionsAsync()).TransactionStates.OrderBy(state => state.TransactionalId, StringComparer.Ordinal)
                .Select(state => (state.TransactionalId, state.TransactionState, state.ProducerId)));
        await AssertReadsAsGoldenAsync();
        Assert.Equal(136, (await client.ConsumeAsync(topic, committed: true)).Fetched.LastStableOffset);

        node.Clock.AdvanceMs(10_000);
        await client.AwaitStateAsync("CompleteAbort", "tx-open");
        await AssertReadsAsGoldenAsync();
        var (_, fetched) = await client.ConsumeAsync(topic, committed: true);
        Assert.Equal((142L, 142L), (fetched.LastStableOffset, fetched.HighWatermark));
        Assert.Contains(fetched.AbortedTransactions!, aborted => (aborted.ProducerId, aborted.FirstOffset) == (17, 136));
        var marker = new RecordBatchView((await client.FetchAsync(topic, 141)).Records.Memory.Span);
        Assert.Equal((true, true, 17L, (short)1), (marker.IsControl, marker.IsTransactional, marker.ProducerId, marker.ProducerEpoch));
        Assert.True(ControlBatches.TryReadType(KeyOf((await client.FetchAsync(topic, 141)).Records.Memory), out var type));
        Assert.Equal(ControlRecordType.Abort, type);

        // A producer of Kafka's goes on where it was.
        var next = await client.InitAsync("tx-a");
        Assert.Equal((16L, (short)1), (next.ProducerId, next.ProducerEpoch));

        async Task AssertReadsAsGoldenAsync()
        {
            foreach (var committed in new[] { false, true })
            {
                var expected = GoldenData.Records()
                    .Where(record => record.Topic == topic && record.Isolation == (committed ? "read_committed" : "read_uncommitted"));
                var (read, _) = await client.ConsumeAsync(topic, committed);
                Assert.Equal(expected.Select(record => (record.Offset, record.Value)), read);
            }
        }
    }

    private static byte[] KeyOf(Memory<byte> batch)
    {
        using var reader = new RecordReader(batch);
        Assert.True(reader.TryRead(out var record));
        return record.Key.ToArray();
    }
}
