using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>Replication: fetches, the high watermark, and the leader's check that a majority still follows it.</content>
public sealed partial class RaftMachine
{
    /// <summary>The most observers whose state a leader keeps. Beyond that it drops the one that was silent longest.</summary>
    public const int ObserversMax = 10_000;

    /// <summary>The leader forgets an observer that was silent for this long (Kafka's constant).</summary>
    private const long ObserverSessionMs = 300_000;

    private readonly Dictionary<ReplicaKey, ReplicaState> _replicas = [];
    private readonly List<ParkedFetch> _parked = [];
    private readonly HashSet<int> _fetchedVoters = [];
    private bool _hasFetchedFromLeader;
    private bool _isAppendPending;
    private long _leaderHighWatermark;
    private LogPosition? _fetchingSnapshot;

    /// <summary>A leader resigns 1.5 fetch timeouts after it last heard from a majority (Kafka's factor).</summary>
    private int CheckQuorumTimeoutMs => _options.FetchTimeoutMs + _options.FetchTimeoutMs / 2;

    private void StartCheckQuorum()
    {
        _fetchedVoters.Clear();
        _deadline = _now.AddMilliseconds(CheckQuorumTimeoutMs);
    }

    private bool DriveLeader()
    {
        if (!IsOnlyVoter)
        {
            if (_now >= _deadline)
            {
                BecomeResigned(notify: true);
                return true;
            }

            WakeAt(_deadline);
        }

        AnnounceToSilentVoters();
        AnswerParkedFetches();
        foreach (var fetch in _parked)
            WakeAt(fetch.Deadline);
        return false;
    }

    /// <summary>Sends BeginQuorumEpoch to voters that do not fetch, because they may not know the leader.</summary>
    private void AnnounceToSilentVoters()
    {
        var intervalMs = _options.FetchTimeoutMs / 2;
        foreach (var voter in OtherVoters)
        {
            var heard = _replicas.TryGetValue(voter.Key, out var state) ? state.LastFetchMs : long.MinValue;
            var announced = Link(voter.Key.Id).AnnouncedAt;
            var due = Math.Max(heard, announced);
            var dueAt = due == long.MinValue ? _now : new Instant(due).AddMilliseconds(intervalMs);
            if (_now < dueAt)
                WakeAt(dueAt);
            else if (TrySend(voter.Key.Id, new BeginEpochCall(Epoch, _options.Local.Id, voter.Key)))
                Link(voter.Key.Id).AnnouncedAt = _now.UnixMilliseconds;
        }
    }

    private void HandleFetch(long requestId, FetchCall call)
    {
        var error = call.Epoch < Epoch ? ErrorCode.FencedLeaderEpoch
            : call.Epoch > Epoch ? ErrorCode.UnknownLeaderEpoch
            : Role != RaftRole.Leader ? ErrorCode.NotLeaderOrFollower
            : call.LogEnd.Offset < 0 || call.LogEnd.Epoch < 0 || call.Replica.Id == _options.Local.Id ? ErrorCode.InvalidRequest
            : ErrorCode.None;
        if (error != ErrorCode.None)
        {
            Reply(requestId, new FetchReply(error, LeaderId, Epoch, -1));
            return;
        }

        if (call.LogEnd.Offset == 0 && _log.LatestSnapshot is { Offset: > 0 } snapshot)
        {
            // For an empty log a snapshot is shorter than the records.
            Reply(requestId, Answer() with { Snapshot = snapshot });
            return;
        }

        var verdict = _log.CheckPosition(call.LogEnd, out var position);
        if (verdict == PositionCheck.Valid)
        {
            UpdateReplica(call);
            AnswerOrPark(new ParkedFetch(requestId, call, _now.AddMilliseconds(call.MaxWaitMs)));
        }
        else
        {
            Reply(requestId, verdict == PositionCheck.Snapshot
                ? Answer() with { Snapshot = position }
                : Answer() with { Diverging = position });
        }
    }

    private FetchReply Answer() => new(ErrorCode.None, LeaderId, Epoch, HighWatermark > EpochStartOffset ? HighWatermark : -1);

    private void Reply(long requestId, FetchReply reply) => _effects.Replies.Add(new RaftReply(requestId, reply));

    private void AnswerOrPark(ParkedFetch fetch)
    {
        // A replica waits for one fetch at a time: a new one replaces the old one.
        var old = _parked.FindIndex(parked => parked.Call.Replica == fetch.Call.Replica && fetch.Call.Replica.Id >= 0);
        if (old >= 0)
        {
            Reply(_parked[old].RequestId, Answer());
            _parked.RemoveAt(old);
        }

        if (!TryAnswer(fetch))
            _parked.Add(fetch);
    }

    private void AnswerParkedFetches()
    {
        for (var i = _parked.Count - 1; i >= 0; i--)
        {
            if (TryAnswer(_parked[i]))
                _parked.RemoveAt(i);
        }
    }

    private bool TryAnswer(ParkedFetch fetch)
    {
        if (fetch.Call.LogEnd.Offset < _log.EndOffset)
            Reply(fetch.RequestId, Answer() with { ReadFrom = fetch.Call.LogEnd.Offset });
        else if (_now >= fetch.Deadline || fetch.Call.HighWatermark < Answer().HighWatermark)
            Reply(fetch.RequestId, Answer());
        else
            return false;
        return true;
    }

    private void RefuseParkedFetches(int epoch, int leaderId)
    {
        foreach (var fetch in _parked)
            Reply(fetch.RequestId, new FetchReply(ErrorCode.NotLeaderOrFollower, leaderId, epoch, -1));
        _parked.Clear();
    }

    private void UpdateReplica(FetchCall call)
    {
        if (call.Replica.Id < 0)
            return; // the reader has no replica id
        var isVoter = History.Voters.Contains(call.Replica);
        if (!_replicas.TryGetValue(call.Replica, out var state))
        {
            if (!isVoter)
                ForgetSilentObservers();
            _replicas.Add(call.Replica, state = new ReplicaState());
        }

        state.Fetched(call.LogEnd.Offset, _log.EndOffset, _now.UnixMilliseconds);
        if (!isVoter)
            return;
        _fetchedVoters.Add(call.Replica.Id);
        if (_fetchedVoters.Count + (IsVoter ? 1 : 0) >= History.Voters.Majority)
            StartCheckQuorum();
        AdvanceLeaderHighWatermark();
    }

    private void ForgetSilentObservers()
    {
        foreach (var (key, state) in _replicas)
        {
            if (!History.Voters.Contains(key) && _now.UnixMilliseconds - state.LastFetchMs >= ObserverSessionMs)
                _replicas.Remove(key);
        }

        if (_replicas.Count >= ObserversMax)
            _replicas.Remove(_replicas.Where(entry => !History.Voters.Contains(entry.Key)).MinBy(entry => entry.Value.LastFetchMs).Key);
    }

    /// <summary>
    /// Raises the high watermark to the offset that a majority of the voters has flushed. It counts only beyond the start of the leader's
    /// own epoch (Raft, figure 8).
    /// </summary>
    private void AdvanceLeaderHighWatermark()
    {
        var voters = History.Voters.Voters;
        var ends = new long[voters.Count];
        for (var i = 0; i < ends.Length; i++)
        {
            ends[i] = voters[i].Key.Id == _options.Local.Id ? _log.FlushedOffset
                : _replicas.TryGetValue(voters[i].Key, out var state) ? state.EndOffset
                : StaticVoterEnd(voters[i].Key);
        }

        Array.Sort(ends);
        var replicated = ends.Length == 0 ? -1 : ends[^History.Voters.Majority];
        if (replicated <= EpochStartOffset || replicated <= HighWatermark)
            return;
        RaiseHighWatermark(replicated);
        AnswerParkedFetches();
    }

    /// <summary>The end offset of a static voter, which is known by id only but fetches with the id of its directory.</summary>
    private long StaticVoterEnd(ReplicaKey voter)
    {
        var end = -1L;
        if (voter.DirectoryId == Uuid.Zero)
        {
            foreach (var (key, state) in _replicas)
            {
                if (key.Id == voter.Id)
                    end = end < 0 ? state.EndOffset : Math.Min(end, state.EndOffset);
            }
        }

        return end;
    }

    private bool DriveFollower()
    {
        var isSilent = _now >= _deadline;
        if (isSilent && IsVoter && !_isShuttingDown)
        {
            BecomeProspective();
            return true;
        }

        if (!isSilent)
            WakeAt(_deadline);
        if (_isShuttingDown || _isAppendPending || _fetchingSnapshot is not null || _log.FlushedOffset < _log.EndOffset)
            return false;
        if (isSilent)
            FetchFromAnyVoter(); // an observer: any voter knows the leader
        else
            TrySend(LeaderId, NewFetch());
        return false;
    }

    private FetchCall NewFetch() => new(Epoch, _options.Local, _log.End, HighWatermark, _options.FetchMaxWaitMs);

    private void FetchFromAnyVoter()
    {
        var others = OtherVoters.ToArray();
        if (others.Length == 0 || _isAppendPending || _log.FlushedOffset < _log.EndOffset)
            return;
        var asked = others.FirstOrDefault(voter => Link(voter.Key.Id).Request is not null && _now < Link(voter.Key.Id).ReadyAt);
        TrySend((asked ?? others[_prng.NextInt(others.Length)]).Key.Id, NewFetch());
    }

    private void HandleFetchReply(FetchReply reply)
    {
        if (Role != RaftRole.Follower || reply.Error != ErrorCode.None || reply.LeaderId != LeaderId || _isAppendPending)
            return;
        _deadline = _now.AddMilliseconds(_options.FetchTimeoutMs);
        _hasFetchedFromLeader = true;
        if (reply.Diverging is { } diverging)
        {
            var cut = _log.TruncationPoint(diverging);
            Invariant.Check(cut >= HighWatermark, "committed records are never truncated");
            _log.TruncateTo(cut);
            History = History.TruncatedTo(cut);
            _effects.Log.Add(new RaftLogEffect.Truncate(cut));
        }
        else if (reply.Snapshot is { } snapshot)
        {
            if (snapshot.Offset <= HighWatermark)
                return;
            _fetchingSnapshot = snapshot;
            _effects.FetchSnapshot = new SnapshotFetch(LeaderId, Epoch, snapshot);
        }
        else
        {
            _leaderHighWatermark = Math.Max(_leaderHighWatermark, reply.HighWatermark);
            AdvanceFollowerHighWatermark();
            if (reply.Records.Length == 0)
                return;
            _isAppendPending = true;
            _effects.Log.Add(new RaftLogEffect.AppendFetched(reply.Records));
        }
    }

    private void AdvanceFollowerHighWatermark() => RaiseHighWatermark(Math.Min(_leaderHighWatermark, _log.FlushedOffset));

    /// <summary>A fetch that waits for new records.</summary>
    private readonly record struct ParkedFetch(long RequestId, FetchCall Call, Instant Deadline);

    /// <summary>A leader's view of another replica.</summary>
    private sealed class ReplicaState
    {
        private long _leaderEndAtLastFetch = -1;

        public long EndOffset { get; private set; } = -1;

        public long LastFetchMs { get; private set; } = -1;

        public long LastCaughtUpMs { get; private set; } = -1;

        public void Fetched(long offset, long leaderEndOffset, long nowMs)
        {
            // Caught up: the replica has all records, or all records that existed when it last fetched.
            if (offset >= leaderEndOffset)
                LastCaughtUpMs = Math.Max(LastCaughtUpMs, nowMs);
            else if (_leaderEndAtLastFetch > 0 && offset >= _leaderEndAtLastFetch)
                LastCaughtUpMs = Math.Max(LastCaughtUpMs, LastFetchMs);
            _leaderEndAtLastFetch = leaderEndOffset;
            LastFetchMs = nowMs;
            EndOffset = offset;
        }
    }
}
