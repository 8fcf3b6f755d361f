namespace Ottla.Broker.Replicas.Fetching;

/// <summary>What this broker follows: a replica, and whom it fetches from.</summary>
/// <param name="Replica">The replica here.</param>
/// <param name="LeaderId">The broker that leads.</param>
/// <param name="LeaderEpoch">The leader's epoch, in which all that is fetched is appended.</param>
public readonly record struct FollowedPartition(PartitionReplica Replica, int LeaderId, int LeaderEpoch);

/// <summary>Fetches from the leaders of other brokers for the replicas that follow here.</summary>
/// <remarks>Called by the metadata publisher only, one call at a time, after the replicas have taken over their roles.</remarks>
public interface IReplicaFetchers
{
    /// <summary>Fetches for these replicas from now on, from these leaders; those known already begin anew at a new epoch.</summary>
    void Follow(IReadOnlyList<FollowedPartition> partitions);

    /// <summary>
    /// Fetches for these replicas no longer: they lead, or have no leader, or are no more here. An answer that comes late is refused by
    /// the log, which knows its role.
    /// </summary>
    void Stop(IReadOnlyList<PartitionReplica> partitions);
}
