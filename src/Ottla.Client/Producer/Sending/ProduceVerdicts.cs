using Ottla.Protocol;

namespace Ottla.Client.Producing;

/// <summary>What the answer for a batch means.</summary>
internal enum ProduceVerdict
{
    /// <summary>It was written.</summary>
    Written,

    /// <summary>It was written at an earlier attempt, and the leader no longer knows where.</summary>
    WrittenBefore,

    /// <summary>It is sent again as it is.</summary>
    Retry,

    /// <summary>Its sequence is lost: it is sent again with the next epoch.</summary>
    RetryInNextEpoch,

    /// <summary>It is sent again in parts.</summary>
    Split,

    /// <summary>It fails; in a transaction, which has to be aborted then.</summary>
    Fail,

    /// <summary>Its sequence is lost, but it may be because it was written at an earlier attempt: it fails, and nobody knows.</summary>
    FailInDoubt,

    /// <summary>It fails, and the producer with it.</summary>
    FailProducer,
}

/// <summary>What the answer for a batch means. Pure.</summary>
internal static class ProduceVerdicts
{
    /// <summary>Decides.</summary>
    /// <param name="error">The error of the partition in the answer.</param>
    /// <param name="recordCount">Records of the batch.</param>
    /// <param name="isSequenced">Whether it has a sequence.</param>
    /// <param name="isTransactional">Whether it belongs to a transaction.</param>
    /// <param name="isNext">Whether all batches before it are written.</param>
    /// <param name="mayBeWritten">
    /// Whether an earlier attempt may have written it. A leader that was restarted knows the last batch of a producer only.
    /// </param>
    /// <param name="logStartOffset">The first offset of the partition; -1 when the leader does not say.</param>
    public static ProduceVerdict Decide(
        ErrorCode error, int recordCount, bool isSequenced, bool isTransactional, bool isNext, bool mayBeWritten, long logStartOffset) =>
        error switch
        {
            ErrorCode.None => ProduceVerdict.Written,
            ErrorCode.DuplicateSequenceNumber => ProduceVerdict.WrittenBefore,
            ErrorCode.MessageTooLarge when recordCount > 1 => ProduceVerdict.Split,
            ErrorCode.OutOfOrderSequenceNumber when isSequenced => !isNext ? ProduceVerdict.Retry
                : isTransactional ? ProduceVerdict.Fail
                : mayBeWritten ? ProduceVerdict.FailInDoubt
                : ProduceVerdict.RetryInNextEpoch,
            ErrorCode.UnknownProducerId when isSequenced => logStartOffset < 0 ? ProduceVerdict.Retry
                : isTransactional ? ProduceVerdict.Fail
                : mayBeWritten ? ProduceVerdict.FailInDoubt
                : ProduceVerdict.RetryInNextEpoch,
            _ when isSequenced && IsFatal(error) => ProduceVerdict.FailProducer,
            _ => Calls.ErrorKinds.IsRetriable(error) ? ProduceVerdict.Retry : ProduceVerdict.Fail,
        };

    /// <summary>Whether a leader that answered with an error may have written the batch.</summary>
    /// <param name="error">An error after which it is sent again.</param>
    public static bool MayBeWritten(ErrorCode error) => error
        is not (ErrorCode.NotEnoughReplicas or ErrorCode.OutOfOrderSequenceNumber or ErrorCode.UnknownProducerId
            or ErrorCode.CorruptMessage or ErrorCode.FencedLeaderEpoch or ErrorCode.UnknownLeaderEpoch
            or ErrorCode.ThrottlingQuotaExceeded);

    private static bool IsFatal(ErrorCode error) => error
        is ErrorCode.ClusterAuthorizationFailed or ErrorCode.UnsupportedVersion or ErrorCode.InvalidProducerIdMapping
        or ErrorCode.TransactionalIdAuthorizationFailed or ErrorCode.ProducerFenced;
}
