using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Transactions;
using static Ottla.UnitTests.Transactions.TransactionTestBed;

namespace Ottla.UnitTests.Transactions;

/// <summary>What time does to transactional ids, what the log remembers, and what administrators see.</summary>
public sealed class TransactionUpkeepTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void TransactionThatTakesTooLongIsAbortedAndItsProducerFenced(short version)
    {
        var bed = new TransactionTestBed(version);
        var producer = bed.Init(timeoutMs: 15_000);
        bed.Add(producer, version, A0);
        bed.Advance(10_000); // the first sweep
        Assert.Equal(TransactionState.Ongoing, bed.Get().State);
        bed.Advance(10_000);
        Assert.Equal((TransactionState.PrepareAbort, (short)1), (bed.Get().State, bed.Get().ProducerEpoch));
        Assert.False(bed.WriteMarkers().IsCommit);
        Assert.Equal(TransactionState.CompleteAbort, bed.Get().State);
        // By version 2 the same request would be a retry of an abort; a commit is none of it.
        Assert.Equal(version == 2 ? ErrorCode.InvalidTxnState : ErrorCode.ProducerFenced, bed.EndError(producer, commit: true, version));
        Assert.Equal(ErrorCode.ProducerFenced, bed.Add(producer, version, A0));
        Assert.Equal(new ProducerIdAndEpoch(1000, 2), bed.Init());
    }

    [Fact]
    public void ManyTimeoutsTakeSeveralSteps()
    {
        var bed = new TransactionTestBed();
        for (var i = 0; i < 250; i++)
            bed.Reply(new AddPartitionsCommand($"id-{i}", bed.Init($"id-{i}", timeoutMs: 1_000), [A0], 2));
        bed.Advance(10_000);
        Assert.Equal(100, bed.Markers.Count);
        bed.Advance(1_000);
        Assert.Equal(250, bed.Markers.Count);
    }

    [Fact]
    public void TimeoutWithUsedUpEpochsWaitsForAProducerId()
    {
        var bed = InitProducerIdTests.WithEpoch(TransactionMetadata.LastUsableEpoch);
        bed.Add(bed.Get().Producer, 2, A0);
        bed.HasProducerIds = false;
        bed.Advance(80_000);
        Assert.Equal(TransactionState.Ongoing, bed.Get().State);
        Assert.True(bed.OpenAllocations > 0);
        bed.Allocate(succeeds: false);
        bed.Allocate();
        Assert.Equal((TransactionState.PrepareAbort, short.MaxValue), (bed.Get().State, bed.Get().ProducerEpoch));
        bed.WriteAllMarkers();
        Assert.Equal((short)0, bed.Get().ProducerEpoch);
    }

    [Fact]
    public void IdsThatNobodyUsesAreForgotten()
    {
        var bed = new TransactionTestBed(2, ("transactional.id.expiration.ms", "10000000"), ("transaction.max.timeout.ms", "2000000000"));
        bed.Init("old");
        var open = bed.Init("open", timeoutMs: 2_000_000_000);
        bed.Reply(new AddPartitionsCommand("open", open, [A0], 2));
        bed.Advance(7_200_000);
        bed.Init("young");
        bed.Advance(3_600_000);
        Assert.Equal(["open", "young"], bed.Machine.Transactions.Select(transaction => transaction.TransactionalId).Order());
        Assert.Null(bed.Log[^1].Value);
        bed.Crash();
        Assert.DoesNotContain(bed.Machine.Transactions, transaction => transaction.TransactionalId == "old");
        Assert.Equal(
            ErrorCode.InvalidProducerIdMapping, bed.Error(new AddPartitionsCommand("old", new ProducerIdAndEpoch(1000, 0), [A0], 2)));
        Assert.Equal((short)0, bed.Init("old").Epoch);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void PreparedTransactionIsCompletedAfterACrash(bool commit)
    {
        var bed = new TransactionTestBed();
        var producer = bed.Init();
        bed.Add(producer, 2, A0, B0);
        bed.End(producer, commit, 2);
        bed.Crash();
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.InitError());
        var markers = bed.WriteMarkers();
        Assert.Equal((commit, 1, new ProducerIdAndEpoch(1000, 1)), (markers.IsCommit, markers.CoordinatorEpoch, markers.Producer));
        Assert.True(markers.Partitions.ToHashSet().SetEquals([A0, B0]));
        Assert.Equal(commit ? TransactionState.CompleteCommit : TransactionState.CompleteAbort, bed.Get().State);
    }

    [Fact]
    public void PreparedTransactionWithoutPartitionsIsCompletedAfterACrash()
    {
        var bed = new TransactionTestBed();
        bed.Init();
        // Kafka writes the two records one after the other.
        bed.Log.Add(bed.Get().Prepare(isCommit: false, 1, -1, 2, bed.Now).ToRecord(2));
        bed.Crash();
        bed.Advance(TransactionMachine.RetryBackoffMs);
        Assert.Equal(TransactionState.CompleteAbort, bed.Get().State);
    }

    [Fact]
    public void FinalizedVersionSaysHowRecordsAreWritten()
    {
        var bed = new TransactionTestBed(0);
        var producer = bed.Init();
        bed.Add(producer, 0, A0);
        Assert.All(bed.Log, record => Assert.Equal(0, record.ValueVersion));
        bed.SetTransactionVersion(1);
        bed.End(producer, commit: true, 0);
        bed.WriteAllMarkers();
        Assert.Equal(1, bed.Log[^1].ValueVersion);
        Assert.Equal(1000, ((TransactionLogValue)bed.Log[^1].Value!).PreviousProducerId);
        bed.SetTransactionVersion(2);
        bed.Add(producer, 2, A0);
        Assert.Equal(2, ((TransactionLogValue)bed.Log[^1].Value!).ClientTransactionVersion);
        Assert.Equal(new ProducerIdAndEpoch(1000, 1), bed.End(producer, commit: true, 2));
        // A downgrade loses nothing that is needed.
        bed.SetTransactionVersion(0);
        bed.Crash();
        Assert.Equal(2, bed.WriteMarkers().TransactionVersion);
    }

    [Fact]
    public void RecordOfAnUnknownStateIsNoRecord()
    {
        var record = TransactionMetadata.Create("t", 1, 1, default).ToRecord(1);
        ((TransactionLogValue)record.Value!).TransactionStatus = 9;
        Assert.Throws<InvalidDataException>(() => new TransactionMachine(0).Apply(0, record, ProducerIdAndEpoch.None));
        Assert.Null(new TransactionMachine(0).NextDeadline);
    }

    [Fact]
    public void DescriptionSaysWhatIsKnown()
    {
        var bed = new TransactionTestBed();
        Assert.Equal((short)ErrorCode.TransactionalIdNotFound, Describe(bed, "t").ErrorCode);
        Assert.Equal((short)ErrorCode.InvalidRequest, Describe(bed, "").ErrorCode);
        var producer = bed.Init();
        bed.Add(producer, 2, B0, A1, A0);
        var open = Describe(bed, "t");
        Assert.Equal(
            ("Ongoing", 60_000, 1_000_000L, 1000L, (short)0),
            (open.TransactionState, open.TransactionTimeoutMs, open.TransactionStartTimeMs, open.ProducerId, open.ProducerEpoch));
        Assert.Equal(["a:0,1", "b:0"], open.Topics.Select(topic => $"{topic.Topic}:{string.Join(',', topic.Partitions)}").Order());
        bed.End(producer, commit: true, 2);
        Assert.Equal("PrepareCommit", Describe(bed, "t").TransactionState);
        var markers = bed.Markers.Dequeue();
        bed.Ask(new MarkersWrittenCommand(markers, new Dictionary<Ottla.Kernel.TopicPartition, ErrorCode>
        {
            [A0] = ErrorCode.None,
            [A1] = ErrorCode.None,
            [B0] = ErrorCode.NotLeaderOrFollower,
        }));
        Assert.Equal(["b"], Describe(bed, "t").Topics.Select(topic => topic.Topic));
    }

    [Fact]
    public void ListFiltersByEverythingAtOnce()
    {
        var bed = new TransactionTestBed();
        var first = bed.Init("orders-1");
        bed.Init("orders-2");
        bed.Reply(new AddPartitionsCommand("orders-1", first, [A0], 2));
        bed.Now = bed.Now.AddMilliseconds(500);
        bed.Reply(new AddPartitionsCommand("payments", bed.Init("payments"), [A0], 2));
        Assert.Equal(["orders-1", "orders-2", "payments"], List(bed));
        Assert.Equal(["orders-1", "payments"], List(bed, states: [TransactionState.Ongoing]));
        Assert.Empty(List(bed, states: []));
        Assert.Equal(["orders-2", "payments"], List(bed, producerIds: [1001, 1002, 5]));
        // An id without a transaction began "at -1": Kafka lists it whatever the duration.
        Assert.Equal(["orders-1", "orders-2"], List(bed, durationMs: 499));
        Assert.Equal(["orders-2"], List(bed, durationMs: 500));
        Assert.Equal(["orders-1", "orders-2"], List(bed, pattern: "orders-.*"));
        Assert.Empty(List(bed, pattern: "orders"));
        Assert.Equal(["orders-1"], List(bed, [TransactionState.Ongoing], [1000, 1001], 1, "orders-.*"));
    }

    private static DescribeTransactionsResponse.TransactionStateData Describe(TransactionTestBed bed, string id) =>
        bed.Reply(new DescribeTransactionCommand(id));

    private static IEnumerable<string> List(
        TransactionTestBed bed, TransactionState[]? states = null, long[]? producerIds = null, long durationMs = -1, string? pattern = null)
    {
        var command = new ListTransactionsCommand(
            states?.ToHashSet(), (producerIds ?? []).ToHashSet(), durationMs, pattern is null ? null
            : TransactionalIdPattern.Parse(pattern));
        return bed.Reply(command).Select(transaction => transaction.TransactionalId).Order(StringComparer.Ordinal);
    }
}
