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
    /// <param name="logStartOffset">The first offset of the partition; -1 when the leader does not say.</param>
    public static ProduceVerdict Decide(
        ErrorCode error, int recordCount, bool isSequenced, bool isTransactional, bool isNext, long logStartOffset) => error switch
        {
            ErrorCode.None => ProduceVerdict.Written,
            ErrorCode.DuplicateSequenceNumber => ProduceVerdict.WrittenBefore,
            ErrorCode.MessageTooLarge when recordCount > 1 => ProduceVerdict.Split,
            ErrorCode.OutOfOrderSequenceNumber when isSequenced => !isNext ? ProduceVerdict.Retry
                : isTransactional ? ProduceVerdict.Fail
                : ProduceVerdict.RetryInNextEpoch,
            ErrorCode.UnknownProducerId when isSequenced => logStartOffset < 0 ? ProduceVerdict.Retry
                : isTransactional ? ProduceVerdict.Fail
                : ProduceVerdict.RetryInNextEpoch,
            _ when isSequenced && IsFatal(error) => ProduceVerdict.FailProducer,
            _ => Calls.ErrorKinds.IsRetriable(error) ? ProduceVerdict.Retry : ProduceVerdict.Fail,
        };

    private static bool IsFatal(ErrorCode error) => error
        is ErrorCode.ClusterAuthorizationFailed or ErrorCode.UnsupportedVersion or ErrorCode.InvalidProducerIdMapping
        or ErrorCode.TransactionalIdAuthorizationFailed or ErrorCode.ProducerFenced;
}
