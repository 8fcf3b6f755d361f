using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage;

/// <summary>What idempotent and transactional producers may append.</summary>
public sealed class ProducerRulesTests : IDisposable
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
    private readonly TestDisk _disk = TestDisk.Create(real: false);
    private PartitionLog _log;

    public ProducerRulesTests() => _log = TestLog.Open(_disk, LogConfig.Default, _time);

    public void Dispose() => _disk.Dispose();

    [Fact]
    public void RetryOfAnyOfTheLastFiveBatchesReturnsItsOffsets()
    {
        var sent = Enumerable.Range(0, 6).Select(i => TestLog.Idempotent(7, 0, i * 3, count: 3)).ToList();
        foreach (var batch in sent)
            Assert.False(_log.Append((byte[])batch.Clone()).IsDuplicate);
        for (var i = 1; i < 6; i++)
        {
            var result = _log.Append((byte[])sent[i].Clone());
            Assert.Equal((true, i * 3L, i * 3L + 2), (result.IsDuplicate, result.FirstOffset, result.LastOffset));
            Assert.Equal(1_002, result.LogAppendTimeMs);
        }

        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => _log.Append(sent[0])));
        Assert.Equal(18, _log.LogEndOffset);
        Assert.Equal(18, _log.ReadAll().Count);
    }

    [Fact]
    public void SequencesHaveNoGaps()
    {
        _log.Append(TestLog.Idempotent(7, 0, 0, count: 2));
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => _log.Append(TestLog.Idempotent(7, 0, 3))));
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => _log.Append(TestLog.Idempotent(7, 0, 1))));
        _log.Append(TestLog.Idempotent(7, 0, 2));
        Assert.Equal(3, _log.LogEndOffset);
    }

    [Fact]
    public void SequenceWrapsAfterTheGreatest()
    {
        _log.Append(TestLog.Idempotent(7, 0, int.MaxValue - 1, count: 2));
        _log.Append(TestLog.Idempotent(7, 0, 0));
        var second = TestLog.Idempotent(8, 0, int.MaxValue, count: 2);
        _log.Append((byte[])second.Clone());
        _log.Append(TestLog.Idempotent(8, 0, 1));
        Assert.True(_log.Append(second).IsDuplicate);
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => _log.Append(TestLog.Idempotent(7, 0, 2))));
    }

    [Fact]
    public void UnknownProducerMayStartAnywhereAndANewEpochOnlyAtZero()
    {
        _log.Append(TestLog.Idempotent(7, 3, 41));
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => _log.Append(TestLog.Idempotent(7, 4, 42))));
        _log.Append(TestLog.Idempotent(7, 4, 0));
        Assert.Equal(ErrorCode.InvalidProducerEpoch, ErrorOf(() => _log.Append(TestLog.Idempotent(7, 3, 42))));
    }

    [Fact]
    public void CoordinatorNeedsNoSequences()
    {
        _log.Append(TestLog.Idempotent(7, 0, 5), AppendOrigin.Coordinator);
        _log.Append(TestLog.Idempotent(7, 0, 5), AppendOrigin.Coordinator);
        Assert.Equal(2, _log.LogEndOffset);
    }

    [Fact]
    public void TransactionsMoveTheLastStableOffset()
    {
        _log.Append(TestLog.Batch("plain", 2));
        _log.Append(TestLog.Idempotent(7, 0, 0, transactional: true));
        _log.Append(TestLog.Idempotent(8, 0, 0, transactional: true));
        Assert.Equal((2, 4), (_log.LastStableOffset, _log.HighWatermark));
        _log.Append(Marker(7, 0, ControlRecordType.Abort), AppendOrigin.Coordinator);
        Assert.Equal(3, _log.LastStableOffset);
        _log.Append(Marker(8, 0, ControlRecordType.Commit), AppendOrigin.Coordinator);
        Assert.Equal(6, _log.LastStableOffset);
        Assert.Equal([new AbortedTransaction(7, 2, 4, 3)], _log.CollectAbortedTransactions(0, 6));
        Assert.Empty(_log.CollectAbortedTransactions(5, 6));
        Assert.Empty(_log.CollectAbortedTransactions(0, 2));
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(150)] // a segment for each batch
    public void ReadSaysUpToWhereAbortedTransactionsMatter(int segmentBytes)
    {
        var log = TestLog.Open(_disk, LogConfig.Default with { SegmentBytes = segmentBytes }, _time, name: "r-0");
        for (var i = 0; i < 3; i++)
        {
            log.Append(TestLog.Idempotent(7, 0, i * 2, count: 2, transactional: true));
            log.Append(Marker(7, 0, ControlRecordType.Abort), AppendOrigin.Coordinator);
        }

        Assert.Equal(9, log.LastStableOffset);
        var first = Read(0, maxBytes: 0, bound: 9);
        var isOneSegment = segmentBytes > 150;
        Assert.Equal(2, first.UpperBound);
        Assert.Equal([0], FirstOffsetsOfAborted(0, first.UpperBound));
        Assert.Equal(2, Read(1, maxBytes: 0, bound: 9).UpperBound);
        Assert.Equal(
            isOneSegment ? 6 : 5, Read(3, isOneSegment ? Read(3, int.MaxValue, bound: 6).Bytes : int.MaxValue, bound: 9).UpperBound);
        Assert.Equal([3], FirstOffsetsOfAborted(3, isOneSegment ? 6 : 5));
        Assert.Equal(isOneSegment ? 9 : 2, Read(0, int.MaxValue, bound: 9).UpperBound);
        Assert.Equal(isOneSegment ? 5 : 2, Read(0, int.MaxValue, bound: 5).UpperBound);

        (long UpperBound, int Bytes) Read(long offset, int maxBytes, long bound)
        {
            var read = log.Read(offset, maxBytes, minOneBatch: true, bound);
            using var slice = read.Slice;
            return (read.UpperBoundOffset, slice!.Length);
        }

        IEnumerable<long> FirstOffsetsOfAborted(long offset, long upperBound) =>
            log.CollectAbortedTransactions(offset, upperBound).Select(aborted => aborted.FirstOffset);
    }

    [Fact]
    public void DecidedTransactionIsUnstableUntilItsMarkerIsReplicated()
    {
        var log = TestLog.Open(_disk, LogConfig.Default, _time, name: "u-0");
        var guard = log.StartTransactionVerification(7, 0, 0, bumpsEpoch: false, new Instant(1));
        log.AppendAsLeader(TestLog.Idempotent(7, 0, 0, transactional: true), 0, AppendOrigin.Client, new Instant(1), guard: guard);
        log.AppendAsLeader(Marker(7, 0, ControlRecordType.Commit), 0, AppendOrigin.Coordinator, new Instant(1));
        log.AdvanceHighWatermark(1);
        Assert.Equal(0, log.LastStableOffset);
        log.AdvanceHighWatermark(2);
        Assert.Equal(2, log.LastStableOffset);
    }

    [Fact]
    public void MarkersAreFenced()
    {
        _log.Append(TestLog.Idempotent(7, 5, 0, transactional: true));
        Assert.Equal(
            ErrorCode.InvalidProducerEpoch, ErrorOf(() => _log.Append(Marker(7, 4, ControlRecordType.Commit), AppendOrigin.Coordinator)));
        Assert.Equal(
            ErrorCode.InvalidProducerEpoch,
            ErrorOf(() => _log.Append(Marker(7, 5, ControlRecordType.Commit), AppendOrigin.Coordinator, transactionVersion: 2)));
        Assert.Equal(ErrorCode.InvalidTxnState, ErrorOf(() => _log.Append(TestLog.Idempotent(7, 5, 1))));
        _log.Append(Marker(7, 6, ControlRecordType.Commit, coordinatorEpoch: 3), AppendOrigin.Coordinator, transactionVersion: 2);
        _log.Append(Marker(7, 6, ControlRecordType.Commit, coordinatorEpoch: 3), AppendOrigin.Coordinator, transactionVersion: 2);
        Assert.Equal(
            ErrorCode.TransactionCoordinatorFenced,
            ErrorOf(() => _log.Append(Marker(7, 6, ControlRecordType.Commit, coordinatorEpoch: 2), AppendOrigin.Coordinator)));
        Assert.Equal(ErrorCode.InvalidProducerEpoch, ErrorOf(() => _log.Append(TestLog.Idempotent(7, 5, 1, transactional: true))));
        _log.Append(TestLog.Idempotent(7, 6, 0, transactional: true));
        Assert.Equal(4, _log.LogEndOffset);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void StateSurvivesReopening(bool clean)
    {
        var config = LogConfig.Default with { SegmentBytes = 400 };
        _log = TestLog.Open(_disk, config, _time, name: "s-0");
        for (var i = 0; i < 10; i++)
            _log.Append(TestLog.Idempotent(7, 1, i));
        _log.Append(TestLog.Idempotent(8, 2, 0, transactional: true));
        _log.Append(TestLog.Idempotent(9, 2, 0, transactional: true));
        _log.Append(Marker(9, 2, ControlRecordType.Abort), AppendOrigin.Coordinator);
        var before = _log.ActiveProducers();
        var aborted = _log.CollectAbortedTransactions(0, long.MaxValue);
        if (clean)
            _log.Close();
        using var disk = _disk.Crash();
        var log = TestLog.Open(
            disk, config, _time, new LogOpenOptions { HadCleanShutdown = clean, HighWatermark = 13, RecoveryPoint = clean ? 13 : 0 },
            "s-0");
        Assert.Equal(before.OrderBy(producer => producer.ProducerId), log.ActiveProducers().OrderBy(producer => producer.ProducerId));
        Assert.Equal(aborted, log.CollectAbortedTransactions(0, long.MaxValue));
        Assert.Equal(10, log.LastStableOffset);
        Assert.All(Enumerable.Range(5, 5), i => Assert.Equal(
            (true, (long)i), (log.Append(TestLog.Idempotent(7, 1, i)) is var retry && retry.IsDuplicate, retry.FirstOffset)));
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => log.Append(TestLog.Idempotent(7, 1, 4))));
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => log.Append(TestLog.Idempotent(7, 1, 12))));
        log.Append(Marker(8, 2, ControlRecordType.Commit), AppendOrigin.Coordinator);
        Assert.Equal(14, log.LastStableOffset);
    }

    [Fact]
    public void IdleProducersAreForgottenButNotOpenTransactions()
    {
        _log.Append(TestLog.Idempotent(7, 0, 0));
        _log.Append(TestLog.Idempotent(8, 0, 0, transactional: true));
        _log.ReleaseIdle(new Instant(1_000 + 86_400_000));
        Assert.Equal([8L], _log.ActiveProducers().Select(producer => producer.ProducerId));
        _log.Append(TestLog.Idempotent(7, 0, 99));
    }

    [Fact]
    public void TruncationForgetsWhatItDrops()
    {
        _log.Append(TestLog.Idempotent(7, 0, 0));
        _log.Append(TestLog.Idempotent(7, 0, 1));
        _log.Append(TestLog.Idempotent(8, 0, 0, transactional: true));
        _log.TruncateTo(1);
        Assert.Null(_log.FirstUnstableOffset);
        Assert.Equal([7L], _log.ActiveProducers().Select(producer => producer.ProducerId));
        Assert.Equal(1, _log.Append(TestLog.Idempotent(7, 0, 1)).FirstOffset);
    }

    [Fact]
    public void BatchesOfOneAppendAreCheckedAgainstEachOther()
    {
        byte[] good = [.. TestLog.Idempotent(7, 0, 0, count: 2), .. TestLog.Idempotent(7, 0, 2)];
        byte[] gap = [.. TestLog.Idempotent(7, 0, 3), .. TestLog.Idempotent(7, 0, 5)];
        Assert.Equal((0, 2), (_log.Append(good).FirstOffset, _log.LogEndOffset - 1));
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => _log.Append(gap)));
        Assert.Equal(3, _log.LogEndOffset);
        _log.Append(TestLog.Idempotent(7, 0, 3));
    }

    private static byte[] Marker(long producerId, short epoch, ControlRecordType type, int coordinatorEpoch = 0) =>
        ControlBatches.BuildEndTransactionMarker(type, coordinatorEpoch, producerId, epoch, timestamp: 1_000);

    private static ErrorCode ErrorOf(Action action) => Assert.Throws<LogException>(action).ErrorCode;
}
