using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Producing;

/// <summary>What an error means for a transaction. Pure; as the Java client has it.</summary>
internal static class TransactionErrors
{
    /// <summary>The exception for an error that another attempt does not mend.</summary>
    /// <param name="api">What answered with the error.</param>
    /// <param name="error">The error.</param>
    public static KafkaException Of(ApiKey api, KafkaException error) => IsAbortable(api, error.ErrorCode)
        ? new AbortableTransactionException(error.ErrorCode, "The transaction has to be aborted", error)
        : new FatalProducerException(error.ErrorCode, "The producer has to be closed", error);

    /// <summary>Whether the transaction can be aborted, and the producer go on; otherwise it cannot.</summary>
    public static bool IsAbortable(ApiKey api, ErrorCode error) => api switch
    {
        ApiKey.EndTxn => error is ErrorCode.UnknownProducerId or ErrorCode.TransactionAbortable,
        ApiKey.AddPartitionsToTxn => !IsFatalForPartitions(error),
        ApiKey.AddOffsetsToTxn => error is ErrorCode.GroupAuthorizationFailed or ErrorCode.UnknownProducerId
            or ErrorCode.TransactionAbortable,
        ApiKey.FindCoordinator => error is ErrorCode.GroupAuthorizationFailed or ErrorCode.TransactionAbortable,
        ApiKey.TxnOffsetCommit => error is ErrorCode.GroupAuthorizationFailed or ErrorCode.FencedInstanceId
            or ErrorCode.TransactionAbortable or ErrorCode.IllegalGeneration or ErrorCode.UnknownMemberId or ErrorCode.GroupIdNotFound
            or ErrorCode.StaleMemberEpoch,
        _ => false,
    };

    private static bool IsFatalForPartitions(ErrorCode error) => error
        is ErrorCode.InvalidProducerEpoch or ErrorCode.InvalidTxnState or ErrorCode.InvalidProducerIdMapping
        or ErrorCode.TransactionalIdAuthorizationFailed or ErrorCode.ProducerFenced;
}
