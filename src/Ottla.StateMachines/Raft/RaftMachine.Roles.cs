using Ottla.Kernel;

namespace Ottla.StateMachines.Raft;

/// <content>The roles: how a replica enters each, and what it does in it when time passes.</content>
public sealed partial class RaftMachine
{
    /// <summary>The deadline of the current role: election timeout, fetch timeout, or the leader's check of its quorum.</summary>
    private Instant _deadline;
    private Instant _shutdownDeadline;
    private IReadOnlyList<RaftEndpoint> _leaderEndpoints = [];
    private bool _notifiesResignation;

    /// <summary>The endpoints of the leader's controller listeners, as far as they are known.</summary>
    public IReadOnlyList<RaftEndpoint> LeaderEndpoints =>
        LeaderId < 0 ? []
        : LeaderId == _options.Local.Id ? _options.Endpoints
        : _leaderEndpoints.Count > 0 ? _leaderEndpoints
        : History.Voters.Find(LeaderId)?.Endpoints ?? [];

    private int RandomElectionTimeoutMs => _options.ElectionTimeoutMs + _prng.NextInt(Math.Max(_options.ElectionTimeoutMs, 1));

    private bool IsTimeUp => _now >= _deadline;

    /// <summary>How long a leader that stops waits for its successor: until the last of the successors has stood for election.</summary>
    private int SuccessionMs => Math.Min(_options.ShutdownTimeoutMs, _options.ElectionBackoffMaxMs + _options.ElectionTimeoutMs);

    /// <summary>Becomes unattached; the leader may be given when the replica knows its id, but no endpoint.</summary>
    private void BecomeUnattached(int epoch, int leaderId = -1)
    {
        // A running election timeout continues, so that news of other epochs cannot postpone an election for ever. So does the turn of
        // a follower whose leader has ended: the one before it may have a shorter log, and lose.
        var hasTimeout = Role is RaftRole.Unattached or RaftRole.Candidate or RaftRole.Prospective or RaftRole.Resigned || HasLeaderEnded;
        var keepsDeadline = _isStarted && epoch > Epoch && hasTimeout;
        var deadline = keepsDeadline ? _deadline : _now.AddMilliseconds(RandomElectionTimeoutMs);
        if (epoch > Epoch)
            Enter(RaftRole.Unattached, epoch, leaderId, null, deadline);
        else
            Enter(RaftRole.Unattached, epoch, leaderId >= 0 ? leaderId : LeaderId, Voted, deadline);
    }

    private void BecomeUnattachedForShutdown() => Enter(RaftRole.Unattached, Epoch, LeaderId, Voted, _now);

    private void BecomeProspective()
    {
        Enter(RaftRole.Prospective, Epoch, LeaderId, Voted, _now.AddMilliseconds(RandomElectionTimeoutMs));
        VoteForSelf();
    }

    private void BecomeCandidate()
    {
        Enter(RaftRole.Candidate, Epoch + 1, -1, _options.Local, _now.AddMilliseconds(RandomElectionTimeoutMs));
        VoteForSelf();
        Note($"Stands for election in epoch {Epoch} of the quorum");
    }

    /// <summary>Becomes a candidate again after a restart: its vote for itself counts, and others may have voted for it.</summary>
    private void BecomeCandidateAgain()
    {
        Enter(RaftRole.Candidate, Epoch, -1, _options.Local, _now.AddMilliseconds(RandomElectionTimeoutMs));
        VoteForSelf();
    }

    private void VoteForSelf()
    {
        if (IsVoter)
            _granted.Add(_options.Local.Id);
    }

    private void BecomeFollower(int epoch, int leaderId, IReadOnlyList<RaftEndpoint> endpoints)
    {
        Enter(RaftRole.Follower, epoch, leaderId, epoch > Epoch ? null : Voted, _now.AddMilliseconds(_options.FetchTimeoutMs));
        _leaderEndpoints = endpoints;
        BeginFollowing();
        Note($"Follows node {leaderId} as the leader of epoch {epoch} of the quorum");
    }

    private void BecomeLeader()
    {
        var granting = _granted.Order().ToArray();
        Enter(RaftRole.Leader, Epoch, _options.Local.Id, null, default);
        EpochStartOffset = _log.EndOffset;
        _replicas.Clear();
        StartCheckQuorum();
        BeginLeadingVoters();
        var history = History;
        // As in Kafka (KIP-853), the first leader of a dynamic quorum writes the voters, and so does a leader whose own entry changed.
        var writesVoters = history.KRaftVersion > 0
            && (history.VotersOffset == QuorumHistory.BeforeLog
                || (_options.Endpoints.Count > 0 && IsVoter && history.Voters.Find(_options.Local.Id)!.DiffersFrom(Self)));
        var voters = _options.Endpoints.Count > 0 && IsVoter ? history.Voters.With(Self) : history.Voters;
        _effects.Log.Add(new RaftLogEffect.AppendEpochStart(
            _log.EndOffset,
            Epoch,
            _now,
            LeaderId,
            [.. history.Voters.Voters.Select(voter => voter.Key.Id)],
            granting,
            writesVoters ? history.KRaftVersion : null,
            writesVoters ? voters : null));
        _isAppendPending = true;
        Note($"Leads epoch {Epoch} of the quorum, elected by {string.Join(", ", granting)}");
    }

    private void BecomeResigned(bool notify)
    {
        var successors = PreferredSuccessors();
        Enter(RaftRole.Resigned, Epoch, _options.Local.Id, Voted, _now.AddMilliseconds(RandomElectionTimeoutMs));
        _notifiesResignation = notify;
        _successors = successors;
    }

    private void Enter(RaftRole role, int epoch, int leaderId, ReplicaKey? voted, Instant deadline)
    {
        Invariant.Check(epoch >= Epoch, "the epoch never decreases");
        var ledBefore = Role == RaftRole.Leader;
        if (leaderId != LeaderId || epoch != Epoch)
            _leaderEndpoints = [];
        (Role, Epoch, LeaderId, Voted, _deadline) = (role, epoch, leaderId, voted, deadline);
        _granted.Clear();
        _rejected.Clear();
        _acknowledged.Clear();
        _unreachable.Clear();
        _links.Clear();
        ForgetFollowing();
        if (!ledBefore)
            return;
        RefuseParkedFetches();
        EndLeadingVoters();
    }

    private bool DriveUnattached()
    {
        if (_isShuttingDown)
            return false;
        if (MayStand)
        {
            if (IsTimeUp || IsOnlyVoter)
            {
                BecomeProspective();
                return true;
            }

            WakeAt(_deadline);
        }

        FetchFromAny();
        return false;
    }

    private bool DriveProspective()
    {
        if (_granted.Count >= History.Voters.Majority && MayStand)
        {
            BecomeCandidate();
            return true;
        }

        var isRejected = IsRejected;
        if (isRejected || IsTimeUp || !MayStand)
        {
            // The known leader may still be alive: wait for it once more.
            if (LeaderId >= 0 && LeaderId != _options.Local.Id && LeaderEndpoints is { Count: > 0 } endpoints)
            {
                BecomeFollower(Epoch, LeaderId, endpoints);
            }
            else
            {
                var waitMs = isRejected ? RandomElectionTimeoutMs : _options.RetryBackoffMs;
                Enter(RaftRole.Unattached, Epoch, LeaderId, Voted, _now.AddMilliseconds(waitMs));
            }

            return true;
        }

        WakeAt(_deadline);
        RequestVotes(isPreVote: true);
        return false;
    }

    private bool DriveCandidate()
    {
        if (_granted.Count >= History.Voters.Majority && MayStand)
        {
            BecomeLeader();
            return true;
        }

        if (IsTimeUp || !MayStand)
        {
            BecomeProspective();
            return true;
        }

        WakeAt(_deadline);
        if (!IsRejected) // a candidate that has lost waits out its time, so that others can win
            RequestVotes(isPreVote: false);
        return false;
    }

    private bool DriveLeader()
    {
        if (!IsVoter && History.VotersOffset < HighWatermark && HighWatermark > EpochStartOffset)
        {
            Note($"Resigns from epoch {Epoch}: this node is a voter no more");
            BecomeResigned(notify: true);
            return true;
        }

        if (!IsOnlyVoter)
        {
            if (IsTimeUp)
            {
                Note($"Resigns from epoch {Epoch}: no majority of the voters has fetched for {CheckQuorumTimeoutMs} ms");
                BecomeResigned(notify: true);
                return true;
            }

            WakeAt(_deadline);
        }

        DriveVoterChange();
        AnnounceToSilentVoters();
        AnswerParkedFetches();
        foreach (var fetch in _parked)
            WakeAt(fetch.Deadline);
        return false;
    }

    private bool DriveFollower()
    {
        if (_isShuttingDown)
            return false;
        if (MayStand)
        {
            if (IsTimeUp)
            {
                if (!HasLeaderEnded)
                    Note($"Has heard nothing of leader {LeaderId} of epoch {Epoch} in time, and asks the voters whether it could lead");
                BecomeProspective();
                return true;
            }

            WakeAt(_deadline);
        }

        FollowLeader();
        return false;
    }

    private bool DriveResigned()
    {
        if (!_isShuttingDown && IsOnlyVoter)
        {
            BecomeProspective();
            return true;
        }

        var isOver = _isShuttingDown
            ? _now >= _shutdownDeadline || OtherVoters.All(voter => _unreachable.Contains(voter.Key.Id))
            : IsTimeUp;
        if (isOver)
        {
            if (_isShuttingDown)
                BecomeUnattachedForShutdown();
            else
                BecomeUnattached(Epoch + 1);
            return true;
        }

        WakeAt(_isShuttingDown ? _shutdownDeadline : _deadline);
        if (!_notifiesResignation)
            return false;
        foreach (var voter in OtherVoters.Where(voter => !_acknowledged.Contains(voter.Key.Id)))
            TrySend(voter, new EndEpochCall(Epoch, _options.Local.Id, _successors));
        return false;
    }
}
