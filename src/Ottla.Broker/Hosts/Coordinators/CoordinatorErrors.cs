using Ottla.Protocol;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>Translates errors of a coordinator's log for its clients, which know nothing of that log.</summary>
internal static class CoordinatorErrors
{
    /// <summary>The error for a client.</summary>
    public static ErrorCode OfAppend(ErrorCode error) => error switch
    {
        ErrorCode.UnknownTopicOrPartition or ErrorCode.NotEnoughReplicas or ErrorCode.RequestTimedOut => ErrorCode.CoordinatorNotAvailable,
        ErrorCode.NotLeaderOrFollower or ErrorCode.KafkaStorageError => ErrorCode.NotCoordinator,
        ErrorCode.MessageTooLarge or ErrorCode.RecordListTooLarge or ErrorCode.InvalidFetchSize => ErrorCode.UnknownServerError,
        _ => error,
    };
}
