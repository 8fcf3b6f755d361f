namespace Ottla.Simulator.Replication;

/// <content>What must hold of changes: of the ISR, and of logs that are cut.</content>
internal sealed partial class PartitionInvariants
{
    /// <summary>Where each replica stood at the last look.</summary>
    private readonly Dictionary<int, (int Start, int LeaderEpoch)> _standings = [];

    /// <summary>
    /// P8: a follower cuts its log by what the leader of its epoch says, and so never what that leader has. (What the leader has not may be
    /// committed all the same: that is P1.)
    /// </summary>
    private void CheckTruncations(PartitionView view)
    {
        foreach (var replica in view.Replicas)
        {
            if (replica.Live is not { } live)
            {
                _standings.Remove(replica.NodeId);
                continue;
            }

            var standing = (live.Start, live.LeaderEpoch);
            var hasStayed = _standings.TryGetValue(replica.NodeId, out var before) && before == standing;
            _standings[replica.NodeId] = standing;
            if (!hasStayed || replica.Dropped.Count == 0)
                continue;
            Demand(view, !live.IsLeader, $"leader {replica.NodeId} never to drop {replica.Dropped[0]}");
            var leader = view.Leaders.FirstOrDefault(leader => leader.Live!.LeaderEpoch == live.LeaderEpoch);
            foreach (var batch in leader is null ? [] : replica.Dropped)
                Demand(view, !leader!.Has(batch), $"node {replica.NodeId} not to drop {batch}, which its leader {leader.NodeId} has");
        }
    }

    /// <summary>
    /// P10: who is in sync has fetched in its present registration, or in a newer one that no node has published yet: what the process
    /// before it had may be lost.
    /// </summary>
    private void CheckEpochsOfInSync(PartitionView view, ReplicaView leader, LiveReplica live)
    {
        foreach (var (member, epoch) in live.FetchedBy)
        {
            if (epoch >= 0 && view.Registration.Isr.Contains(member))
            {
                var registered = view.Brokers.Broker(member)?.Epoch;
                Demand(
                    view, registered <= epoch,
                    $"member {member} of the ISR to fetch from {leader.NodeId} in its broker epoch {registered}, not in {epoch}");
            }
        }
    }

    /// <summary>
    /// P2: nobody is in sync by the metadata whom the leader does not count, and who knows the same metadata knows the same ISR.
    /// </summary>
    private void CheckInSync(PartitionView view)
    {
        var registration = view.Registration;
        foreach (var leader in view.Leaders)
        {
            var live = leader.Live!;
            if (live.LeaderEpoch != registration.LeaderEpoch || live.PartitionEpoch > registration.PartitionEpoch)
                continue;
            foreach (var member in registration.Isr)
                Demand(view, live.MayBeInSync(member), $"leader {leader.NodeId} to count {member}, which is in sync by the metadata");
            if (live.PartitionEpoch != registration.PartitionEpoch)
                continue;
            Demand(
                view, live.InSync.Count == registration.Isr.Length && live.InSync.All(member => registration.Isr.Contains(member)),
                $"leader {leader.NodeId} to know the ISR of partition epoch {live.PartitionEpoch}");
            CheckEpochsOfInSync(view, leader, live);
        }
    }
}
