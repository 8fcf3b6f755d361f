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
/// Kafka's variant of Raft (KIP-595) as a pure state machine: it takes events and the time, and returns effects. Followers pull records,
/// and each epoch begins with a LeaderChange record.
/// </summary>
/// <remarks>
/// One host owns it, steps it from one loop and carries out its effects. It knows the offsets of the log (<see cref="RaftLogState"/>) but
/// no records. A single voter needs no special case: it elects itself in its first step.
/// </remarks>
public sealed partial class RaftMachine
{
    private readonly RaftOptions _options;
    private readonly Prng _prng;
    private readonly Dictionary<int, PeerLink> _links = [];
    private RaftLogState _log = RaftLogState.Open(0, 0, [], null, null);
    private RaftEffects _effects = new();
    private Instant _now;
    private ElectionState _saved;
    private long _nextCorrelationId;
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

    /// <summary>The endpoints of the leader's controller listeners, as far as they are known.</summary>
    public IReadOnlyList<RaftEndpoint> LeaderEndpoints =>
        LeaderId == _options.Local.Id ? _options.Endpoints : History.Voters.Find(LeaderId)?.Endpoints ?? [];

    /// <summary>The candidate that this replica voted for in <see cref="Epoch"/>.</summary>
    public ReplicaKey? Voted { get; private set; }

    /// <summary>
    /// The first offset that is not known to be committed. It never exceeds the flushed offset, except at the end of a snapshot.
    /// </summary>
    public long HighWatermark { get; private set; }

    /// <summary>The history of the voters and of <c>kraft.version</c>.</summary>
    public QuorumHistory History { get; private set; } = QuorumHistory.Begin(VoterSet.Empty);

    /// <summary>The machine's view of the log.</summary>
    public RaftLogState Log => _log;

    /// <summary>The time at which the host steps <see cref="RaftEvent.Timer"/> if no other event comes first.</summary>
    public Instant? NextDeadline { get; private set; }

    /// <summary>Whether a <see cref="RaftEvent.Shutdown"/> is complete: this replica is not the leader (any more).</summary>
    public bool IsShutdownComplete => _isShuttingDown && Role is not (RaftRole.Leader or RaftRole.Resigned);

    /// <summary>The first offset of the leader's own epoch. Committing it commits all records before it.</summary>
    public long EpochStartOffset { get; private set; }

    private bool IsVoter => History.Voters.Contains(_options.Local);

    private bool IsOnlyVoter => History.Voters.IsOnlyVoter(_options.Local);

    private IEnumerable<Voter> OtherVoters => History.Voters.Voters.Where(voter => voter.Key.Id != _options.Local.Id);

    /// <summary>
    /// Handles one event. Before the next step the host saves the election state, carries out the operations on the log and takes the
    /// replies and sends; only the flush may come after several steps.
    /// </summary>
    public void Step(RaftEvent raftEvent, Instant now, RaftEffects effects)
    {
        Invariant.Check(_isStarted != raftEvent is RaftEvent.Started, "Started is the first event and comes only once");
        _now = now;
        _effects = effects;
        var before = (LeaderId, Epoch);
        switch (raftEvent)
        {
            case RaftEvent.Started started: Start(started); break;
            case RaftEvent.RequestReceived received: HandleRequest(received.RequestId, received.Request); break;
            case RaftEvent.ResponseReceived received: HandleResponse(received.CorrelationId, received.Response); break;
            case RaftEvent.RequestFailed failed: HandleFailure(failed.CorrelationId); break;
            case RaftEvent.Appended appended: HandleAppended(appended.Batches); break;
            case RaftEvent.Flushed flushed: HandleFlushed(flushed.EndOffset); break;
            case RaftEvent.SnapshotWritten written: HandleSnapshotWritten(written); break;
            case RaftEvent.SnapshotInstalled installed: HandleSnapshotInstalled(installed); break;
            case RaftEvent.SnapshotFailed: _fetchingSnapshot = null; break;
            case RaftEvent.Shutdown: HandleShutdown(); break;
            case RaftEvent.Timer: break;
        }

        Drive();
        var election = new ElectionState(Epoch, LeaderId, Voted);
        if (election != _saved)
            effects.Save = _saved = election;
        effects.LeaderChanged |= before != (LeaderId, Epoch);
    }

    /// <summary>Describes the quorum as this replica sees it.</summary>
    public QuorumInfo Describe()
    {
        ReplicaInfo Info(ReplicaKey key) =>
            key.Id == _options.Local.Id ? new ReplicaInfo(key, _log.EndOffset, _now.UnixMilliseconds, _now.UnixMilliseconds)
            : Role == RaftRole.Leader && _replicas.TryGetValue(key, out var state)
                ? new ReplicaInfo(key, state.EndOffset, state.LastFetchMs, state.LastCaughtUpMs)
                : new ReplicaInfo(key, -1, -1, -1);

        var observers = Role == RaftRole.Leader ? _replicas.Keys.Where(key => !History.Voters.Contains(key)).Select(Info) : [];
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
            // quorum-state is lost or outdated: this replica may have voted in the log's epoch, so it must not vote in it again.
            (Epoch, LeaderId, Voted) = (_log.End.Epoch, -1, null);
            BecomeUnattached(Epoch);
        }
        else if (LeaderId == _options.Local.Id)
        {
            // The restart may have lost unflushed records of this epoch: the replica must not lead or vote in it again.
            BecomeResigned(notify: false);
        }
        else if (Voted == _options.Local && LeaderId < 0)
        {
            BecomeCandidateAgain();
        }
        else if (LeaderId >= 0 && History.Voters.Find(LeaderId) is not null)
        {
            BecomeFollower(Epoch, LeaderId);
        }
        else
        {
            BecomeUnattached(Epoch);
        }

        _effects.LeaderChanged = true;
    }

    private void HandleAppended(IReadOnlyList<AppendedBatch> batches)
    {
        _isAppendPending = false;
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

        if (batches.Count == 0 && Role == RaftRole.Follower)
            Link(LeaderId).Back(_now.AddMilliseconds(_options.RetryBackoffMs));
        if (_log.FlushedOffset < _log.EndOffset)
            _effects.Flush = true;
        if (Role == RaftRole.Leader)
            AnswerParkedFetches();
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

    private void HandleSnapshotInstalled(RaftEvent.SnapshotInstalled installed)
    {
        _fetchingSnapshot = null;
        _log.ReplacedBy(installed.Id);
        History = installed.History;
        RaiseHighWatermark(installed.Id.Offset);
        if (Role == RaftRole.Follower)
            _deadline = _now.AddMilliseconds(_options.FetchTimeoutMs);
    }

    private void HandleShutdown()
    {
        _isShuttingDown = true;
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
            if (!changed)
                return;
        }

        throw new InvariantViolationException("a step ends after a bounded number of role changes");
    }

    private void WakeAt(Instant instant)
    {
        if (NextDeadline is not { } earlier || instant < earlier)
            NextDeadline = instant;
    }

    private PeerLink Link(int node)
    {
        if (!_links.TryGetValue(node, out var link))
            _links.Add(node, link = new PeerLink());
        return link;
    }

    /// <summary>Sends <paramref name="request"/>, unless a request to that node is under way or has just failed, or it cannot be reached.</summary>
    private bool TrySend(int node, RaftRequest request)
    {
        if (History.Voters.Find(node)?.NodeOn(_options.ListenerName) is not { } to)
            return false;
        var link = Link(node);
        if (_now < link.ReadyAt)
        {
            WakeAt(link.ReadyAt);
            return false;
        }

        link.Request = request;
        link.CorrelationId = _nextCorrelationId++;
        link.ReadyAt = _now.AddMilliseconds(Math.Max(_options.RequestTimeoutMs, 1));
        _effects.Sends.Add(new RaftSend(link.CorrelationId, to, request));
        WakeAt(link.ReadyAt);
        return true;
    }

    private void HandleFailure(long correlationId)
    {
        foreach (var link in _links.Values)
        {
            if (link.Request is not null && link.CorrelationId == correlationId)
                link.Back(_now.AddMilliseconds(_options.RetryBackoffMs));
        }
    }

    private void HandleResponse(long correlationId, RaftResponse response)
    {
        foreach (var (node, link) in _links)
        {
            if (link.Request is not { } request || link.CorrelationId != correlationId)
                continue;
            link.Back(response.Error == ErrorCode.None ? _now : _now.AddMilliseconds(_options.RetryBackoffMs));
            if (!AdoptEpochAndLeader(response.Epoch, response.LeaderId) && request.Epoch == Epoch)
                HandleResponse(node, request, response);
            return;
        }
    }

    private void HandleResponse(int node, RaftRequest request, RaftResponse response)
    {
        switch (request, response)
        {
            case (VoteCall call, VoteReply reply): HandleVoteReply(node, call, reply); break;
            case (FetchCall, FetchReply reply): HandleFetchReply(reply); break;
            case (BeginEpochCall or EndEpochCall, { Error: ErrorCode.None }): _acknowledged.Add(node); break;
            default: break; // an error: asked again after the back-off
        }
    }

    /// <summary>Moves to a later epoch, or learns the leader of the current one. Returns whether it did.</summary>
    private bool AdoptEpochAndLeader(int epoch, int leaderId)
    {
        if (epoch < Epoch || (epoch == Epoch && (LeaderId >= 0 || leaderId < 0)))
            return false;
        if (leaderId >= 0 && leaderId != _options.Local.Id && History.Voters.Find(leaderId) is not null)
            BecomeFollower(epoch, leaderId);
        else if (epoch > Epoch)
            BecomeUnattached(epoch);
        else
            return false;
        return true;
    }

    private void HandleRequest(long requestId, RaftRequest request)
    {
        RaftResponse response;
        switch (request)
        {
            case VoteCall call:
                response = HandleVote(call);
                break;
            case BeginEpochCall call:
                response = new BeginEpochReply(HandleBeginEpoch(call), LeaderId, Epoch);
                break;
            case EndEpochCall call:
                response = new EndEpochReply(HandleEndEpoch(call), LeaderId, Epoch);
                break;
            case FetchCall call:
                HandleFetch(requestId, call);
                return;
            case FetchSnapshotCall call:
                response = new FetchSnapshotReply(ErrorCode.SnapshotNotFound, LeaderId, Epoch, call.Snapshot, call.Position);
                break;
            case AddVoterCall:
                response = new AddVoterReply(ErrorCode.UnsupportedVersion, "The voters cannot be changed.", LeaderId, Epoch);
                break;
            case RemoveVoterCall:
                response = new RemoveVoterReply(ErrorCode.UnsupportedVersion, "The voters cannot be changed.", LeaderId, Epoch);
                break;
            case UpdateVoterCall:
                response = new UpdateVoterReply(ErrorCode.UnsupportedVersion, LeaderId, Epoch);
                break;
            default:
                throw new InvariantViolationException($"{request.GetType().Name} is not a quorum request");
        }

        _effects.Replies.Add(new RaftReply(requestId, response));
    }

    /// <summary>The state of requests to a node; one may be under way.</summary>
    private sealed class PeerLink
    {
        public long CorrelationId { get; set; }

        public RaftRequest? Request { get; set; }

        /// <summary>The earliest time of the next request: after the response, the back-off or the timeout.</summary>
        public Instant ReadyAt { get; set; } = new(long.MinValue);

        /// <summary>The time of the last BeginQuorumEpoch to the node, in milliseconds.</summary>
        public long AnnouncedAt { get; set; } = long.MinValue;

        public void Back(Instant readyAt)
        {
            Request = null;
            ReadyAt = readyAt;
        }
    }
}
