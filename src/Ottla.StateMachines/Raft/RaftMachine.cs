using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <summary>The role of a replica in its epoch (KIP-595, 996).</summary>
public enum RaftRole
{
    /// <summary>The replica has no leader to fetch from.</summary>
    Unattached,

    /// <summary>The replica asks whether it would win an election, without starting a new epoch (pre-vote).</summary>
    Prospective,

    /// <summary>The replica asks for votes in a new epoch.</summary>
    Candidate,

    /// <summary>The replica won the election of its epoch.</summary>
    Leader,

    /// <summary>The replica fetches from the leader.</summary>
    Follower,

    /// <summary>The replica led its epoch and resigned.</summary>
    Resigned,
}

/// <summary>
/// Kafka's variant of Raft (KIP-595, 853, 996) as a pure state machine: it takes events and the time, and returns effects. Followers pull
/// records, and each epoch begins with a LeaderChange record.
/// </summary>
/// <remarks>
/// One host owns it, steps it from one loop and carries out its effects. It knows the offsets of the log (<see cref="RaftLogState"/>) but
/// no records. A single voter needs no special case: it elects itself in its first step. Its parts: roles and their timers (Roles), votes
/// and epochs (Election), the leader's side of replication (Replication), the follower's and observer's side (Following), requests to other
/// nodes (Peers), changes of the voters on the leader (Voters), and how a replica asks to be changed (Membership).
/// </remarks>
public sealed partial class RaftMachine
{
    private readonly RaftOptions _options;
    private readonly Prng _prng;
    private RaftLogState _log = RaftLogState.Open(0, 0, [], null, null);
    private RaftEffects _effects = new();
    private Instant _now;
    private ElectionState _saved;
    private bool _isStarted;
    private bool _isShuttingDown;

    /// <summary>Makes a replica that is not started yet.</summary>
    /// <param name="options">The identity and the timeouts of the replica.</param>
    /// <param name="prng">Randomizes timeouts; not shared with others.</param>
    public RaftMachine(RaftOptions options, Prng prng)
    {
        _options = options;
        _prng = prng;
    }

    /// <summary>The role of this replica.</summary>
    public RaftRole Role { get; private set; }

    /// <summary>The quorum epoch.</summary>
    public int Epoch { get; private set; }

    /// <summary>The leader of <see cref="Epoch"/>; -1 when none is known.</summary>
    public int LeaderId { get; private set; } = -1;

    /// <summary>The candidate that this replica voted for in <see cref="Epoch"/>.</summary>
    public ReplicaKey? Voted { get; private set; }

    /// <summary>
    /// The first offset that is not known to be committed. On a replica that flushes it never exceeds the flushed offset, except at the end
    /// of a snapshot.
    /// </summary>
    public long HighWatermark { get; private set; }

    /// <summary>
    /// The highest high watermark that this replica was told by a leader, or found as one, since it started; -1 until then. Who has
    /// everything before it has caught up with the quorum.
    /// </summary>
    public long QuorumHighWatermark { get; private set; } = -1;

    /// <summary>The history of the voters and of <c>kraft.version</c>.</summary>
    public QuorumHistory History { get; private set; } = QuorumHistory.Begin(VoterSet.Empty);

    /// <summary>The machine's view of the log.</summary>
    public RaftLogState Log => _log;

    /// <summary>The time at which the host steps <see cref="RaftEvent.Timer"/> if no other event comes first.</summary>
    public Instant? NextDeadline { get; private set; }

    /// <summary>
    /// Whether a <see cref="RaftEvent.Shutdown"/> is complete: this replica has no leadership (any more) that it could hand over.
    /// </summary>
    public bool IsShutdownComplete => _isShuttingDown && Role is not (RaftRole.Leader or RaftRole.Resigned);

    /// <summary>The first offset of the leader's own epoch. Committing it commits all records before it.</summary>
    public long EpochStartOffset { get; private set; }

    /// <summary>Whether this replica is a voter: its node and its directory are in the latest voter set of its log.</summary>
    public bool IsVoter => _options.CanBecomeVoter && History.Voters.Contains(_options.Local);

    /// <summary>
    /// Whether this replica may stand for election: it is a voter, or was one before records of its log that may not be committed. Only it
    /// may have these records, and then nobody else can win: the others need the vote of this replica, whose log is longer. Its own vote
    /// does not count where it is no voter.
    /// </summary>
    private bool MayStand => _options.CanBecomeVoter && History.IsVoterFrom(HighWatermark, _options.Local);

    private bool IsOnlyVoter => IsVoter && History.Voters.Voters.Count == 1;

    private IEnumerable<Voter> OtherVoters => History.Voters.Voters.Where(voter => !voter.Key.Names(_options.Local));

    private Voter Self => new(_options.Local, _options.Endpoints);

    /// <summary>
    /// Handles one event. Before the next step the host saves the election state, carries out the operations on the log and takes the
    /// replies and sends; only the flush may come after several steps.
    /// </summary>
    public void Step(RaftEvent raftEvent, Instant now, RaftEffects effects)
    {
        Invariant.Check(_isStarted != raftEvent is RaftEvent.Started, "Started is the first event and comes only once");
        _now = now;
        _effects = effects;
        var before = (LeaderId, Epoch, LeaderEndpoints);
        switch (raftEvent)
        {
            case RaftEvent.Started started: Start(started); break;
            case RaftEvent.RequestReceived received: HandleRequest(received.RequestId, received.Request); break;
            case RaftEvent.ResponseReceived received: HandleResponse(received.CorrelationId, received.Response); break;
            case RaftEvent.RequestFailed failed: HandleFailure(failed.CorrelationId); break;
            case RaftEvent.ProcessEnded ended: HandleProcessEnded(ended.NodeId); break;
            case RaftEvent.Probed probed: HandleProbed(probed); break;
            case RaftEvent.Appended appended: HandleAppended(appended.Batches); break;
            case RaftEvent.Flushed flushed: HandleFlushed(flushed.EndOffset); break;
            case RaftEvent.SnapshotWritten written: HandleSnapshotWritten(written); break;
            case RaftEvent.SnapshotInstalled installed: HandleSnapshotInstalled(installed); break;
            case RaftEvent.SnapshotFailed: AbandonDownload(); break;
            case RaftEvent.Shutdown: HandleShutdown(); break;
            case RaftEvent.Timer: break;
        }

        Drive();
        var election = new ElectionState(Epoch, LeaderId, Voted);
        if (election != _saved)
            effects.Save = _saved = election;
        effects.LeaderChanged |= before != (LeaderId, Epoch, LeaderEndpoints);
    }

    /// <summary>Describes the quorum as this replica sees it.</summary>
    public QuorumInfo Describe()
    {
        ReplicaInfo Info(ReplicaKey key)
        {
            if (key.Names(_options.Local))
                return new ReplicaInfo(key, _log.EndOffset, _now.UnixMilliseconds, _now.UnixMilliseconds);
            return Role == RaftRole.Leader && FindReplica(key) is { } state
                ? new ReplicaInfo(key, state.EndOffset, state.LastFetchMs, state.LastCaughtUpMs)
                : new ReplicaInfo(key, -1, -1, -1);
        }

        var observers = _replicas.Where(entry => Role == RaftRole.Leader && IsLiveObserver(entry.Key, entry.Value))
            .Select(entry => Info(entry.Key));
        return new QuorumInfo(
            Role, LeaderId, Epoch, HighWatermark, History.KRaftVersion, History.Voters,
                [.. History.Voters.Voters.Select(voter => Info(voter.Key))], [.. observers]);
    }

    private void Start(RaftEvent.Started started)
    {
        _isStarted = true;
        _log = started.Log;
        History = started.History;
        HighWatermark = _log.LatestSnapshot?.Offset ?? _log.StartOffset;
        _saved = started.Election;
        (Epoch, LeaderId, Voted) = (started.Election.Epoch, started.Election.LeaderId, started.Election.Voted);
        if (Epoch < _log.End.Epoch)
        {
            // quorum-state is lost or outdated. A vote in the log's epoch does no harm: the log has a record of it, and who stands in
            // that epoch has none.
            (Epoch, LeaderId, Voted) = (_log.End.Epoch, -1, null);
            BecomeUnattached(Epoch);
        }
        else if (LeaderId == _options.Local.Id)
        {
            // The restart may have lost unflushed records of this epoch: the replica must not lead or vote in it again.
            BecomeResigned(notify: true);
        }
        else if (LeaderId >= 0 && !IsOnlyVoter && EndpointsOf(LeaderId, []) is { Count: > 0 } endpoints)
        {
            // Also after it stood in this epoch and lost: a candidate with a record of its own epoch would be refused as invalid.
            BecomeFollower(Epoch, LeaderId, endpoints);
        }
        else if (LeaderId < 0 && Voted?.Names(_options.Local) == true && MayStand && _log.End.Epoch < Epoch)
        {
            BecomeCandidateAgain();
        }
        else
        {
            BecomeUnattached(Epoch);
        }

        _effects.LeaderChanged = true;
    }

    private void HandleRequest(long requestId, RaftRequest request)
    {
        switch (request)
        {
            case VoteCall call: Reply(requestId, HandleVote(call)); break;
            case BeginEpochCall call:
                var begun = HandleBeginEpoch(call);
                Reply(requestId, new BeginEpochReply(begun, LeaderId, Epoch));
                break;
            case EndEpochCall call:
                var ended = HandleEndEpoch(call);
                Reply(requestId, new EndEpochReply(ended, LeaderId, Epoch));
                break;
            case FetchCall call: HandleFetch(requestId, call); break;
            case FetchSnapshotCall call: HandleFetchSnapshot(requestId, call); break;
            case AddVoterCall call: HandleAddVoter(requestId, call); break;
            case RemoveVoterCall call: HandleRemoveVoter(requestId, call); break;
            case UpdateVoterCall call: HandleUpdateVoter(requestId, call); break;
            case UpgradeVersionCall call: HandleUpgradeVersion(requestId, call); break;
            default: throw new InvariantViolationException($"{request.GetType().Name} is not a quorum request");
        }
    }

    /// <summary>Answers a request; every answer says where the leader is.</summary>
    private void Reply(long requestId, RaftResponse response) =>
        _effects.Replies.Add(new RaftReply(requestId, response with { LeaderEndpoints = LeaderEndpoints }));

    /// <summary>The error of a request that only the leader answers; none on the leader.</summary>
    private ErrorCode CheckIsLeader(int requestEpoch) =>
        requestEpoch < Epoch ? ErrorCode.FencedLeaderEpoch
        : requestEpoch > Epoch ? ErrorCode.UnknownLeaderEpoch
        : Role != RaftRole.Leader ? ErrorCode.NotLeaderOrFollower
        : ErrorCode.None;

    private void HandleAppended(IReadOnlyList<AppendedBatch> batches)
    {
        _isAppendPending = false;
        var votersBefore = History.Voters;
        foreach (var batch in batches)
        {
            Invariant.Check(batch.BaseOffset == _log.EndOffset, "a batch begins where the log ends");
            _log.Append(batch.Epoch, batch.EndOffset);
            foreach (var change in batch.Changes)
            {
                if (change.KRaftVersion is { } version)
                    History = History.WithKRaftVersion(change.Offset, version);
                if (change.Voters is { } voters)
                    History = History.WithVoters(change.Offset, voters);
            }
        }

        if (batches.Count == 0)
            BackOffFromFetching();
        if (!_options.CanBecomeVoter)
            _log.Flushed(_log.EndOffset); // nobody counts on a broker's copy
        if (_log.FlushedOffset < _log.EndOffset)
            _effects.Flush = true;
        NoteVoters(votersBefore);
        if (Role == RaftRole.Leader)
            HandleLeaderAppended(batches, !ReferenceEquals(votersBefore, History.Voters));
        else if (Role == RaftRole.Follower)
            AdvanceFollowerHighWatermark();
    }

    private void NoteVoters(VoterSet before)
    {
        if (!ReferenceEquals(before, History.Voters))
            Note($"The voters of the quorum are now {string.Join(", ", History.Voters.Voters.Select(voter => voter.Key))}");
    }

    private void HandleFlushed(long endOffset)
    {
        _log.Flushed(endOffset);
        if (Role == RaftRole.Leader)
            AdvanceLeaderHighWatermark();
        else if (Role == RaftRole.Follower)
            AdvanceFollowerHighWatermark();
    }

    private void HandleSnapshotWritten(RaftEvent.SnapshotWritten written)
    {
        Invariant.Check(written.Latest.Offset <= HighWatermark, "a snapshot contains only committed records");
        _log.SnapshotWritten(written.Earliest, written.Latest, written.LogStartOffset);
        History = History.TrimmedTo(written.Earliest.Offset);
    }

    private void HandleShutdown()
    {
        _isShuttingDown = true;
        _shutdownDeadline = _now.AddMilliseconds(SuccessionMs);
        if (Role != RaftRole.Leader)
            return;
        if (IsOnlyVoter)
            BecomeUnattachedForShutdown();
        else
            BecomeResigned(notify: true);
    }

    private void RaiseHighWatermark(long offset)
    {
        if (offset <= HighWatermark)
            return;
        HighWatermark = offset;
        _effects.HighWatermarkAdvanced = true;
    }

    private void LearnQuorumHighWatermark(long offset)
    {
        if (offset <= QuorumHighWatermark)
            return;
        // Who waits to have caught up looks again, even if there is nothing new to deliver.
        _effects.HighWatermarkAdvanced |= QuorumHighWatermark < 0;
        QuorumHighWatermark = offset;
    }

    /// <summary>Acts on deadlines and on the role until nothing changes any more.</summary>
    private void Drive()
    {
        // Each change of role waits for responses or a future deadline, except for the few that a single voter makes at once.
        const int transitionsMax = 16;
        for (var i = 0; i < transitionsMax; i++)
        {
            NextDeadline = null;
            var changed = Role switch
            {
                RaftRole.Unattached => DriveUnattached(),
                RaftRole.Prospective => DriveProspective(),
                RaftRole.Candidate => DriveCandidate(),
                RaftRole.Leader => DriveLeader(),
                RaftRole.Follower => DriveFollower(),
                _ => DriveResigned(),
            };
            if (changed)
                continue;
            RefuseDelayedFetches();
            return;
        }

        throw new InvariantViolationException("a step ends after a bounded number of role changes");
    }

    private void WakeAt(Instant instant)
    {
        if (NextDeadline is not { } earlier || instant < earlier)
            NextDeadline = instant;
    }

    private void Note(string note) => _effects.Notes.Add(note);
}
