using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>The side of followers and observers: whom they fetch from, and what they do with records and snapshots.</content>
public sealed partial class RaftMachine
{
    private bool _hasFetchedFromLeader;

    /// <summary>The epoch whose leader's process has ended, unless it has answered since; -1 for none.</summary>
    private int _epochOfEndedLeader = -1;
    private long _leaderHighWatermark = -1;

    /// <summary>The node of the last fetch; one is asked at a time.</summary>
    private RaftNode? _asked;

    /// <summary>The snapshot that is being fetched, and how much of it is there.</summary>
    private (LogPosition Id, long Position)? _download;
    private bool _isInstalling;

    /// <summary>
    /// Whether records wait to be appended or, on a replica that others may count on, to be flushed. No fetch goes out before.
    /// </summary>
    private bool IsBusyWithLog => _isAppendPending || _isInstalling || _log.FlushedOffset < _log.EndOffset;

    private bool HasLeaderEnded => _epochOfEndedLeader == Epoch;

    private void BeginFollowing()
    {
        _epochOfEndedLeader = -1;
        _hasFetchedFromLeader = false;
        _leaderHighWatermark = -1;
        _membershipDueAt = _now.AddMilliseconds(MembershipPeriodMs);
        _hasUpdatedLeader = false;
    }

    private void ForgetFollowing()
    {
        _asked = null;
        _download = null;
    }

    /// <summary>Fetches from the leader; while that fails, from any other node, which may know of another leader.</summary>
    private void FollowLeader()
    {
        if (IsBusyWithLog || IsWaitingForAnswer())
            return;
        if (EndpointOnListener(LeaderEndpoints) is not { } endpoint)
        {
            FetchFromAny();
            return;
        }

        var leader = new RaftNode(LeaderId, endpoint.Host, endpoint.Port);
        var link = Link(LeaderId);
        if (_now < link.ReadyAt)
        {
            WakeAt(link.ReadyAt);
            FetchFromAny();
        }
        else if (!TrySendMembership(leader))
        {
            Ask(leader, _download is { } download
                ? new FetchSnapshotCall(Epoch, _options.Local, download.Id, download.Position, _options.FetchSnapshotBytesMax)
                : NewFetch());
        }
    }

    /// <summary>Fetches from any node that may know the leader: a bootstrap server or a voter, drawn by lot.</summary>
    private void FetchFromAny()
    {
        if (IsBusyWithLog || IsWaitingForAnswer())
            return;
        var nodes = Sources();
        var ready = nodes.FindAll(node => node.Id != LeaderId && _now >= Link(node.Id).ReadyAt);
        if (ready.Count > 0)
        {
            Ask(ready[_prng.NextInt(ready.Count)], NewFetch());
            return;
        }

        foreach (var node in nodes)
        {
            if (_now < Link(node.Id).ReadyAt)
                WakeAt(Link(node.Id).ReadyAt);
        }
    }

    /// <summary>Whether the last fetch has neither been answered nor timed out. A time-out counts as a failure.</summary>
    private bool IsWaitingForAnswer()
    {
        if (_asked is not { } asked)
            return false;
        var link = Link(asked.Id);
        if (link.IsBusy(_now))
        {
            WakeAt(link.ReadyAt);
            return true;
        }

        if (link.Request is not null)
            BackOff(link);
        _asked = null;
        return false;
    }

    private void Ask(RaftNode node, RaftRequest request)
    {
        if (TrySend(node, request))
            _asked = node;
    }

    private List<RaftNode> Sources()
    {
        var nodes = new List<RaftNode>();
        foreach (var server in _options.BootstrapServers)
        {
            if (!_options.Endpoints.Any(own => own.Host == server.Host && own.Port == server.Port))
                nodes.Add(server);
        }

        foreach (var voter in OtherVoters)
        {
            // What a bootstrap server answers need not be asked again of the same node.
            if (voter.Key.Id != _options.Local.Id && voter.NodeOn(_options.ListenerName) is { } node
                && !nodes.Exists(server => server.Host == node.Host && server.Port == node.Port))
                nodes.Add(node);
        }

        return nodes;
    }

    private RaftEndpoint? EndpointOnListener(IReadOnlyList<RaftEndpoint> endpoints)
    {
        foreach (var endpoint in endpoints)
        {
            if (endpoint.Name == _options.ListenerName)
                return endpoint;
        }

        return null;
    }

    private FetchCall NewFetch() =>
        new(Epoch, _options.Local, _log.End, _leaderHighWatermark >= 0 ? HighWatermark : -1, _options.FetchMaxWaitMs)
        {
            MaxBytes = _options.FetchBytesMax,
        };

    private void HeardFromLeader()
    {
        _deadline = _now.AddMilliseconds(_options.FetchTimeoutMs);
        _hasFetchedFromLeader = true;
        _epochOfEndedLeader = -1;
    }

    /// <summary>Takes records, or what the leader says instead of them. Returns whether to go on at once.</summary>
    private bool HandleFetchReply(FetchReply reply)
    {
        if (Role != RaftRole.Follower || reply.LeaderId != LeaderId || IsBusyWithLog)
            return false;
        if (reply.Diverging is { } diverging)
            return TruncateTo(diverging);
        if (reply.Snapshot is { } snapshot)
            return StartDownload(snapshot);
        HeardFromLeader();
        if (reply.HighWatermark >= 0)
        {
            _leaderHighWatermark = Math.Max(_leaderHighWatermark, reply.HighWatermark);
            LearnQuorumHighWatermark(reply.HighWatermark);
        }

        if (reply.Records.Length > 0)
        {
            _isAppendPending = true;
            _effects.Log.Add(new RaftLogEffect.AppendFetched(reply.Records));
        }

        AdvanceFollowerHighWatermark();
        return true;
    }

    /// <summary>Cuts what the leader does not have. The answer's high watermark says nothing about what is left.</summary>
    private bool TruncateTo(LogPosition diverging)
    {
        var cut = _log.TruncationPoint(diverging);
        Invariant.Check(cut >= HighWatermark, "committed records are never truncated");
        if (cut >= _log.EndOffset)
            return false; // nothing to cut: the leader may say more the next time
        HeardFromLeader();
        Note($"Truncates the metadata log from {_log.EndOffset} to {cut}, where it diverges from that of leader {LeaderId} of epoch "
            + $"{Epoch}");
        var votersBefore = History.Voters;
        _log.TruncateTo(cut);
        History = History.TruncatedTo(cut);
        NoteVoters(votersBefore);
        _effects.Log.Add(new RaftLogEffect.Truncate(cut));
        return true;
    }

    private bool StartDownload(LogPosition snapshot)
    {
        // A leader's snapshot holds all that is committed here, or it is of another cluster.
        if (snapshot.Offset <= HighWatermark || snapshot.Epoch < 0 || snapshot.Epoch > Epoch)
        {
            Note($"Leader {LeaderId} of epoch {Epoch} offers the snapshot {snapshot.Offset}-{snapshot.Epoch}, which cannot follow the high "
                + $"watermark {HighWatermark}");
            return false;
        }

        HeardFromLeader();
        if (_download?.Id == snapshot)
            return true;
        _download = (snapshot, 0);
        Note($"Fetches the snapshot {snapshot.Offset}-{snapshot.Epoch} from leader {LeaderId}: its log begins later than this one ends");
        return true;
    }

    private bool HandleFetchSnapshotReply(FetchSnapshotReply reply)
    {
        if (Role != RaftRole.Follower || _download is not { } download || reply.LeaderId != LeaderId)
            return false;
        if (reply.Error != ErrorCode.None)
        {
            // The leader has deleted it, or cannot read it: a fetch tells what there is now.
            if (reply.Error == ErrorCode.SnapshotNotFound)
                HeardFromLeader();
            Note($"Leader {LeaderId} does not give the snapshot {download.Id.Offset}-{download.Id.Epoch} ({reply.Error}); fetches anew");
            _download = null;
            return reply.Error == ErrorCode.SnapshotNotFound;
        }

        var end = reply.Position + reply.Bytes.Length;
        if (reply.Snapshot != download.Id || reply.Position != download.Position || reply.Bytes.Length == 0 || end > reply.Size)
        {
            Note($"Leader {LeaderId} gives another piece of a snapshot than the one of {download.Id.Offset}-{download.Id.Epoch} at "
                + $"{download.Position}; fetches anew");
            _download = null;
            return false;
        }

        HeardFromLeader();
        var isLast = end == reply.Size;
        _download = isLast ? null : (download.Id, end);
        _isInstalling = isLast;
        _effects.Log.Add(new RaftLogEffect.WriteSnapshot(download.Id, reply.Position, reply.Bytes, isLast));
        return true;
    }

    private void HandleSnapshotInstalled(RaftEvent.SnapshotInstalled installed)
    {
        _isInstalling = false;
        var votersBefore = History.Voters;
        _log.ReplacedBy(installed.Id);
        History = installed.History;
        NoteVoters(votersBefore);
        RaiseHighWatermark(installed.Id.Offset);
        if (Role == RaftRole.Follower)
            HeardFromLeader();
    }

    private void AbandonDownload()
    {
        (_download, _isInstalling) = (null, false);
        BackOffFromFetching();
    }

    /// <summary>What the leader sent is unusable: ask again a little later.</summary>
    private void BackOffFromFetching()
    {
        if (Role == RaftRole.Follower)
            BackOff(Link(LeaderId));
    }

    private void AdvanceFollowerHighWatermark() => RaiseHighWatermark(Math.Min(_leaderHighWatermark, _log.FlushedOffset));
}
