using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Transactions;
using static Ottla.UnitTests.Transactions.TransactionTestBed;

namespace Ottla.UnitTests.Transactions;

/// <summary>Who gets which producer id and epoch, and who is fenced.</summary>
public sealed class InitProducerIdTests
{
    [Fact]
    public void EveryProducerOfAnIdGetsTheNextEpoch()
    {
        var bed = new TransactionTestBed();
        Assert.Equal(new ProducerIdAndEpoch(1000, 0), bed.Init());
        Assert.Equal(new ProducerIdAndEpoch(1000, 1), bed.Init());
        Assert.Equal(new ProducerIdAndEpoch(1001, 0), bed.Init("another"));
        Assert.Equal((TransactionState.Empty, 60_000, -1L), (bed.Get().State, bed.Get().TimeoutMs, bed.Get().StartMs));
    }

    [Theory]
    [InlineData("", 60_000, ErrorCode.InvalidRequest)]
    [InlineData(null, 60_000, ErrorCode.InvalidRequest)]
    [InlineData("t", 0, ErrorCode.InvalidTransactionTimeout)]
    [InlineData("t", -1, ErrorCode.InvalidTransactionTimeout)]
    [InlineData("t", 900_001, ErrorCode.InvalidTransactionTimeout)]
    [InlineData("t", 900_000, ErrorCode.None)]
    public void RequestIsChecked(string? id, int timeoutMs, ErrorCode error) =>
        Assert.Equal(error, new TransactionTestBed().InitError(id, timeoutMs: timeoutMs));

    [Fact]
    public void OnlyOneOfProducerIdAndEpochIsNoRequest()
    {
        var bed = new TransactionTestBed();
        Assert.Equal(ErrorCode.InvalidRequest, bed.InitError(expected: new ProducerIdAndEpoch(1, -1)));
        Assert.Equal(ErrorCode.InvalidRequest, bed.InitError(expected: new ProducerIdAndEpoch(-1, 1)));

        // Only -1 says that there is none: anything else is somebody, and a stranger here.
        bed.Init();
        Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: new ProducerIdAndEpoch(-5, -5)));
        Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: new ProducerIdAndEpoch(-5, 0)));
    }

    [Fact]
    public void TwoPhaseCommitIsAnsweredAsKafkaDoes()
    {
        var twoPhase = new InitProducerIdCommand(
            new InitProducerIdRequest
            {
                TransactionalId = "t",
                TransactionTimeoutMs = 1,
                ProducerId = -1,
                ProducerEpoch = -1,
                Enable2Pc = true
            });
        Assert.Equal(ErrorCode.TransactionalIdAuthorizationFailed, new TransactionTestBed().Error(twoPhase));
        var bed = new TransactionTestBed(2, ("transaction.two.phase.commit.enable", "true"));
        var producer = bed.Reply(twoPhase);
        bed.Add(producer, 2, A0);
        bed.Advance(int.MaxValue);
        Assert.Equal((TransactionState.Ongoing, int.MaxValue), (bed.Get().State, bed.Get().TimeoutMs));
        var keep = new InitProducerIdRequest
        {
            TransactionalId = "t",
            TransactionTimeoutMs = 1,
            ProducerId = -1,
            ProducerEpoch = -1,
            KeepPreparedTxn = true
        };
        Assert.Equal(ErrorCode.UnsupportedVersion, bed.Error(new InitProducerIdCommand(keep)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void OpenTransactionIsAbortedFirst(short version)
    {
        var bed = new TransactionTestBed(version);
        var first = bed.Init();
        bed.Add(first, version, A0);
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.InitError());
        Assert.Equal((TransactionState.PrepareAbort, (short)1), (bed.Get().State, bed.Get().ProducerEpoch));
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.InitError());
        var markers = bed.WriteMarkers();
        Assert.Equal(
            (new ProducerIdAndEpoch(1000, 1), false, version == 2 ? (short)2 : (short)0),
            (markers.Producer, markers.IsCommit, markers.TransactionVersion));
        Assert.Equal(new ProducerIdAndEpoch(1000, 2), bed.Init());
        Assert.Equal(ErrorCode.ProducerFenced, bed.EndError(first, commit: true, version));
        Assert.Equal(ErrorCode.ProducerFenced, bed.Add(first, version, A0));
        Assert.Empty(bed.Markers);
    }

    [Fact]
    public void ProducerThatGoesOnNamesItsEpochAndMayRepeatItself()
    {
        var bed = new TransactionTestBed();
        var first = bed.Init();
        var second = bed.Init(expected: first);
        Assert.Equal(new ProducerIdAndEpoch(1000, 1), second);
        Assert.Equal(second, bed.Init(expected: first)); // the answer was lost
        Assert.Equal(new ProducerIdAndEpoch(1000, 2), bed.Init(expected: second));
        Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: first));
        Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: new ProducerIdAndEpoch(999, 2)));
    }

    [Fact]
    public void NewProducerFencesTheOneThatGoesOn()
    {
        var bed = new TransactionTestBed();
        var first = bed.Init();
        bed.Init();
        Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: first));
    }

    [Fact]
    public void UnknownIdIsMadeWhateverTheProducerClaims() =>
        Assert.Equal(new ProducerIdAndEpoch(1000, 0), new TransactionTestBed().Init(expected: new ProducerIdAndEpoch(55, 7)));

    [Fact]
    public void ProducerWhoseEndWasNotAnsweredGoesOnWithTheBumpedEpoch()
    {
        var bed = new TransactionTestBed();
        var first = bed.Init();
        bed.Add(first, 2, A0);
        bed.End(first, commit: true, 2);
        bed.WriteAllMarkers();
        bed.Crash();
        Assert.Equal(new ProducerIdAndEpoch(1000, 1), bed.Init(expected: first));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void UsedUpEpochsAreFollowedByAnotherProducerId(bool goesOn)
    {
        var bed = WithEpoch(TransactionMetadata.LastUsableEpoch);
        var last = bed.Get().Producer;
        var next = bed.Init(expected: goesOn ? last : null);
        Assert.Equal((short)0, next.Epoch);
        Assert.NotEqual(last.Id, next.Id);
        Assert.Equal(last.Id, bed.Get().PreviousProducerId);
        if (goesOn)
            Assert.Equal(next, bed.Init(expected: last)); // repeats itself
        else
            Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: last));
        Assert.Equal(new ProducerIdAndEpoch(next.Id, 1), bed.Init());
    }

    [Fact]
    public void RetryBeforeTheLastEpochIsNoReasonForAnotherProducerId()
    {
        var bed = WithEpoch(TransactionMetadata.LastUsableEpoch - 1);
        var before = bed.Get().Producer;
        var last = bed.Init(expected: before);
        Assert.Equal(TransactionMetadata.LastUsableEpoch, last.Epoch);
        Assert.Equal(last, bed.Init(expected: before));
        Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: before with { Epoch = 5 }));
    }

    [Fact]
    public void RequestsWaitForProducerIdsAndFailWithoutThem()
    {
        var bed = new TransactionTestBed { HasProducerIds = false };
        Assert.Null(bed.Ask(InitCommand("x")));
        Assert.Null(bed.Ask(InitCommand("x")));
        Assert.Null(bed.Ask(InitCommand("y")));
        Assert.Equal(3, bed.OpenAllocations);
        Assert.Empty(bed.Log);
        bed.Allocate();
        Assert.Equal(new ProducerIdAndEpoch(1000, 0), bed.ReplyToLast(3).Value<ProducerIdAndEpoch>());
        bed.Allocate(); // the second request needs it no more: an epoch is enough
        Assert.Equal(new ProducerIdAndEpoch(1000, 1), bed.ReplyToLast(3).Value<ProducerIdAndEpoch>());
        bed.Allocate(succeeds: false);
        Assert.Equal(ErrorCode.CoordinatorLoadInProgress, bed.ReplyToLast(3)!.Error.Code);
        Assert.Equal(new ProducerIdAndEpoch(1001, 0), bed.Init("z")); // what was left over
        Assert.Equal(0, bed.OpenAllocations);
    }

    /// <summary>A bed whose id "t" has come to an epoch.</summary>
    internal static TransactionTestBed WithEpoch(int epoch, short transactionVersion = 2)
    {
        var bed = new TransactionTestBed(transactionVersion);
        bed.Init();
        bed.Log.Add((bed.Get() with { ProducerEpoch = (short)epoch }).ToRecord(transactionVersion));
        bed.Crash();
        return bed;
    }

    [Fact]
    public void An_epoch_that_could_not_be_written_makes_nobody_its_heir()
    {
        var bed = new TransactionTestBed();
        bed.SetTransactionVersion(0);
        var first = bed.Init();
        bed.IsDiskFull = true;
        Assert.Equal(ErrorCode.CoordinatorNotAvailable, bed.InitError(expected: first));
        bed.IsDiskFull = false;
        Assert.Equal(ErrorCode.None, bed.Add(first, 0, A0));
        Assert.Equal(ErrorCode.ConcurrentTransactions, bed.InitError()); // another fences the first with an epoch that nobody gets
        bed.WriteAllMarkers();
        Assert.Equal(ErrorCode.ProducerFenced, bed.InitError(expected: first));
    }
}
