namespace Ottla.Broker.Replicas.Followers;

/// <summary>
/// Holds back what leaders here send to followers that have to catch up (KIP-73): <c>leader.replication.throttled.rate</c>, for the
/// replicas that topics name. Thread-safe; lives as long as the broker.
/// </summary>
/// <param name="nodeId">This broker.</param>
/// <param name="throttle">Measures what is sent.</param>
internal sealed class LeaderThrottle(int nodeId, ReplicationThrottle throttle)
{
    /// <summary>
    /// Whether a follower gets no records just now. One that is in sync always does: to hold it back would shrink the ISR.
    /// </summary>
    public bool HoldsBack(PartitionReplica replica, int follower) =>
        Names(replica) && !replica.Leadership.InSyncReplicas.Contains(follower) && throttle.IsExceeded;

    /// <summary>Records of a replica are on their way. As in Kafka, those to followers in sync count too.</summary>
    public void Record(PartitionReplica replica, int bytes)
    {
        if (bytes > 0 && Names(replica))
            throttle.Record(bytes);
    }

    private bool Names(PartitionReplica replica) =>
        replica.Settings.Topic.LeaderReplicationThrottledReplicas is { Count: > 0 } replicas
        && ReplicationThrottle.Names(replicas, replica.Partition.Partition, nodeId);
}
