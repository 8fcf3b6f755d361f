using Ottla.Protocol;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Transactions;
using static Ottla.UnitTests.Transactions.TransactionTestBed;

namespace Ottla.UnitTests.Transactions;

/// <summary>Partitions join, the transaction ends, markers are written: with every error on the way.</summary>
public sealed class EndTransactionTests
{
    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(2, false)]
    public void TransactionGoesThroughItsStates(short version, bool commit)
    {
        var bed = new TransactionTestBed(version);
        var producer = bed.Init();
        Assert.Equal(ErrorCode.None, bed.Add(producer, version, A0, B0));
        bed.Now = bed.Now.AddMilliseconds(10);
        Assert.Equal(ErrorCode.None, bed.Add(producer, version, A1));
        var records = bed.Log.Count;
        Assert.Equal(ErrorCode.None, bed.Add(producer, version, A1, B0));
        Assert.Equal(records, bed.Log.Count);
        Assert.Equal((TransactionState.Ongoing, 1_000_000L), (bed.Get().State, bed.Get().StartMs));

        var next = bed.End(producer, commit, version);
        Assert.Equal(version == 2 ? new ProducerIdAndEpoch(1000, 1) : ProducerIdAndEpoch.None, next);
        Assert.Equal(commit ? TransactionState.PrepareCommit : TransactionState.PrepareAbort, bed.Get().State);
        var markers = bed.WriteMarkers();
        Assert.Equal((commit, version == 2 ? (short)1 : (short)0), (markers.IsCommit, markers.Producer.Epoch));
        Assert.True(markers.Partitions.ToHashSet().SetEquals([A0, A1, B0]));
        Assert.Equal(commit ? TransactionState.CompleteCommit : TransactionState.CompleteAbort, bed.Get().State);
        Assert.Empty(bed.Get().Partitions);

        var second = version == 2 ? next : producer;
        Assert.Equal(ErrorCode.None, bed.Add(second, version, B0));
        Assert.Equal([B0], bed.Get().Partitions);
        Assert.Equal(bed.Now.UnixMilliseconds, bed.Get().StartMs);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void StrangersAreRefused(short version)
    {
        var bed = new TransactionTestBed(version);
        var producer = bed.Init();
        foreach (var (claimed, error) in new[]
        {
            (producer with { Id = 1 }, ErrorCode.InvalidProducerIdMapping),
            (producer with { Epoch = 7 }, ErrorCode.ProducerFenced),
        })
        {
            Assert.Equal(error, bed.Add(claimed, version, A0));
            Assert.Equal(error, bed.EndError(claimed, commit: true, version));
            Assert.Equal(error, bed.Error(new VerifyPartitionsCommand("t", claimed, [A0])));
        }

        foreach (var (id, error) in new[] { ("", ErrorCode.InvalidRequest), ("nobody", ErrorCode.InvalidProducerIdMapping) })
        {
            Assert.Equal(error, bed.Error(new AddPartitionsCommand(id, producer, [A0], version)));
            Assert.Equal(error, bed.Error(new EndTransactionCommand(id, producer, true, version)));
            Assert.Equal(error, bed.Error(new VerifyPartitionsCommand(id, producer, [A0])));
        }
    }

    [Fact]
    public void VerificationSaysOfEachPartitionWhetherItIsIn()
    {
        var bed = new TransactionTestBed();
        var producer = bed.Init();
        bed.Add(producer, 0, A0);
        var errors = bed.Reply(new VerifyPartitionsCommand("t", producer, [A0, A1]));
        Assert.Equal((ErrorCode.None, ErrorCode.TransactionAbortable), (errors[A0], errors[A1]));
        bed.End(producer, commit: true, 0);
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.Error(new VerifyPartitionsCommand("t", producer, [A0])));
        bed.WriteAllMarkers();
        Assert.Equal(ErrorCode.TransactionAbortable, bed.Reply(new VerifyPartitionsCommand("t", producer, [A0]))[A0]);
    }

    /// <summary>An empty success for any of these would lose a batch of the next transaction.</summary>
    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(2, true)]
    [InlineData(2, false)]
    public void NothingHappensToAnIdWhileMarkersAreWritten(short version, bool commit)
    {
        var bed = new TransactionTestBed(version);
        var producer = bed.Init();
        bed.Add(producer, version, A0);
        var next = bed.End(producer, commit, version);
        var current = version == 2 ? next : producer;
        var records = bed.Log.Count;
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.Add(current, version, B0));
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.EndError(current, commit: true, version));
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.EndError(current, commit: false, version));
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.InitError());
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.InitError(expected: current));
        Assert.Equal(records, bed.Log.Count);
    }

    /// <summary>
    /// Kafka's table of EndTxn where no transaction is open: by version, state, outcome, and whether the epoch is the one before (a retry).
    /// </summary>
    [Theory]
    [InlineData(0, "Empty", true, false, ErrorCode.InvalidTxnState)]
    [InlineData(0, "Empty", false, false, ErrorCode.InvalidTxnState)]
    [InlineData(0, "CompleteCommit", true, false, ErrorCode.None)]
    [InlineData(0, "CompleteCommit", false, false, ErrorCode.InvalidTxnState)]
    [InlineData(0, "CompleteAbort", false, false, ErrorCode.None)]
    [InlineData(0, "CompleteAbort", true, false, ErrorCode.InvalidTxnState)]
    [InlineData(2, "Empty", true, false, ErrorCode.InvalidTxnState)]
    [InlineData(2, "Empty", false, false, ErrorCode.None, 1)]
    [InlineData(2, "Empty", true, true, ErrorCode.ProducerFenced)]
    [InlineData(2, "Empty", false, true, ErrorCode.ProducerFenced)]
    [InlineData(2, "CompleteCommit", true, false, ErrorCode.InvalidTxnState)]
    [InlineData(2, "CompleteCommit", false, false, ErrorCode.None, 1)]
    [InlineData(2, "CompleteCommit", true, true, ErrorCode.None)]
    [InlineData(2, "CompleteCommit", false, true, ErrorCode.InvalidTxnState)]
    [InlineData(2, "CompleteAbort", true, false, ErrorCode.InvalidTxnState)]
    [InlineData(2, "CompleteAbort", false, false, ErrorCode.None, 1)]
    [InlineData(2, "CompleteAbort", true, true, ErrorCode.InvalidTxnState)]
    [InlineData(2, "CompleteAbort", false, true, ErrorCode.None)]
    public void EndWithoutATransaction(short version, string state, bool commit, bool isRetry, ErrorCode error, int bumps = 0)
    {
        var bed = new TransactionTestBed(version);
        var producer = bed.Init();
        if (state != "Empty")
        {
            bed.Add(producer, version, A0);
            bed.End(producer, state == "CompleteCommit", version);
            bed.WriteAllMarkers();
        }

        var current = bed.Get().Producer;
        var records = bed.Log.Count;
        var reply = bed.Ask(
            new EndTransactionCommand("t", isRetry ? current with { Epoch = (short)(current.Epoch - 1) } : current, commit, version))!;
        Assert.Equal(error, reply.Error.Code);
        Assert.Equal((short)(current.Epoch + bumps), bed.Get().ProducerEpoch);
        Assert.Equal(bumps > 0 ? records + 2 : records, bed.Log.Count);
        Assert.Empty(bed.Markers);
        if (error == ErrorCode.None)
            Assert.Equal(version == 2 ? bed.Get().Producer : ProducerIdAndEpoch.None, reply.Value<ProducerIdAndEpoch>());
        if (bumps > 0)
            Assert.Equal((TransactionState.CompleteAbort, bed.Now.UnixMilliseconds), (bed.Get().State, bed.Get().StartMs));
    }

    /// <summary>
    /// What a delayed or repeated request of an earlier transaction does to the next one: ends it by version 0, and nothing by version 2.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void LateRequestsOfAnEarlierTransaction(short version)
    {
        var bed = new TransactionTestBed(2);
        var first = bed.Init();
        bed.Add(first, version, A0);
        var second = version == 2 ? bed.End(first, commit: true, version) : first;
        if (version == 0)
            bed.End(first, commit: true, version);
        bed.WriteAllMarkers();
        bed.Add(second, version, B0);

        var lateAdd = bed.Add(first, version, A1);
        var lateEnd = bed.EndError(first, commit: false, version);
        if (version == 0)
        {
            // The anomaly that Jepsen found: the transaction is torn, its producer believes it open.
            Assert.Equal((ErrorCode.None, ErrorCode.None), (lateAdd, lateEnd));
            Assert.Equal(TransactionState.PrepareAbort, bed.Get().State);
            Assert.Contains(A1, bed.Get().Partitions);
        }
        else
        {
            Assert.Equal((ErrorCode.ProducerFenced, ErrorCode.ProducerFenced), (lateAdd, lateEnd));
            Assert.Equal(TransactionState.Ongoing, bed.Get().State);
            Assert.Equal([B0], bed.Get().Partitions);
            Assert.Equal(ErrorCode.None, bed.EndError(second, commit: true, version));
        }
    }

    [Fact]
    public void LastEpochIsFollowedByAnotherProducerIdAtTheEnd()
    {
        var bed = InitProducerIdTests.WithEpoch(TransactionMetadata.LastUsableEpoch);
        var last = bed.Get().Producer;
        bed.Add(last, 2, A0);
        var next = bed.End(last, commit: true, 2);
        Assert.Equal((short)0, next.Epoch);
        Assert.NotEqual(last.Id, next.Id);
        Assert.Equal(next.Id, bed.Get().NextProducerId);
        Assert.Equal(new ProducerIdAndEpoch(last.Id, short.MaxValue), bed.Markers.Peek().Producer);
        bed.Crash();
        bed.WriteAllMarkers();
        Assert.Equal((next, last.Id, -1L), (bed.Get().Producer, bed.Get().PreviousProducerId, bed.Get().NextProducerId));
        Assert.Equal(next, bed.End(last, commit: true, 2)); // a retry
        Assert.Equal(ErrorCode.InvalidTxnState, bed.EndError(last, commit: false, 2));
        Assert.Equal(next, bed.Init(expected: last)); // or so
        Assert.Equal(ErrorCode.None, bed.Add(next, 2, A0));
        Assert.Equal(ErrorCode.InvalidProducerIdMapping, bed.EndError(last, commit: true, 2));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ProducerWithTheLastEpochIsFencedByOneThatBeginsAnewWithAnotherProducerId(bool commit)
    {
        var bed = InitProducerIdTests.WithEpoch(TransactionMetadata.LastUsableEpoch);
        var last = bed.Get().Producer;
        var next = bed.Init();
        Assert.NotEqual(last.Id, next.Id);
        Assert.Equal(ErrorCode.ProducerFenced, bed.EndError(last, commit, 2));
        Assert.Equal(ErrorCode.InvalidProducerIdMapping, bed.EndError(last with { Epoch = 5 }, commit, 2));
        Assert.Equal((next, TransactionState.Empty), (bed.Get().Producer, bed.Get().State));
    }

    [Fact]
    public void EndWaitsForTheProducerIdItNeeds()
    {
        var bed = InitProducerIdTests.WithEpoch(TransactionMetadata.LastUsableEpoch);
        var last = bed.Get().Producer;
        bed.Add(last, 2, A0);
        bed.HasProducerIds = false;
        Assert.Null(bed.Ask(new EndTransactionCommand("t", last, true, 2)));
        Assert.Equal(TransactionState.Ongoing, bed.Get().State);
        bed.Allocate(succeeds: false);
        Assert.Equal(ErrorCode.CoordinatorLoadInProgress, bed.ReplyToLast(1)!.Error.Code);
        Assert.Null(bed.Ask(new EndTransactionCommand("t", last, true, 2)));
        bed.Allocate();
        Assert.Equal(new ProducerIdAndEpoch(bed.NextProducerId - 1, 0), bed.ReplyToLast(1).Value<ProducerIdAndEpoch>());
    }

    [Fact]
    public void MarkersAreTriedUntilAllAreWritten()
    {
        var bed = new TransactionTestBed();
        var producer = bed.Init();
        bed.Add(producer, 2, A0, A1, B0);
        bed.End(producer, commit: true, 2);
        var markers = bed.Markers.Dequeue();
        bed.Ask(new MarkersWrittenCommand(markers, new Dictionary<Ottla.Kernel.TopicPartition, ErrorCode>
        {
            [A0] = ErrorCode.None,
            [A1] = ErrorCode.NotLeaderOrFollower,
            [B0] = ErrorCode.UnknownTopicOrPartition,
        }));
        Assert.Empty(bed.Markers);
        bed.Advance(TransactionMachine.RetryBackoffMs);
        Assert.True(bed.Markers.Peek().Partitions.ToHashSet().SetEquals([A1, B0]));
        bed.WriteMarkers(ErrorCode.NotEnoughReplicas);
        bed.DeleteTopic("b");
        bed.Advance(TransactionMachine.RetryBackoffMs);
        bed.WriteMarkers(ErrorCode.UnknownTopicOrPartition);
        bed.Advance(TransactionMachine.RetryBackoffMs);
        Assert.Equal([A1], bed.Markers.Peek().Partitions); // b's topic is gone
        bed.WriteMarkers(ErrorCode.InvalidProducerEpoch); // the producer is further there
        Assert.Equal(TransactionState.CompleteCommit, bed.Get().State);
        bed.Advance(60_000);
        Assert.Empty(bed.Markers);
    }

    [Fact]
    public void FencedCoordinatorLeavesTheTransactionToItsSuccessor()
    {
        var bed = new TransactionTestBed();
        var producer = bed.Init();
        bed.Add(producer, 2, A0);
        bed.End(producer, commit: true, 2);
        bed.WriteMarkers(ErrorCode.TransactionCoordinatorFenced);
        bed.Advance(60_000);
        Assert.Empty(bed.Markers);
        bed.Crash();
        Assert.Equal(1, bed.WriteMarkers().CoordinatorEpoch);
        Assert.Equal(TransactionState.CompleteCommit, bed.Get().State);
    }

    [Fact]
    public void AnswersAboutEarlierMarkersMeanNothing()
    {
        var bed = new TransactionTestBed();
        var producer = bed.Init();
        bed.Add(producer, 2, A0);
        producer = bed.End(producer, commit: true, 2);
        var old = bed.WriteMarkers();
        bed.Add(producer, 2, A0);
        bed.End(producer, commit: true, 2);
        bed.Ask(new MarkersWrittenCommand(old, new Dictionary<Ottla.Kernel.TopicPartition, ErrorCode> { [A0] = ErrorCode.None }));
        Assert.Equal(TransactionState.PrepareCommit, bed.Get().State);
        var ofBefore = bed.Markers.Dequeue();
        bed.Crash();
        bed.Ask(new MarkersWrittenCommand(ofBefore, new Dictionary<Ottla.Kernel.TopicPartition, ErrorCode> { [A0] = ErrorCode.None }));
        Assert.Equal(TransactionState.PrepareCommit, bed.Get().State);
        bed.WriteMarkers();
        Assert.Equal(TransactionState.CompleteCommit, bed.Get().State);
    }

    [Fact]
    public void WriteThatFailsChangesNothingAndCompletionIsTriedAgain()
    {
        var bed = new TransactionTestBed();
        var producer = bed.Init();
        bed.Add(producer, 2, A0);
        bed.IsDiskFull = true;
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.EndError(producer, commit: true, 2));
        Assert.Equal(TransactionState.Ongoing, bed.Get().State);
        Assert.Empty(bed.Markers);
        bed.IsDiskFull = false;
        bed.End(producer, commit: true, 2);
        bed.IsDiskFull = true;
        bed.WriteMarkers();
        bed.Advance(1_000);
        Assert.Equal(TransactionState.PrepareCommit, bed.Get().State);
        bed.IsDiskFull = false;
        bed.Advance(TransactionMachine.RetryBackoffMs);
        Assert.Equal(TransactionState.CompleteCommit, bed.Get().State);
    }
}
