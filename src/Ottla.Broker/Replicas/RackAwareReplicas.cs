using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Replicas;

/// <summary>
/// Sends consumers to a replica in their own rack (KIP-392), as Kafka's <c>RackAwareReplicaSelector</c> does. Stateless; all fetches use
/// it.
/// </summary>
public sealed class RackAwareReplicas(Func<MetadataImage> image)
{
    /// <summary>The class that <c>replica.selector.class</c> names.</summary>
    public const string KafkaClass = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

    /// <summary>No other replica: the leader itself serves the consumer.</summary>
    public const int Leader = -1;

    /// <summary>The broker that a consumer had better fetch a partition from.</summary>
    /// <param name="replica">The replica here, which leads.</param>
    /// <param name="rack">The consumer's rack.</param>
    /// <param name="listener">The listener of the consumer: only brokers that it reaches there are chosen.</param>
    /// <param name="fetchOffset">The offset that it wants.</param>
    /// <returns>
    /// The in-sync replica in its rack that has the offset and is furthest, or <see cref="Leader"/> if the leader is in this rack or no
    /// replica is.
    /// </returns>
    public int Choose(PartitionReplica replica, string rack, string listener, long fetchOffset)
    {
        var leadership = replica.Leadership;
        var cluster = image().Cluster;
        if (!leadership.IsLeaderHere || IsIn(leadership.LeaderId))
            return Leader;
        var (chosen, best) = (Leader, default(FollowerPosition));
        foreach (var id in leadership.InSyncReplicas)
        {
            if (id == leadership.LeaderId || !IsIn(id) || replica.FindFollower(id) is not { } position
                || position.EndOffset < fetchOffset || position.LogStartOffset > fetchOffset)
            {
                continue;
            }

            if (chosen == Leader || Compare(position, id, best, chosen) > 0)
                (chosen, best) = (id, position);
        }

        return chosen;

        bool IsIn(int id) =>
            cluster.Broker(id) is { Fenced: false } broker && broker.Rack == rack && broker.EndpointAt(listener) is not null;
    }

    /// <summary>Which of two followers is further: by end, then by when it was caught up, then by id.</summary>
    private static int Compare(in FollowerPosition one, int oneId, in FollowerPosition other, int otherId)
    {
        var byEnd = one.EndOffset.CompareTo(other.EndOffset);
        if (byEnd != 0)
            return byEnd;
        var byTime = one.LastCaughtUp.UnixMilliseconds.CompareTo(other.LastCaughtUp.UnixMilliseconds);
        return byTime != 0 ? byTime : oneId.CompareTo(otherId);
    }
}
