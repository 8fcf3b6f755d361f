using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>Elections: votes and pre-votes, the beginning and the end of epochs, and who comes next.</content>
public sealed partial class RaftMachine
{
    /// <summary>
    /// How much longer each next follower waits before it stands, when the leader's process has ended: long enough for the one before to
    /// win, for two that stand together may both lose.
    /// </summary>
    private const int StandingOrderStepMs = 100;

    private readonly HashSet<int> _granted = [];
    private readonly HashSet<int> _rejected = [];
    private readonly HashSet<int> _acknowledged = [];
    private readonly HashSet<int> _unreachable = [];
    private IReadOnlyList<ReplicaKey> _successors = [];

    private bool IsRejected => History.Voters.Voters.Count - _rejected.Count < History.Voters.Majority;

    private void RequestVotes(bool isPreVote)
    {
        foreach (var voter in OtherVoters)
        {
            if (!_granted.Contains(voter.Key.Id) && !_rejected.Contains(voter.Key.Id))
                TrySend(voter, new VoteCall(Epoch, _options.Local, voter.Key, _log.End, isPreVote));
        }
    }

    /// <summary>Counts a vote. Returns whether the voter has said its last word.</summary>
    private bool HandleVoteReply(int node, VoteCall call, VoteReply reply)
    {
        if (Role != (call.IsPreVote ? RaftRole.Prospective : RaftRole.Candidate) || History.Voters.Find(node) is null)
            return true;
        if (call.IsPreVote && !reply.IsGranted && HasLeaderEnded)
            return false; // it may be about to notice as well that the leader's process has ended
        (reply.IsGranted ? _granted : _rejected).Add(node);
        return true;
    }

    /// <summary>
    /// The leader's process has ended: a follower need not wait for its fetch time-out to be sure. It stands for election, in the order of
    /// the voters behind the leader, and lets others know that they could win (docs/adr/0016). Pre-votes protect a leader that lives.
    /// </summary>
    private void HandleProcessEnded(int node)
    {
        if (Role != RaftRole.Follower || node != LeaderId || !IsVoter || HasLeaderEnded)
            return;
        _epochOfEndedLeader = Epoch;
        _hasFetchedFromLeader = false;
        var standsAt = _now.AddMilliseconds(Math.Min((long)PlaceBehindLeader() * StandingOrderStepMs, _options.ElectionTimeoutMs));
        if (standsAt < _deadline)
            _deadline = standsAt;
        Note($"The process of leader {LeaderId} of epoch {Epoch} has ended: its connection is closed, and its listener refuses new ones");
    }

    /// <summary>The place of this voter among those behind the leader, in the order of their ids and around: 0 for the next one.</summary>
    private int PlaceBehindLeader()
    {
        var own = DistanceFromLeader(_options.Local.Id);
        return OtherVoters.Count(voter => voter.Key.Id != LeaderId && DistanceFromLeader(voter.Key.Id) < own);
    }

    private uint DistanceFromLeader(int node) => unchecked((uint)(node - LeaderId));

    private VoteReply HandleVote(VoteCall call)
    {
        // A candidate has seen no leader of its epoch, so it has no record of it. Who asks for a pre-vote may have.
        var isIllegal = call.IsPreVote ? call.LogEnd.Epoch > call.Epoch : call.LogEnd.Epoch >= call.Epoch;
        if (isIllegal || call.LogEnd.Offset < 0 || call.LogEnd.Epoch < 0)
            return new VoteReply(ErrorCode.InvalidRequest, LeaderId, Epoch, false);
        if (call.Epoch < Epoch)
            return new VoteReply(ErrorCode.FencedLeaderEpoch, LeaderId, Epoch, false);
        if (call.Candidate.Id < 0)
            return new VoteReply(ErrorCode.InvalidRequest, LeaderId, Epoch, false);
        if (call.Epoch > Epoch)
            BecomeUnattached(call.Epoch);
        if (!IsMeantForThis(call.Voter))
            return new VoteReply(ErrorCode.InvalidVoterKey, LeaderId, Epoch, false);
        var isGranted = CanGrant(call);
        if (isGranted && !call.IsPreVote && Voted is null)
            Enter(RaftRole.Unattached, Epoch, LeaderId, call.Candidate, _now.AddMilliseconds(RandomElectionTimeoutMs));
        return new VoteReply(ErrorCode.None, LeaderId, Epoch, isGranted);
    }

    private bool CanGrant(VoteCall call)
    {
        var isUpToDate = call.LogEnd >= _log.End;
        if (call.IsPreVote)
        {
            return isUpToDate && Role switch
            {
                RaftRole.Follower => !_hasFetchedFromLeader, // the leader works
                RaftRole.Leader => false,
                _ => true,
            };
        }

        if (Role is not (RaftRole.Unattached or RaftRole.Prospective) || call.Candidate.Id == _options.Local.Id)
            return false;
        if (Voted is { } voted)
            return voted.Names(call.Candidate);
        return LeaderId < 0 && isUpToDate;
    }

    private ErrorCode HandleBeginEpoch(BeginEpochCall call)
    {
        if (CheckNamesLeader(call.Epoch, call.LeaderId) is var error && error != ErrorCode.None)
            return error;
        if (!LearnLeader(call.Epoch, call.LeaderId, call.LeaderEndpoints) && Role == RaftRole.Prospective && LeaderId == call.LeaderId
            && LeaderEndpoints is { Count: > 0 } endpoints)
            BecomeFollower(Epoch, LeaderId, endpoints);
        return IsMeantForThis(call.Voter) ? ErrorCode.None : ErrorCode.InvalidVoterKey;
    }

    private ErrorCode HandleEndEpoch(EndEpochCall call)
    {
        if (CheckNamesLeader(call.Epoch, call.LeaderId) is var error && error != ErrorCode.None)
            return error;
        LearnLeader(call.Epoch, call.LeaderId, call.LeaderEndpoints);
        if (Role == RaftRole.Follower && LeaderId == call.LeaderId && !HasLeaderEnded)
            _deadline = _now.AddMilliseconds(SuccessionBackoffMs(call.PreferredCandidates));
        return ErrorCode.None;
    }

    /// <summary>Checks what the leader of an epoch says of itself: it is the only one.</summary>
    private ErrorCode CheckNamesLeader(int epoch, int leaderId) =>
        epoch < Epoch ? ErrorCode.FencedLeaderEpoch
        : leaderId < 0 || leaderId == _options.Local.Id
        || (epoch == Epoch && LeaderId >= 0 && LeaderId != leaderId) ? ErrorCode.InvalidRequest
        : ErrorCode.None;

    /// <summary>
    /// The voters by what they have of the log: who has most should lead next. None after a restart, when nothing is known.
    /// </summary>
    private ReplicaKey[] PreferredSuccessors() =>
        Role != RaftRole.Leader ? []
        : [.. OtherVoters.Select(voter => voter.Key).OrderByDescending(key => FindReplica(key)?.EndOffset ?? -1)];

    /// <summary>The best successor starts at once; each of the others waits twice as long as the one before, to let that one win.</summary>
    private int SuccessionBackoffMs(IReadOnlyList<ReplicaKey> successors)
    {
        var maxMs = _options.ElectionBackoffMaxMs;
        for (var place = 0; place < successors.Count; place++)
        {
            if (!successors[place].Names(_options.Local))
                continue;
            if (place == 0)
                return 0;
            var firstMs = maxMs >> Math.Min(successors.Count - 1, 30);
            return (int)Math.Min(maxMs, (long)firstMs << Math.Min(place - 1, 30));
        }

        return maxMs;
    }

    private bool IsMeantForThis(ReplicaKey voter) => voter.Id < 0 || voter.Names(_options.Local);
}
