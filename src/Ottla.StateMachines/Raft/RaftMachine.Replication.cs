using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>The leader's side of replication: fetches, the high watermark, and the check that a majority still follows.</content>
public sealed partial class RaftMachine
{
    /// <summary>The most observers whose state a leader keeps. Beyond that it drops the one that was silent longest.</summary>
    public const int ObserversMax = 10_000;

    /// <summary>The leader forgets an observer that was silent for this long (Kafka's constant).</summary>
    private const long ObserverSessionMs = 300_000;

    /// <summary>
    /// How long a leader that has resigned keeps a fetch before it refuses it: Kafka's observers ask it again at once, until they hear of
    /// another leader.
    /// </summary>
    private const int RefusalDelayMs = 50;

    /// <summary>The most refusals that are delayed; further ones are given at once.</summary>
    private const int DelayedRefusalsMax = 10_000;

    private readonly Dictionary<ReplicaKey, ReplicaState> _replicas = [];
    private readonly List<ParkedFetch> _parked = [];
    private readonly Queue<(long RequestId, Instant At)> _delayedRefusals = new();
    private readonly HashSet<int> _fetchedVoters = [];
    private bool _isAppendPending;

    /// <summary>A leader resigns 1.5 fetch timeouts after it last heard from a majority (Kafka's factor).</summary>
    private int CheckQuorumTimeoutMs => _options.FetchTimeoutMs + _options.FetchTimeoutMs / 2;

    /// <summary>
    /// The high watermark that the leader tells others: none before it has committed a record of its own epoch (Raft, figure 8).
    /// </summary>
    private long LeaderHighWatermark => HighWatermark > EpochStartOffset ? HighWatermark : -1;

    private void StartCheckQuorum()
    {
        _fetchedVoters.Clear();
        _deadline = _now.AddMilliseconds(CheckQuorumTimeoutMs);
    }

    /// <summary>A voter has reached this leader. Once a majority has, the leader has its quorum for another while.</summary>
    private void CountForQuorum(ReplicaKey replica)
    {
        if (!History.Voters.Contains(replica))
            return;
        _fetchedVoters.Add(replica.Id);
        var reached = History.Voters.Voters.Count(voter => _fetchedVoters.Contains(voter.Key.Id) && !voter.Key.Names(_options.Local));
        if (reached + (IsVoter ? 1 : 0) >= History.Voters.Majority)
            StartCheckQuorum();
    }

    /// <summary>Sends BeginQuorumEpoch to voters that do not fetch, because they may not know the leader.</summary>
    private void AnnounceToSilentVoters()
    {
        var intervalMs = _options.FetchTimeoutMs / 2;
        foreach (var voter in OtherVoters)
        {
            var heard = FindReplica(voter.Key) is { LastFetchMs: >= 0 and var fetched } ? fetched : long.MinValue;
            var due = Math.Max(heard, Link(voter.Key.Id).AnnouncedAt);
            var dueAt = due == long.MinValue ? _now : new Instant(due).AddMilliseconds(intervalMs);
            var call = new BeginEpochCall(Epoch, _options.Local.Id, voter.Key) { LeaderEndpoints = _options.Endpoints };
            if (_now < dueAt)
                WakeAt(dueAt);
            else if (TrySend(voter, call))
                Link(voter.Key.Id).AnnouncedAt = _now.UnixMilliseconds;
        }
    }

    private void HandleFetch(long requestId, FetchCall call)
    {
        var error = call.LogEnd.Offset < 0 || call.LogEnd.Epoch < 0 || call.MaxWaitMs < 0 || call.LogEnd.Epoch > call.Epoch
            ? ErrorCode.InvalidRequest
            : CheckIsLeader(call.Epoch);
        if (error == ErrorCode.None && call.Replica.Id == _options.Local.Id)
            error = ErrorCode.UnknownServerError; // another process has this node's id
        if (error == ErrorCode.NotLeaderOrFollower && Role == RaftRole.Resigned && _delayedRefusals.Count < DelayedRefusalsMax)
        {
            _delayedRefusals.Enqueue((requestId, _now.AddMilliseconds(RefusalDelayMs)));
            return;
        }

        if (error != ErrorCode.None)
        {
            Reply(requestId, Refusal(error));
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

    private void HandleFetchSnapshot(long requestId, FetchSnapshotCall call)
    {
        var error = CheckIsLeader(call.Epoch);
        if (error == ErrorCode.None && (call.Snapshot.Offset <= 0 || call.Snapshot.Epoch < 0))
            error = ErrorCode.SnapshotNotFound; // also the bootstrap snapshot, 0-0: what it holds is in the log
        var maxBytes = Math.Clamp(call.MaxBytes, 1, Math.Max(_options.FetchSnapshotBytesMax, 1));
        Reply(requestId, new FetchSnapshotReply(error, LeaderId, Epoch, call.Snapshot, call.Position) { MaxBytes = maxBytes });
        if (error == ErrorCode.None)
            CountForQuorum(call.Replica);
    }

    private FetchReply Answer() => new(ErrorCode.None, LeaderId, Epoch, LeaderHighWatermark) { LogStartOffset = _log.StartOffset };

    private FetchReply AnswerWithRecords(FetchCall call) =>
        Answer() with { ReadFrom = call.LogEnd.Offset, MaxBytes = Math.Clamp(call.MaxBytes, 0, _options.FetchBytesMax) };

    private FetchReply Refusal(ErrorCode error) => new(error, LeaderId, Epoch, -1) { LogStartOffset = _log.StartOffset };

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
            Reply(fetch.RequestId, AnswerWithRecords(fetch.Call));
        else if (_now >= fetch.Deadline || fetch.Call.HighWatermark < LeaderHighWatermark)
            Reply(fetch.RequestId, Answer());
        else
            return false;
        return true;
    }

    /// <summary>This replica leads no more: who waits for records learns so at once, and looks for the next leader.</summary>
    private void RefuseParkedFetches()
    {
        foreach (var fetch in _parked)
            Reply(fetch.RequestId, Refusal(ErrorCode.NotLeaderOrFollower));
        _parked.Clear();
    }

    private void RefuseDelayedFetches()
    {
        while (_delayedRefusals.TryPeek(out var refusal) && (Role != RaftRole.Resigned || _now >= refusal.At))
        {
            _delayedRefusals.Dequeue();
            Reply(refusal.RequestId, Refusal(ErrorCode.NotLeaderOrFollower));
        }

        if (_delayedRefusals.TryPeek(out var next))
            WakeAt(next.At);
    }

    private void UpdateReplica(FetchCall call)
    {
        if (call.Replica.Id < 0)
            return; // the reader has no replica id
        var voter = History.Voters.Find(call.Replica.Id);
        var isVoter = voter?.Key.Names(call.Replica) == true;
        if (!_replicas.TryGetValue(call.Replica, out var state))
        {
            // A static voter is known by its id only: its new disk takes the place of the old one.
            if (isVoter && voter!.Key.DirectoryId == Uuid.Zero)
                ForgetReplicasOf(call.Replica.Id);
            if (!isVoter)
                ForgetSilentObservers();
            _replicas.Add(call.Replica, state = new ReplicaState());
        }

        state.Fetched(call.LogEnd.Offset, _log.EndOffset, _now.UnixMilliseconds);
        if (!isVoter)
            return;
        CountForQuorum(call.Replica);
        AdvanceLeaderHighWatermark();
    }

    private void ForgetReplicasOf(int node)
    {
        foreach (var key in _replicas.Keys)
        {
            if (key.Id == node)
                _replicas.Remove(key);
        }
    }

    private bool IsLiveObserver(ReplicaKey key, ReplicaState state) =>
        !History.Voters.Contains(key) && _now.UnixMilliseconds - state.LastFetchMs < ObserverSessionMs;

    private void ForgetSilentObservers()
    {
        foreach (var (key, state) in _replicas)
        {
            if (!History.Voters.Contains(key) && !IsLiveObserver(key, state))
                _replicas.Remove(key);
        }

        if (_replicas.Count >= ObserversMax)
            _replicas.Remove(_replicas.Where(entry => !History.Voters.Contains(entry.Key)).MinBy(entry => entry.Value.LastFetchMs).Key);
    }

    /// <summary>
    /// Raises the high watermark to the offset that a majority of the voters has flushed. It counts only beyond the start of the leader's
    /// own epoch (Raft, figure 8). A leader that is no voter any more does not count.
    /// </summary>
    private void AdvanceLeaderHighWatermark()
    {
        var voters = History.Voters.Voters;
        var ends = new long[voters.Count];
        for (var i = 0; i < ends.Length; i++)
            ends[i] = voters[i].Key.Names(_options.Local) ? _log.FlushedOffset : FindReplica(voters[i].Key)?.EndOffset ?? -1;
        Array.Sort(ends);
        var replicated = ends.Length == 0 ? -1 : ends[^History.Voters.Majority];
        if (replicated <= EpochStartOffset)
            return;
        LearnQuorumHighWatermark(Math.Max(replicated, HighWatermark));
        if (replicated <= HighWatermark)
            return;
        RaiseHighWatermark(replicated);
        HandleVotersCommitted();
        AnswerParkedFetches();
    }

    /// <summary>The state of a replica; a static voter is known by its id only, but fetches with the id of its directory.</summary>
    private ReplicaState? FindReplica(ReplicaKey key)
    {
        if (key.DirectoryId != Uuid.Zero)
            return _replicas.GetValueOrDefault(key);
        foreach (var (fetched, state) in _replicas)
        {
            if (fetched.Id == key.Id)
                return state;
        }

        return null;
    }

    private void HandleLeaderAppended(IReadOnlyList<AppendedBatch> batches, bool changesVoters)
    {
        if (changesVoters)
            StartCheckQuorum(); // a single voter had nobody to hear from
        HandleVotersAppended(batches);
        // New voters need not have anything, and those that are left may have it all already.
        AdvanceLeaderHighWatermark();
        AnswerParkedFetches();
    }

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
            LastFetchMs = Math.Max(LastFetchMs, nowMs);
            EndOffset = offset;
        }
    }
}
