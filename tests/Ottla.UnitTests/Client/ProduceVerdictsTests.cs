using Ottla.Client.Producing;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client;

/// <summary>What the answer for a batch means, where more than the error decides.</summary>
public sealed class ProduceVerdictsTests
{
    [Theory]
    [InlineData(ErrorCode.OutOfOrderSequenceNumber, true, false, "RetryInNextEpoch")]
    [InlineData(ErrorCode.OutOfOrderSequenceNumber, true, true, "FailInDoubt")] // written twice is worse than failed
    [InlineData(ErrorCode.OutOfOrderSequenceNumber, false, true, "Retry")]
    [InlineData(ErrorCode.DuplicateSequenceNumber, true, true, "WrittenBefore")]
    [InlineData(ErrorCode.UnknownProducerId, true, false, "RetryInNextEpoch")]
    [InlineData(ErrorCode.UnknownProducerId, true, true, "FailInDoubt")]
    public void A_lost_sequence_begins_anew_unless_the_batch_may_be_written(
        ErrorCode error, bool isNext, bool mayBeWritten, string verdict) =>
        Assert.Equal(verdict, $"{ProduceVerdicts.Decide(error, 1, true, false, isNext, mayBeWritten, logStartOffset: 5)}");

    [Theory]
    [InlineData(ErrorCode.RequestTimedOut, true)]
    [InlineData(ErrorCode.NotEnoughReplicasAfterAppend, true)]
    [InlineData(ErrorCode.NotLeaderOrFollower, true)] // the leadership may have ended after the append
    [InlineData(ErrorCode.NotEnoughReplicas, false)]
    [InlineData(ErrorCode.OutOfOrderSequenceNumber, false)]
    public void An_error_may_come_after_the_append(ErrorCode error, bool mayBeWritten) =>
        Assert.Equal(mayBeWritten, ProduceVerdicts.MayBeWritten(error));
}
