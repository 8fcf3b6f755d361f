using Ottla.Protocol;
using Ottla.StateMachines.Replication;

namespace Ottla.Broker.Replicas;

/// <content>The leader's view of its followers.</content>
public sealed partial class PartitionReplica
{
    /// <summary>Whether a follower may fetch here, in the order of Kafka's checks.</summary>
    /// <param name="replicaId">The follower.</param>
    /// <param name="brokerEpoch">The epoch of its registration; -1 when its request has none.</param>
    /// <param name="currentLeaderEpoch">The leader epoch that it believes in; -1 when it does not say.</param>
    /// <returns><see cref="ErrorCode.None"/>, or the error for the follower.</returns>
    public ErrorCode CheckFollower(int replicaId, long brokerEpoch, int currentLeaderEpoch)
    {
        if (CheckLeader(currentLeaderEpoch) is not ErrorCode.None and var error)
            return error;
        return Leadership.Replicas.Contains(replicaId) ? ErrorCode.None : ErrorCode.UnknownLeaderEpoch;
    }

    /// <summary>
    /// Takes over where a follower is. To be called once when its fetch arrives, after the checks and the read have succeeded; not when a
    /// fetch that waited is answered.
    /// </summary>
    public void RecordFollowerFetch(in FollowerFetch fetch)
    {
        // The leader's state machine comes here.
        _ = fetch;
    }
}
