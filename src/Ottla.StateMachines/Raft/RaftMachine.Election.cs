using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>Elections: the roles and their transitions, votes, and the beginning and end of epochs.</content>
public sealed partial class RaftMachine
{
    private readonly HashSet<int> _granted = [];
    private readonly HashSet<int> _rejected = [];
    private readonly HashSet<int> _acknowledged = [];
    private int[] _granting = [];
    private bool _notifiesResignation;

    /// <summary>The deadline of the current role: election timeout, fetch timeout, or the leader's check of its quorum.</summary>
    private Instant _deadline;

    private int RandomElectionTimeoutMs => _options.ElectionTimeoutMs + _prng.NextInt(Math.Max(_options.ElectionTimeoutMs, 1));

    private void BecomeUnattached(int epoch)
    {
        // A running election timeout continues, so that news of other epochs cannot postpone an election for ever.
        var keepsDeadline = _isStarted && Role is RaftRole.Unattached or RaftRole.Candidate && _deadline > _now && epoch > Epoch;
        var deadline = keepsDeadline ? _deadline : _now.AddMilliseconds(RandomElectionTimeoutMs);
        Enter(RaftRole.Unattached, epoch, epoch > Epoch ? -1 : LeaderId, epoch > Epoch ? null : Voted, deadline);
    }

    private void BecomeUnattachedForShutdown() => Enter(RaftRole.Unattached, Epoch, LeaderId, Voted, _now);

    private void BecomeProspective()
    {
        Enter(RaftRole.Prospective, Epoch, LeaderId, Voted, _now.AddMilliseconds(RandomElectionTimeoutMs));
        _granted.Add(_options.Local.Id);
    }

    private void BecomeCandidate()
    {
        Enter(RaftRole.Candidate, Epoch + 1, -1, _options.Local, _now.AddMilliseconds(RandomElectionTimeoutMs));
        _granted.Add(_options.Local.Id);
    }

    /// <summary>Becomes a candidate again after a restart: its vote for itself counts, and others may have voted for it.</summary>
    private void BecomeCandidateAgain()
    {
        Enter(RaftRole.Candidate, Epoch, -1, _options.Local, _now.AddMilliseconds(RandomElectionTimeoutMs));
        _granted.Add(_options.Local.Id);
    }

    private void BecomeFollower(int epoch, int leaderId)
    {
        Invariant.Check(leaderId != _options.Local.Id && epoch >= Epoch, "a follower has another leader and a current epoch");
        Enter(RaftRole.Follower, epoch, leaderId, epoch > Epoch ? null : Voted, _now.AddMilliseconds(_options.FetchTimeoutMs));
        _hasFetchedFromLeader = false;
        _leaderHighWatermark = -1;
    }

    private void BecomeLeader()
    {
        Enter(RaftRole.Leader, Epoch, _options.Local.Id, null, default);
        EpochStartOffset = _log.EndOffset;
        StartCheckQuorum();
        _replicas.Clear();
        var history = History;
        var self = new Voter(_options.Local, _options.Endpoints);
        // As in Kafka (KIP-853), the first leader of a dynamic quorum writes the voters, and so does a leader whose own entry changed.
        var writesVoters = history.KRaftVersion > 0
            && (history.VotersOffset == QuorumHistory.BeforeLog
                || (self.Endpoints.Count > 0 && history.Voters.Find(self.Key.Id)!.DiffersFrom(self)));
        var voters = self.Endpoints.Count > 0 ? history.Voters.With(self) : history.Voters;
        _effects.Log.Add(new RaftLogEffect.AppendEpochStart(
            _log.EndOffset,
            Epoch,
            _now,
            LeaderId,
            [.. history.Voters.Voters.Select(voter => voter.Key.Id)],
            [.. _granting.Order()],
            writesVoters ? history.KRaftVersion : null,
            writesVoters ? voters : null));
        _isAppendPending = true;
    }

    private void BecomeResigned(bool notify)
    {
        Enter(RaftRole.Resigned, Epoch, _options.Local.Id, Voted, _now.AddMilliseconds(RandomElectionTimeoutMs));
        _notifiesResignation = notify;
    }

    private void Enter(RaftRole role, int epoch, int leaderId, ReplicaKey? voted, Instant deadline)
    {
        Invariant.Check(epoch >= Epoch, "the epoch never decreases");
        if (Role == RaftRole.Leader)
            RefuseParkedFetches(epoch, role == RaftRole.Follower ? leaderId : -1);
        _granting = role == RaftRole.Leader ? [.. _granted] : [];
        (Role, Epoch, LeaderId, Voted, _deadline) = (role, epoch, leaderId, voted, deadline);
        _granted.Clear();
        _rejected.Clear();
        _acknowledged.Clear();
        _fetchingSnapshot = null;
        foreach (var link in _links.Values)
        {
            link.Back(_now);
            link.AnnouncedAt = long.MinValue;
        }
    }

    private bool DriveUnattached()
    {
        if (IsVoter && !_isShuttingDown)
        {
            if (_now >= _deadline || IsOnlyVoter)
            {
                BecomeProspective();
                return true;
            }

            WakeAt(_deadline);
        }

        if (!_isShuttingDown)
            FetchFromAnyVoter();
        return false;
    }

    private bool DriveProspective()
    {
        if (_granted.Count >= History.Voters.Majority)
        {
            BecomeCandidate();
            return true;
        }

        var isRejected = IsRejected;
        if (isRejected || _now >= _deadline || !IsVoter)
        {
            // The known leader may still be alive: wait for it once more.
            if (LeaderId >= 0 && History.Voters.Find(LeaderId) is not null && LeaderId != _options.Local.Id)
                BecomeFollower(Epoch, LeaderId);
            else
                Enter(RaftRole.Unattached, Epoch, LeaderId, Voted,
                    _now.AddMilliseconds(isRejected ? RandomElectionTimeoutMs : _options.RetryBackoffMs));
            return true;
        }

        WakeAt(_deadline);
        RequestVotes(isPreVote: true);
        return false;
    }

    private bool DriveCandidate()
    {
        if (_granted.Count >= History.Voters.Majority)
        {
            BecomeLeader();
            return true;
        }

        if (IsRejected || _now >= _deadline || !IsVoter)
        {
            BecomeProspective();
            return true;
        }

        WakeAt(_deadline);
        RequestVotes(isPreVote: false);
        return false;
    }

    private bool DriveResigned()
    {
        if (!_isShuttingDown && IsOnlyVoter)
        {
            BecomeProspective();
            return true;
        }

        if (_now >= _deadline || (_isShuttingDown && OtherVoters.All(voter => _acknowledged.Contains(voter.Key.Id))))
        {
            if (_isShuttingDown)
                BecomeUnattachedForShutdown();
            else
                BecomeUnattached(Epoch + 1);
            return true;
        }

        WakeAt(_deadline);
        if (!_notifiesResignation)
            return false;
        var successors = OtherVoters.Select(voter => voter.Key)
            .OrderByDescending(key => _replicas.TryGetValue(key, out var state) ? state.EndOffset : -1).ToArray();
        foreach (var voter in OtherVoters.Where(voter => !_acknowledged.Contains(voter.Key.Id)))
            TrySend(voter.Key.Id, new EndEpochCall(Epoch, _options.Local.Id, successors));
        return false;
    }

    private bool IsRejected => History.Voters.Voters.Count - _rejected.Count < History.Voters.Majority;

    private void RequestVotes(bool isPreVote)
    {
        foreach (var voter in OtherVoters)
        {
            if (!_granted.Contains(voter.Key.Id) && !_rejected.Contains(voter.Key.Id))
                TrySend(voter.Key.Id, new VoteCall(Epoch, _options.Local, voter.Key, _log.End, isPreVote));
        }
    }

    private void HandleVoteReply(int node, VoteCall call, VoteReply reply)
    {
        if (Role != (call.IsPreVote ? RaftRole.Prospective : RaftRole.Candidate))
            return;
        if (reply.Error == ErrorCode.UnsupportedVersion && call.IsPreVote)
            BecomeCandidate(); // the voter is older than KIP-996
        else if (reply.Error == ErrorCode.None && History.Voters.Find(node) is not null)
            (reply.IsGranted ? _granted : _rejected).Add(node);
    }

    private VoteReply HandleVote(VoteCall call)
    {
        var isIllegal = call.IsPreVote ? call.LogEnd.Epoch > call.Epoch : call.LogEnd.Epoch >= call.Epoch;
        if (isIllegal || call.LogEnd.Offset < 0 || call.LogEnd.Epoch < 0 || call.Candidate.Id < 0 || call.Candidate.Id == _options.Local.Id)
            return new VoteReply(ErrorCode.InvalidRequest, LeaderId, Epoch, false);
        if (call.Epoch < Epoch)
            return new VoteReply(ErrorCode.FencedLeaderEpoch, LeaderId, Epoch, false);
        if (call.Epoch > Epoch)
            BecomeUnattached(call.Epoch);
        if (!IsLocal(call.Voter))
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
                RaftRole.Leader => HighWatermark <= EpochStartOffset, // the leader has not committed a record of its epoch yet
                _ => true,
            };
        }

        if (Role is not (RaftRole.Unattached or RaftRole.Prospective))
            return false;
        if (Voted is { } voted)
            return voted.Id == call.Candidate.Id && (voted.DirectoryId == Uuid.Zero || voted.DirectoryId == call.Candidate.DirectoryId);
        return LeaderId < 0 && isUpToDate;
    }

    private ErrorCode HandleBeginEpoch(BeginEpochCall call)
    {
        if (call.Epoch < Epoch)
            return ErrorCode.FencedLeaderEpoch;
        if (call.LeaderId < 0 || call.LeaderId == _options.Local.Id || (call.Epoch == Epoch && LeaderId >= 0 && LeaderId != call.LeaderId))
            return ErrorCode.InvalidRequest;
        if (!AdoptEpochAndLeader(call.Epoch, call.LeaderId) && Role == RaftRole.Prospective && LeaderId == call.LeaderId)
            BecomeFollower(Epoch, LeaderId);
        return IsLocal(call.Voter) ? ErrorCode.None : ErrorCode.InvalidVoterKey;
    }

    private ErrorCode HandleEndEpoch(EndEpochCall call)
    {
        if (call.Epoch < Epoch)
            return ErrorCode.FencedLeaderEpoch;
        if (call.LeaderId < 0 || call.LeaderId == _options.Local.Id || (call.Epoch == Epoch && LeaderId >= 0 && LeaderId != call.LeaderId))
            return ErrorCode.InvalidRequest;
        AdoptEpochAndLeader(call.Epoch, call.LeaderId);
        if (Role == RaftRole.Follower && LeaderId == call.LeaderId)
            _deadline = _now.AddMilliseconds(SuccessionBackoffMs(call.PreferredCandidates));
        return ErrorCode.None;
    }

    /// <summary>The best successor starts at once; each of the others waits to let the ones before it win.</summary>
    private int SuccessionBackoffMs(IReadOnlyList<ReplicaKey> successors)
    {
        for (var place = 0; place < successors.Count; place++)
        {
            if (successors[place] != _options.Local)
                continue;
            if (place == 0)
                return 0;
            var exponentialMs = _options.RetryBackoffMs * (1L << Math.Min(place, 20));
            return (int)Math.Min(exponentialMs + _prng.NextInt(Math.Max(_options.RetryBackoffMs, 1)), _options.ElectionBackoffMaxMs);
        }

        return _options.ElectionBackoffMaxMs;
    }

    private bool IsLocal(ReplicaKey key) =>
        key.Id == _options.Local.Id && (key.DirectoryId == Uuid.Zero || key.DirectoryId == _options.Local.DirectoryId);
}
