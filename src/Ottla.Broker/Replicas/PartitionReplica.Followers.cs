using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Replication;

namespace Ottla.Broker.Replicas;

/// <content>The leader: what it knows of its followers, and what follows for the high watermark and the ISR.</content>
public sealed partial class PartitionReplica
{
    /// <summary>
    /// Guards the leader's state, and is held while a high watermark that follows from it is applied. Taken before the log's lock.
    /// </summary>
    private readonly ScheduledLock _leaderLock = new();

    /// <summary>
    /// Null unless this broker leads and there are other replicas. Replaced under the lock; whether there is one is seen without it.
    /// </summary>
    private volatile PartitionLeaderState? _leader;

    /// <summary>What to ask the controller for; null when there is nothing to ask.</summary>
    public IsrProposal? OpenProposal
    {
        get
        {
            using (_leaderLock.EnterScope())
                return _leader is { IsProposalOpen: true } leader ? leader.Proposal : null;
        }
    }

    /// <summary>The change of the ISR that is not settled yet, whether it is to be sent or waits for the metadata; null for none.</summary>
    internal IsrProposal? PendingProposal
    {
        get
        {
            using (_leaderLock.EnterScope())
                return _leader?.Proposal;
        }
    }

    /// <summary>The followers that have fetched from this leader, each with the broker epoch of its last fetch, or -1.</summary>
    internal IReadOnlyList<(int ReplicaId, long BrokerEpoch)> FetchedBy
    {
        get
        {
            using (_leaderLock.EnterScope())
            {
                var fetched = new List<(int, long)>();
                foreach (var follower in _leader is { } leader ? leader.Followers : [])
                {
                    if (follower.BrokerEpoch is { } epoch)
                        fetched.Add((follower.Id, epoch));
                }

                return fetched;
            }
        }
    }

    private Instant Now => Instant.Now(_surroundings.Time);

    /// <summary>Whether a follower may fetch here, in the order of Kafka's checks.</summary>
    /// <param name="replicaId">The follower.</param>
    /// <param name="brokerEpoch">The epoch of its registration; -1 when its request has none.</param>
    /// <param name="currentLeaderEpoch">The leader epoch that it believes in; -1 when it does not say.</param>
    /// <returns><see cref="ErrorCode.None"/>, or the error for the follower.</returns>
    public ErrorCode CheckFollower(int replicaId, long brokerEpoch, int currentLeaderEpoch)
    {
        if (CheckLeader(currentLeaderEpoch) is not ErrorCode.None and var error)
            return error;
        using (_leaderLock.EnterScope())
            return _leader?.Check(replicaId, brokerEpoch, _surroundings.Cluster) ?? ErrorCode.UnknownLeaderEpoch;
    }

    /// <summary>
    /// Takes over where a follower is. To be called once when its fetch arrives, after the checks and the read have succeeded; not when a
    /// fetch that waited is answered.
    /// </summary>
    public void RecordFollowerFetch(in FollowerFetch fetch)
    {
        FollowerMoves moves;
        Conclusion conclusion;
        using (_leaderLock.EnterScope())
        {
            if (_leader is not { } leader)
                return;
            moves = leader.OnFetch(fetch, _surroundings.Cluster);
            // In this order, as in Kafka: a follower that has reached the high watermark joins before it moves on.
            var hasProposed = Expand(leader);
            conclusion = new Conclusion(hasProposed, (moves & FollowerMoves.End) != 0 && Commit(leader));
        }

        Carry(conclusion, (moves & FollowerMoves.LogStart) != 0 ? ReplicaChange.LogStart : ReplicaChange.None);
    }

    /// <summary>
    /// What is known of a follower: its end and start offset and when it was caught up. Null when there is no such follower.
    /// </summary>
    public FollowerPosition? FindFollower(int replicaId)
    {
        using (_leaderLock.EnterScope())
        {
            return _leader?.Find(replicaId) is { } follower
                ? new FollowerPosition(follower.EndOffset, follower.LogStartOffset, follower.LastCaughtUp)
                : null;
        }
    }

    /// <summary>
    /// The offset before which all replicas on live brokers have deleted their records; -1 when a follower has not said where its log
    /// starts. When it moves, <see cref="ReplicaChange.LogStart"/> is announced.
    /// </summary>
    public long LowWatermark
    {
        get
        {
            using (_leaderLock.EnterScope())
            {
                var start = Log.LogStartOffset;
                return _leader?.LowWatermark(start, _surroundings.Cluster) ?? start;
            }
        }
    }

    /// <summary>
    /// Proposes an ISR without the followers that lag for too long, and looks again at what time alone changes. To be called twice in
    /// <c>replica.lag.time.max.ms</c>.
    /// </summary>
    public void CheckLag()
    {
        if (_leader is null)
            return;
        Conclusion conclusion;
        using (_leaderLock.EnterScope())
        {
            if (_leader is not { } leader)
                return;
            if (leader.ProposeShrink(Moment()) is { } shrink)
            {
                LogShrinks(leader, shrink);
                conclusion = new Conclusion(HasProposed: true, HasMoved: false);
            }
            else
            {
                conclusion = Conclude(mayExpand: true);
            }
        }

        Carry(conclusion);
    }

    /// <summary>Other brokers are alive now, or others are not: followers that wait for it join the ISR.</summary>
    public void OnBrokersChanged()
    {
        if (_leader is null)
            return;
        Conclusion conclusion;
        using (_leaderLock.EnterScope())
            conclusion = Conclude(mayExpand: true);
        Carry(conclusion, ReplicaChange.LogStart); // a broker that is gone is not waited for by DeleteRecords
    }

    /// <summary>Takes over what the controller answered to a proposal.</summary>
    public ProposalFate OnAnswer(IsrProposal proposal, in IsrAnswer answer)
    {
        ProposalFate fate;
        Conclusion conclusion = default;
        using (_leaderLock.EnterScope())
        {
            if (_leader is not { } leader)
                return ProposalFate.Settled;
            fate = leader.OnAnswer(proposal, answer);
            _surroundings.IsrCounters.CountFate(fate);
            if (fate is ProposalFate.Committed or ProposalFate.Withdrawn)
            {
                ShowIsr();
                // Who was refused is proposed again when it fetches, or when its broker changes: not at once.
                conclusion = Conclude(mayExpand: fate == ProposalFate.Committed);
            }

            LogFate(leader, proposal, answer, fate);
        }

        // Who waits for a commit learns also that too few replicas are left.
        Carry(conclusion, fate == ProposalFate.Committed ? ReplicaChange.HighWatermark : ReplicaChange.None);
        return fate;
    }

    /// <summary>The leader has appended. Followers are told, and the high watermark moves if none of them is in sync.</summary>
    private void OnAppended(long endBefore, Instant now)
    {
        if (_leader is null)
        {
            Announce(ReplicaChange.Appended | ReplicaChange.HighWatermark); // the log has committed it by itself
            return;
        }

        Conclusion conclusion;
        using (_leaderLock.EnterScope())
        {
            _leader?.OnAppend(endBefore, now);
            conclusion = Conclude(mayExpand: false);
        }

        Carry(conclusion, ReplicaChange.Appended);
    }

    /// <summary>Draws the conclusions from what has changed, other than by a follower's fetch. Under the lock.</summary>
    /// <remarks>The high watermark moves first: who has just left the ISR because it held it back must not be proposed again.</remarks>
    /// <param name="mayExpand">Whether a follower may have come to belong into the ISR.</param>
    private Conclusion Conclude(bool mayExpand)
    {
        if (_leader is not { } leader)
            return default;
        var hasMoved = Commit(leader);
        return new Conclusion(HasProposed: mayExpand && Expand(leader), hasMoved);
    }

    /// <summary>Moves the high watermark to where the followers are. Under the lock.</summary>
    /// <returns>Whether it moved.</returns>
    private bool Commit(PartitionLeaderState leader)
    {
        var moment = Moment();
        return leader.HighWatermark(moment) is var offset && offset > moment.HighWatermark
            && Log.AdvanceHighWatermark(offset, leader.LeaderEpoch);
    }

    /// <summary>Proposes to add a follower to the ISR, if one belongs there. Under the lock.</summary>
    /// <returns>Whether the controller is to be asked.</returns>
    private bool Expand(PartitionLeaderState leader)
    {
        if (leader.Proposal is not null || leader.ProposeExpansion(Moment()) is null)
            return false;
        ShowIsr();
        return true;
    }

    /// <summary>Has others know what was concluded. Outside of the lock.</summary>
    private void Carry(in Conclusion conclusion, ReplicaChange change = ReplicaChange.None)
    {
        if (conclusion.HasMoved)
            change |= ReplicaChange.HighWatermark;
        if (change != ReplicaChange.None)
            Announce(change);
        if (conclusion.HasProposed)
            _surroundings.IsrChanges.Request(this);
    }

    private LeaderMoment Moment() => new(
        Log.LogEndOffset, Log.HighWatermark, _settings.Topic.MinInsyncReplicas, _surroundings.Config().ReplicaLagTimeMaxMs,
        _surroundings.BrokerEpoch(), _surroundings.Cluster, Now);

    /// <summary>Lets requests see the ISR of the leader's state.</summary>
    private void ShowIsr()
    {
        if (_leader is not { } leader)
            return;
        var known = _leadership;
        if (known.PartitionEpoch == leader.PartitionEpoch && known.MaximalIsrCount == leader.MaximalIsrCount)
            return;
        _leadership = known with
        {
            PartitionEpoch = leader.PartitionEpoch,
            InSyncReplicas = leader.Isr,
            MaximalIsrCount = leader.MaximalIsrCount,
        };
    }

    private void LogShrinks(PartitionLeaderState leader, IsrProposal shrink)
    {
        foreach (var follower in leader.Followers)
        {
            if (leader.Isr.Contains(follower.Id) && !shrink.Isr.Any(member => member.BrokerId == follower.Id))
                LogLags(
                    _surroundings.Logger, Partition, follower.Id, follower.EndOffset, Log.LogEndOffset,
                    Now.MillisecondsSince(follower.LastCaughtUp));
        }
    }

    private void LogFate(PartitionLeaderState leader, IsrProposal proposal, in IsrAnswer answer, ProposalFate fate)
    {
        var logger = _surroundings.Logger;
        if (fate == ProposalFate.Committed)
            LogIsr(
                logger, Partition, string.Join(',', leader.Isr), leader.PartitionEpoch,
                HasEnoughInSync(_leadership) ? "" : " (under min ISR)");
        else if (fate == ProposalFate.Retried)
            LogRetried(logger, Partition, proposal, answer.Error);
        else
            LogRefused(logger, Partition, proposal, answer.Error, fate);
    }

    /// <param name="HasProposed">There is something to ask the controller for.</param>
    /// <param name="HasMoved">The high watermark has moved.</param>
    private readonly record struct Conclusion(bool HasProposed, bool HasMoved);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "{Partition}: follower {Follower} leaves the ISR. Its log ends at {FollowerEnd}, the leader's at {LeaderEnd}, and it was "
            + "caught up {Milliseconds} ms ago last (replica.lag.time.max.ms)")]
    private static partial void LogLags(
        ILogger logger, TopicPartition partition, int follower, long followerEnd, long leaderEnd, long milliseconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Partition}: the ISR is [{Isr}] in partition epoch {Epoch}{Note}")]
    private static partial void LogIsr(ILogger logger, TopicPartition partition, string isr, int epoch, string note);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Partition}: the controller does not take {Proposal}: {Error} ({Fate})")]
    private static partial void LogRefused(
        ILogger logger, TopicPartition partition, IsrProposal proposal, ErrorCode error, ProposalFate fate);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "{Partition}: the controller cannot take {Proposal}: {Error}. The broker asks again")]
    private static partial void LogRetried(ILogger logger, TopicPartition partition, IsrProposal proposal, ErrorCode error);
}

/// <summary>Where a follower is, as its leader knows it.</summary>
/// <param name="EndOffset">Its log's end; -1 when it has not fetched yet.</param>
/// <param name="LogStartOffset">Its log's start; -1 when it has not fetched yet.</param>
/// <param name="LastCaughtUp">When it last had everything.</param>
public readonly record struct FollowerPosition(long EndOffset, long LogStartOffset, Instant LastCaughtUp);
