using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Replication;

/// <summary>
/// What the leader of one partition knows of its followers, and what it concludes: the high watermark, and who belongs into the ISR.
/// </summary>
/// <remarks>
/// Pure: no log, clock, or lock. Made when a broker begins to lead, and kept while it leads. Whoever hosts it calls it under one lock, and
/// applies the high watermark under the same one: an ISR must not grow between the computation of a high watermark and its application.
/// <para>
/// While a proposal is pending, two ISRs may be in force. The high watermark counts the members of both (the maximal ISR), so it is safe
/// whichever it is. Nothing here costs anything while a partition is idle.
/// </para>
/// </remarks>
public sealed class PartitionLeaderState
{
    private readonly int _nodeId;
    private FollowerProgress[] _followers = [];
    private long _epochStartOffset;

    /// <summary>Begins to lead.</summary>
    /// <param name="nodeId">This broker.</param>
    /// <param name="registration">The partition, of which it is the leader.</param>
    /// <param name="endOffset">Its log's end.</param>
    /// <param name="now">The time.</param>
    public PartitionLeaderState(int nodeId, PartitionRegistration registration, long endOffset, Instant now)
    {
        _nodeId = nodeId;
        Isr = registration.Isr;
        LeaderEpoch = registration.LeaderEpoch;
        PartitionEpoch = registration.PartitionEpoch;
        SetFollowers(registration.Replicas);
        BeginEpoch(endOffset, isLeaderNew: true, now);
    }

    /// <summary>The epoch of this leader.</summary>
    public int LeaderEpoch { get; private set; }

    /// <summary>The version of what is committed.</summary>
    public int PartitionEpoch { get; private set; }

    /// <summary>The ISR that is committed.</summary>
    public ImmutableArray<int> Isr { get; private set; }

    /// <summary>The change that the controller was asked for; null when there is none.</summary>
    public IsrProposal? Proposal { get; private set; }

    /// <summary>Whether <see cref="Proposal"/> is to be sent, or was and is to be sent again; not when it waits for the metadata.</summary>
    public bool IsProposalOpen { get; private set; }

    /// <summary>The number of replicas that may be in the ISR: those that are, and the one that was proposed.</summary>
    public int MaximalIsrCount => Isr.Length + (Proposal is { Added: not null } ? 1 : 0);

    /// <summary>The followers.</summary>
    public ReadOnlySpan<FollowerProgress> Followers => _followers;

    /// <summary>
    /// How many in-sync replicas are needed: <c>min.insync.replicas</c>, or the number of replicas if that is lower, as in Kafka.
    /// </summary>
    public int MinIsr(int minInSyncReplicas) => Math.Min(minInSyncReplicas, _followers.Length + 1);

    /// <summary>The follower of an id; null when the broker has no replica.</summary>
    public FollowerProgress? Find(int replicaId)
    {
        foreach (var follower in _followers)
        {
            if (follower.Id == replicaId)
                return follower;
        }

        return null;
    }

    /// <summary>Whether a broker may fetch as a follower.</summary>
    /// <returns>
    /// UNKNOWN_LEADER_EPOCH when it has no replica as far as this leader knows, or NOT_LEADER_OR_FOLLOWER when it has registered anew since
    /// it sent the request. It asks again after both.
    /// </returns>
    public ErrorCode Check(int replicaId, long brokerEpoch, ClusterImage cluster) =>
        Find(replicaId) is null ? ErrorCode.UnknownLeaderEpoch
        : IsOfFormerRegistration(replicaId, brokerEpoch, cluster) ? ErrorCode.NotLeaderOrFollower
        : ErrorCode.None;

    /// <summary>Takes over a fetch that was answered with records, or with none because there are none. Others say nothing.</summary>
    /// <returns>What has moved.</returns>
    public FollowerMoves OnFetch(in FollowerFetch fetch, ClusterImage cluster)
    {
        if (fetch.LeaderEpoch != LeaderEpoch
            || Find(fetch.ReplicaId) is not { } follower
            || IsOfFormerRegistration(fetch.ReplicaId, fetch.BrokerEpoch, cluster))
        {
            return FollowerMoves.None;
        }

        var before = (follower.EndOffset, follower.LogStartOffset);
        follower.OnFetch(fetch);
        return (before.EndOffset == follower.EndOffset ? FollowerMoves.None : FollowerMoves.End)
            | (before.LogStartOffset == follower.LogStartOffset ? FollowerMoves.None : FollowerMoves.LogStart);
    }

    /// <summary>The leader has appended to its log.</summary>
    /// <param name="endBefore">Where the log ended before.</param>
    /// <param name="now">The time.</param>
    public void OnAppend(long endBefore, Instant now)
    {
        foreach (var follower in _followers)
            follower.OnAppend(endBefore, now);
    }

    /// <summary>
    /// Takes over the partition from the metadata, of which this broker is the leader. A newer version settles what is pending: the
    /// controller refuses a proposal that is based on an older one.
    /// </summary>
    /// <returns>False when it is older than what the controller has answered already.</returns>
    public bool OnMetadata(PartitionRegistration registration, long endOffset, Instant now)
    {
        if (registration.PartitionEpoch < PartitionEpoch)
            return false;
        SetFollowers(registration.Replicas);
        if (registration.PartitionEpoch > PartitionEpoch)
        {
            Isr = registration.Isr;
            PartitionEpoch = registration.PartitionEpoch;
            Settle();
        }

        if (registration.LeaderEpoch > LeaderEpoch)
        {
            LeaderEpoch = registration.LeaderEpoch;
            BeginEpoch(endOffset, isLeaderNew: false, now);
        }

        return true;
    }

    /// <summary>Takes over what the controller answered to a proposal.</summary>
    public ProposalFate OnAnswer(IsrProposal proposal, in IsrAnswer answer)
    {
        if (!ReferenceEquals(proposal, Proposal))
            return ProposalFate.Settled;
        switch (answer.Error)
        {
            case ErrorCode.None when answer.LeaderEpoch == LeaderEpoch && answer.PartitionEpoch >= PartitionEpoch:
                Isr = answer.Isr;
                PartitionEpoch = answer.PartitionEpoch;
                Settle();
                return ProposalFate.Committed;
            case ErrorCode.IneligibleReplica or ErrorCode.OperationNotAttempted:
                Settle();
                return ProposalFate.Withdrawn;
            case ErrorCode.None or ErrorCode.UnknownTopicOrPartition or ErrorCode.UnknownTopicId or ErrorCode.FencedLeaderEpoch
                or ErrorCode.InvalidUpdateVersion or ErrorCode.InvalidRequest or ErrorCode.NewLeaderElected:
                IsProposalOpen = false;
                return ProposalFate.AwaitsMetadata;
            default:
                return ProposalFate.Retried;
        }
    }

    /// <summary>
    /// Proposes the first follower that belongs into the ISR and is not in it. To be asked when a follower has fetched, when a proposal is
    /// settled, and when the metadata of brokers changes.
    /// </summary>
    /// <returns>The proposal; null when there is none to make, or one is pending.</returns>
    public IsrProposal? ProposeExpansion(in LeaderMoment moment)
    {
        if (Proposal is not null)
            return null;
        foreach (var follower in _followers)
        {
            if (BelongsIntoIsr(follower, moment))
                return Propose([.. Isr, follower.Id], follower.Id, moment.BrokerEpoch);
        }

        return null;
    }

    /// <summary>Proposes an ISR without those that have not caught up for too long. To be asked twice in the allowed lag.</summary>
    /// <returns>The proposal; null when there is none to make, or one is pending.</returns>
    public IsrProposal? ProposeShrink(in LeaderMoment moment)
    {
        if (Proposal is not null)
            return null;
        var (end, now, lagMaxMs) = (moment.EndOffset, moment.Now, moment.LagMaxMs);
        var remaining = Isr.RemoveAll(id => id != _nodeId && Find(id)?.IsCaughtUp(end, now, lagMaxMs) != true);
        return remaining.Length == Isr.Length ? null : Propose(remaining, added: null, moment.BrokerEpoch);
    }

    /// <summary>
    /// The offset before which everything is committed: the least end of the maximal ISR, and of those that are caught up and may join. The
    /// latter could never join if the high watermark kept ahead of them.
    /// </summary>
    /// <returns>
    /// The offset, -1 when a member of the ISR has not fetched yet, or the ISR is below its minimum: it does not move then.
    /// </returns>
    public long HighWatermark(in LeaderMoment moment)
    {
        if (Isr.Length < MinIsr(moment.MinInSyncReplicas))
            return -1; // consumers must not see what too few replicas hold (KIP-966)
        var offset = moment.EndOffset;
        foreach (var follower in _followers)
        {
            if (follower.EndOffset < offset && (IsInMaximalIsr(follower.Id) || IsAboutToJoin(follower, moment)))
                offset = follower.EndOffset;
        }

        return offset;
    }

    /// <summary>The least log start offset of the replicas whose brokers are alive: all of these have deleted what is before it.</summary>
    /// <returns>The offset; -1 when one of them has not fetched yet.</returns>
    public long LowWatermark(long logStartOffset, ClusterImage cluster)
    {
        var offset = logStartOffset;
        foreach (var follower in _followers)
        {
            if (follower.LogStartOffset < offset && cluster.Broker(follower.Id) is { Fenced: false })
                offset = follower.LogStartOffset;
        }

        return offset;
    }

    /// <summary>
    /// A follower belongs into the ISR when it has all that is committed, and all from before this leader's epoch: of that, the leader does
    /// not know what is committed.
    /// </summary>
    private bool BelongsIntoIsr(FollowerProgress follower, in LeaderMoment moment) =>
        !Isr.Contains(follower.Id)
        && follower.EndOffset >= moment.HighWatermark
        && follower.EndOffset >= _epochStartOffset
        && IsEligible(follower, moment.Cluster)
        && !WouldBeRemovedAgain(follower, moment);

    /// <summary>
    /// Below the minimum the high watermark stands still, and reaching it proves nothing: a follower that cannot keep up would come and go
    /// with every check (KAFKA-19996).
    /// </summary>
    private bool WouldBeRemovedAgain(FollowerProgress follower, in LeaderMoment moment) =>
        Isr.Length < MinIsr(moment.MinInSyncReplicas) && !follower.IsCaughtUp(moment.EndOffset, moment.Now, moment.LagMaxMs);

    private static bool IsAboutToJoin(FollowerProgress follower, in LeaderMoment moment) =>
        follower.IsCaughtUp(moment.EndOffset, moment.Now, moment.LagMaxMs) && IsEligible(follower, moment.Cluster);

    /// <summary>
    /// The controller refuses others: those that are fenced or leave, and those that have registered anew since they fetched.
    /// </summary>
    private static bool IsEligible(FollowerProgress follower, ClusterImage cluster) =>
        follower.BrokerEpoch is { } epoch
        && cluster.Broker(follower.Id) is { IsActive: true } broker
        && (epoch == -1 || epoch == broker.Epoch);

    private static bool IsOfFormerRegistration(int replicaId, long brokerEpoch, ClusterImage cluster) =>
        brokerEpoch != -1 && cluster.Broker(replicaId) is { Fenced: false } broker && broker.Epoch > brokerEpoch;

    private bool IsInMaximalIsr(int replicaId) => Isr.Contains(replicaId) || Proposal?.Added == replicaId;

    private IsrProposal Propose(ImmutableArray<int> isr, int? added, long brokerEpoch)
    {
        ImmutableArray<IsrMember> members =
            [.. isr.Order().Select(id => new IsrMember(id, id == _nodeId ? brokerEpoch : Find(id)?.BrokerEpoch ?? -1))];
        IsProposalOpen = true;
        return Proposal = new IsrProposal(LeaderEpoch, PartitionEpoch, members, added);
    }

    private void Settle()
    {
        Proposal = null;
        IsProposalOpen = false;
    }

    private void SetFollowers(ImmutableArray<int> replicas)
    {
        var known = _followers;
        _followers = [.. replicas.Where(id => id != _nodeId)
            .Select(id => Array.Find(known, follower => follower.Id == id) ?? new FollowerProgress(id))];
    }

    private void BeginEpoch(long endOffset, bool isLeaderNew, Instant now)
    {
        _epochStartOffset = endOffset;
        foreach (var follower in _followers)
            follower.Begin(endOffset, isLeaderNew, Isr.Contains(follower.Id), now);
    }
}
