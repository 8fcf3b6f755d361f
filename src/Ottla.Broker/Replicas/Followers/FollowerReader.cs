using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;

namespace Ottla.Broker.Replicas.Followers;

/// <summary>Reads partitions for followers, in the order of Kafka's checks. Stateless; all sessions use it.</summary>
/// <param name="topics">The replicas of this broker.</param>
/// <param name="leaders">Why a partition is not among them, and who leads it.</param>
/// <param name="throttle">Holds back records.</param>
internal sealed class FollowerReader(HostedTopics topics, LeaderHints leaders, LeaderThrottle throttle)
{
    /// <summary>Counts the fetches that wait for these replicas.</summary>
    public ReplicaWaits Waits => topics.Waits;

    /// <summary>Reads a partition up to the log's end; the result is left in it.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="terms">The fetch.</param>
    /// <param name="maxBytes">The most to read, in bytes.</param>
    /// <param name="minOneBatch">Whether to read the first batch even if it is larger.</param>
    /// <param name="isArrival">
    /// Whether the fetch has just come in. Then the replica hears where the follower is; later, the follower is not there any more.
    /// </param>
    public void Read(FollowerPartition partition, in FollowerFetchTerms terms, int maxBytes, bool minOneBatch, bool isArrival)
    {
        if (!isArrival && partition.IsUnknown)
            return; // it stays unknown for this fetch, as in Kafka
        var topic = terms.UsesTopicIds ? topics.Find(partition.TopicId) : topics.Find(partition.Topic);
        var replica = topic?.Find(partition.Index);
        partition.Observe(replica);
        if (replica is null)
        {
            var missing = leaders.ErrorForMissing(
                terms.UsesTopicIds, partition.Topic, partition.TopicId, partition.KnownName, partition.Index);
            partition.Failed(missing, isArrival && missing is ErrorCode.UnknownTopicId or ErrorCode.UnknownTopicOrPartition);
            return;
        }

        var leaderEpoch = replica.Leadership.LeaderEpoch; // before the check: a later epoch does not count what was read in this one
        var error = replica.CheckFollower(terms.ReplicaId, terms.BrokerEpoch, partition.CurrentLeaderEpoch);
        if (error == ErrorCode.UnknownLeaderEpoch && partition.CurrentLeaderEpoch < 0)
            error = ErrorCode.NotLeaderOrFollower; // no replica: a follower that named no epoch knows no better than this broker
        if (error != ErrorCode.None)
            partition.Failed(error, isUnknown: false);
        else if (TryRead(partition, replica, terms, maxBytes, minOneBatch) && isArrival)
            Record(partition, replica, terms, leaderEpoch);
    }

    /// <summary>Records of a partition are on their way to a follower.</summary>
    public void Sent(FollowerPartition partition)
    {
        if (partition.Replica is not { } replica)
            return;
        throttle.Record(replica, partition.SentBytes);
        replica.Traffic.CountSent(partition.SentBytes);
    }

    /// <summary>Who leads a partition that this broker does not lead; null when nobody knows. Followers know the addresses.</summary>
    public FetchResponse.LeaderIdAndEpoch? LeaderOf(FollowerPartition partition, string listener) =>
        leaders.Find(partition.Topic, partition.TopicId, partition.Index, listener) is { } leader
            ? new FetchResponse.LeaderIdAndEpoch { LeaderId = leader.LeaderId, LeaderEpoch = leader.LeaderEpoch }
            : null;

    private bool TryRead(
        FollowerPartition partition, PartitionReplica replica, in FollowerFetchTerms terms, int maxBytes, bool minOneBatch)
    {
        var request = partition.ReadRequest(maxBytes, minOneBatch);
        try
        {
            if (throttle.HoldsBack(replica, terms.ReplicaId))
                partition.HeldBack(replica.Log.Measure(request));
            else
                partition.Found(replica.Log.Read(request));
            return true;
        }
        catch (LogException e)
        {
            partition.Failed(e.ErrorCode, isUnknown: false);
            return false;
        }
    }

    private static void Record(FollowerPartition partition, PartitionReplica replica, in FollowerFetchTerms terms, int leaderEpoch)
    {
        if (partition.Result.DivergingEpoch is not null)
            return; // the follower truncates first: where it is now says nothing
        replica.RecordFollowerFetch(new FollowerFetch(
            terms.ReplicaId, terms.BrokerEpoch, leaderEpoch, partition.FetchOffset, partition.LogStartOffset,
            partition.Result.LogEndOffset, terms.ArrivedAt));
    }
}
