using Ottla.Protocol;

namespace Ottla.Client.Calls;

/// <summary>What an error code means for who asked. Pure; the kinds are those of Kafka's Java client.</summary>
internal static class ErrorKinds
{
    /// <summary>Whether the same request may succeed later (<c>RetriableException</c>).</summary>
    public static bool IsRetriable(ErrorCode error) => InvalidatesMetadata(error) || error
        is ErrorCode.CorruptMessage or ErrorCode.RequestTimedOut or ErrorCode.CoordinatorLoadInProgress or ErrorCode.CoordinatorNotAvailable
        or ErrorCode.NotCoordinator or ErrorCode.NotEnoughReplicas or ErrorCode.NotEnoughReplicasAfterAppend or ErrorCode.NotController
        or ErrorCode.ConcurrentTransactions or ErrorCode.FetchSessionIdNotFound or ErrorCode.InvalidFetchSessionEpoch
        or ErrorCode.UnknownLeaderEpoch or ErrorCode.OffsetNotAvailable or ErrorCode.UnstableOffsetCommit
        or ErrorCode.ThrottlingQuotaExceeded or ErrorCode.FetchSessionTopicIdError or ErrorCode.ShareSessionNotFound
        or ErrorCode.InvalidShareSessionEpoch or ErrorCode.ShareSessionLimitReached;

    /// <summary>
    /// Whether the client asked the wrong node, so that metadata has to be asked for anew (<c>InvalidMetadataException</c>).
    /// </summary>
    public static bool InvalidatesMetadata(ErrorCode error) => error
        is ErrorCode.UnknownTopicOrPartition or ErrorCode.LeaderNotAvailable or ErrorCode.NotLeaderOrFollower
        or ErrorCode.ReplicaNotAvailable or ErrorCode.NetworkException or ErrorCode.KafkaStorageError or ErrorCode.ListenerNotFound
        or ErrorCode.FencedLeaderEpoch or ErrorCode.PreferredLeaderNotAvailable or ErrorCode.EligibleLeadersNotAvailable
        or ErrorCode.ElectionNotNeeded or ErrorCode.UnknownTopicId or ErrorCode.InconsistentTopicId;

    /// <summary>Whether the coordinator has to be looked up anew.</summary>
    public static bool InvalidatesCoordinator(ErrorCode error) => error is ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator;
}
