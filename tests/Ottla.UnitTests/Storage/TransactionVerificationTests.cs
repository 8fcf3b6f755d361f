using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.UnitTests.Storage;

/// <summary>A transaction's first batch gets into a log only while the coordinator's word about it still counts (KIP-890).</summary>
public sealed class TransactionVerificationTests : IDisposable
{
    private static readonly Instant Now = new(1_000);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_000));
    private readonly TestDisk _disk = TestDisk.Create(real: false);
    private readonly PartitionLog _log;

    public TransactionVerificationTests() => _log = TestLog.Open(_disk, LogConfig.Default, _time);

    public void Dispose() => _disk.Dispose();

    [Theory]
    [InlineData(AppendOrigin.Client)]
    [InlineData(AppendOrigin.Coordinator)]
    public void FirstBatchNeedsAGuardAndLaterOnesNone(AppendOrigin origin)
    {
        Assert.Equal(ErrorCode.InvalidTxnState, ErrorOf(() => Append(7, 0, 0, VerificationGuard.None, origin)));
        var guard = Start(7, 0, 0);
        Assert.NotEqual(VerificationGuard.None, guard);
        Assert.Equal(ErrorCode.InvalidTxnState, ErrorOf(() => Append(7, 0, 0, new VerificationGuard(guard.Number + 1), origin)));
        Append(7, 0, 0, guard, origin);
        Assert.Equal(VerificationGuard.None, Start(7, 0, 1));
        Append(7, 0, 1, VerificationGuard.None, origin);
        Assert.Equal(2, _log.LogEndOffset);
    }

    [Fact]
    public void GuardIsWorthNothingOnceTheTransactionHasEnded()
    {
        var guard = Start(7, 0, 0);
        Mark(7, 0, transactionVersion: 0);
        Assert.Equal(ErrorCode.InvalidTxnState, ErrorOf(() => Append(7, 0, 0, guard)));
        // Another transaction has another guard: the old answer of the coordinator was not about it.
        var next = Start(7, 0, 0);
        Assert.NotEqual(guard, next);
        Assert.Equal(ErrorCode.InvalidTxnState, ErrorOf(() => Append(7, 0, 0, guard)));
        Append(7, 0, 0, next);
    }

    [Fact]
    public void GuardOfATransactionThatBeganIsUsedUp()
    {
        var guard = Start(7, 0, 0);
        Append(7, 0, 0, guard);
        Mark(7, 0, transactionVersion: 0);
        Assert.Equal(ErrorCode.InvalidTxnState, ErrorOf(() => Append(7, 0, 1, guard)));
    }

    [Fact]
    public void MarkerOfTheEpochBeforeLeavesTheNextTransactionsGuardAlone()
    {
        Append(7, 0, 0, Start(7, 0, 0, bumpsEpoch: true));
        var next = Start(7, 1, 0, bumpsEpoch: true);
        Mark(7, 1, transactionVersion: 2);
        Append(7, 1, 0, next);
        var zombies = Start(7, 2, 0, bumpsEpoch: true);
        Mark(7, 3, transactionVersion: 2);
        Assert.Equal(ErrorCode.InvalidProducerEpoch, ErrorOf(() => Append(7, 2, 0, zombies)));
        Assert.Equal(ErrorCode.InvalidProducerEpoch, ErrorOf(() => Start(7, 2, 0)));
    }

    [Fact]
    public void HigherSequenceWaitsForTheLowestThatWantedIn()
    {
        Start(7, 0, 5);
        var guard = Start(7, 0, 8);
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => Append(7, 0, 8, guard)));
        Append(7, 0, 5, guard);
        Append(7, 0, 6, VerificationGuard.None);
    }

    [Fact]
    public void AnEpochOfItsOwnStartsWithSequenceZero()
    {
        var guard = Start(7, 1, 3, bumpsEpoch: true);
        Assert.Equal(ErrorCode.OutOfOrderSequenceNumber, ErrorOf(() => Append(7, 1, 3, guard)));
        Assert.Equal(guard, Start(7, 1, 0, bumpsEpoch: true));
        Append(7, 1, 0, guard);
        Append(7, 1, 1, VerificationGuard.None);
    }

    [Fact]
    public void RetryOfABatchThatIsThereNeedsNoVerification()
    {
        Append(7, 0, 0, Start(7, 0, 0));
        Mark(7, 0, transactionVersion: 0);
        var again = _log.AppendAsLeader(TestLog.Idempotent(7, 0, 0, transactional: true), 0, AppendOrigin.Client, Now);
        Assert.Equal((true, 0L), (again.IsDuplicate, again.FirstOffset));
    }

    [Fact]
    public void FollowersTakeWhatTheLeaderTook()
    {
        _log.AppendAsFollower(TestLog.Idempotent(7, 0, 0, transactional: true), Now);
        Assert.Equal(0, _log.FirstUnstableOffset);
    }

    [Fact]
    public void VerificationCanBeSwitchedOff()
    {
        _log.Config = LogConfig.Default with { VerifyTransactions = false };
        Append(7, 0, 0, VerificationGuard.None);
        Assert.Equal(1, _log.LogEndOffset);
    }

    [Fact]
    public void VerificationsAreForgottenLikeProducers()
    {
        var guard = Start(7, 0, 0);
        _log.ReleaseIdle(new Instant(Now.UnixMilliseconds + LogConfig.Default.ProducerIdExpirationMs));
        Assert.Equal(ErrorCode.InvalidTxnState, ErrorOf(() => Append(7, 0, 0, guard)));
    }

    private VerificationGuard Start(long producerId, short epoch, int sequence, bool bumpsEpoch = false) =>
        _log.StartTransactionVerification(producerId, epoch, sequence, bumpsEpoch, Now);

    private void Append(long producerId, short epoch, int sequence, VerificationGuard guard, AppendOrigin origin = AppendOrigin.Client) =>
        _log.AppendAsLeader(TestLog.Idempotent(producerId, epoch, sequence, transactional: true), 0, origin, Now, guard: guard);

    private void Mark(long producerId, short epoch, short transactionVersion) => _log.AppendAsLeader(
        ControlBatches.BuildEndTransactionMarker(ControlRecordType.Abort, 0, producerId, epoch, timestamp: 1_000), 0,
        AppendOrigin.Coordinator, Now, transactionVersion);

    private static ErrorCode ErrorOf(Action action) => Assert.Throws<LogException>(action).ErrorCode;
}
