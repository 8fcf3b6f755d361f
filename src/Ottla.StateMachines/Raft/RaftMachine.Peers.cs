using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>
/// Requests to other nodes: one at a time to each, with a back-off after failures; and what every answer tells of the leader.
/// </content>
public sealed partial class RaftMachine
{
    /// <summary>A node that keeps failing, or that keeps naming a leader that has resigned, is asked after at most this long.</summary>
    private const int RetryBackoffMaxMs = 100;

    private readonly Dictionary<int, PeerLink> _links = [];
    private long _nextCorrelationId;

    private PeerLink Link(int node)
    {
        if (!_links.TryGetValue(node, out var link))
            _links.Add(node, link = new PeerLink());
        return link;
    }

    /// <summary>
    /// Sends <paramref name="request"/> to a voter, unless it has no endpoint on the quorum's listener, or is busy or backing off.
    /// </summary>
    private bool TrySend(Voter voter, RaftRequest request) => voter.NodeOn(_options.ListenerName) is { } to && TrySend(to, request);

    /// <summary>Sends <paramref name="request"/>, unless a request to that node is under way or has just failed.</summary>
    private bool TrySend(RaftNode to, RaftRequest request)
    {
        var link = Link(to.Id);
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

    private void BackOff(PeerLink link)
    {
        var longestMs = Math.Max(RetryBackoffMaxMs, _options.RetryBackoffMs);
        var backoffMs = Math.Min((long)_options.RetryBackoffMs << Math.Min(link.Failures, 10), longestMs);
        link.Failures++;
        link.Request = null;
        link.ReadyAt = _now.AddMilliseconds(backoffMs);
    }

    private void HandleFailure(long correlationId)
    {
        foreach (var (node, link) in _links)
        {
            if (link.Request is not { } request || link.CorrelationId != correlationId)
                continue;
            BackOff(link);
            if (request is EndEpochCall)
                _unreachable.Add(node);
            return;
        }
    }

    private void HandleResponse(long correlationId, RaftResponse response)
    {
        foreach (var (node, link) in _links)
        {
            // Late, repeated and unasked answers end here: entering a role forgets what was asked before.
            if (link.Request is not { } request || link.CorrelationId != correlationId)
                continue;
            if (node == LeaderId)
                _epochOfEndedLeader = -1; // its process is there, or there again
            if (HandleResponse(node, request, response))
                link.Done(_now);
            else
                BackOff(link);
            return;
        }
    }

    /// <summary>Takes an answer in. Returns whether the node may be asked again at once.</summary>
    private bool HandleResponse(int node, RaftRequest request, RaftResponse response)
    {
        if (response.Error == ErrorCode.UnsupportedVersion && request is VoteCall { IsPreVote: true })
        {
            BecomeCandidate(); // the voter is older than KIP-996
            return true;
        }

        if (response is AddVoterReply or RemoveVoterReply)
            return HandleMembershipReply(response);
        if (response is UpdateVoterReply { Error: ErrorCode.UnsupportedVersion } unsupported)
            return HandleUpdateVoterReply(unsupported);
        if (response.Epoch < Epoch || response.Error == ErrorCode.UnknownLeaderEpoch)
            return false; // it has to learn the epoch first
        if (response.Epoch > Epoch || response.Error is ErrorCode.FencedLeaderEpoch or ErrorCode.NotLeaderOrFollower)
            return LearnLeader(response.Epoch, response.LeaderId, response.LeaderEndpoints);
        if (LearnLeader(response.Epoch, response.LeaderId, response.LeaderEndpoints) && response.Error != ErrorCode.None)
            return true;
        if (response.Error == ErrorCode.InvalidRequest)
            Note($"Node {node} calls a {request.GetType().Name} of this node invalid");
        return HandleResponse(node, request, response, response.Error);
    }

    private bool HandleResponse(int node, RaftRequest request, RaftResponse response, ErrorCode error)
    {
        switch (request, response)
        {
            case (VoteCall call, VoteReply reply) when error == ErrorCode.None:
                return HandleVoteReply(node, call, reply);
            case (FetchCall, FetchReply reply) when error == ErrorCode.None:
                return HandleFetchReply(reply);
            case (FetchSnapshotCall, FetchSnapshotReply reply):
                return HandleFetchSnapshotReply(reply);
            case (BeginEpochCall or EndEpochCall, _) when error == ErrorCode.None:
                _acknowledged.Add(node);
                return true;
            case (UpdateVoterCall, UpdateVoterReply reply):
                return HandleUpdateVoterReply(reply);
            default:
                return false; // an error: asked again after the back-off
        }
    }

    /// <summary>The endpoints of a node: those that a message gave, or those of the voter set.</summary>
    private IReadOnlyList<RaftEndpoint> EndpointsOf(int node, IReadOnlyList<RaftEndpoint> given) =>
        given.Count > 0 ? given : History.Voters.Find(node)?.Endpoints ?? [];

    /// <summary>
    /// Moves to a later epoch, or learns the leader of this one, or more of its endpoints. Returns whether the role was entered anew.
    /// </summary>
    private bool LearnLeader(int epoch, int leaderId, IReadOnlyList<RaftEndpoint> given)
    {
        var isLaterEpoch = epoch > Epoch;
        if (epoch < Epoch || (!isLaterEpoch && leaderId < 0))
            return false;
        if (!isLaterEpoch && LeaderId >= 0 && LeaderId != leaderId)
        {
            Note($"Was told that node {leaderId} leads epoch {epoch}, which node {LeaderId} leads");
            return false;
        }

        if (leaderId < 0)
        {
            BecomeUnattached(epoch);
            return true;
        }

        if (leaderId == _options.Local.Id)
            return LearnOwnLeadership(epoch);
        var endpoints = EndpointsOf(leaderId, given);
        var isKnown = !isLaterEpoch && LeaderId == leaderId;
        if (isKnown && Role != RaftRole.Unattached)
        {
            if (endpoints.Count > LeaderEndpoints.Count)
                _leaderEndpoints = endpoints;
            return false;
        }

        if (endpoints.Count > 0)
            BecomeFollower(epoch, leaderId, endpoints);
        else if (!isKnown)
            BecomeUnattached(epoch, leaderId); // it cannot be reached yet
        return !isKnown || endpoints.Count > 0;
    }

    /// <summary>
    /// Others say that this node leads an epoch of which it knows nothing: its disk was replaced. A voter must neither lead nor vote in
    /// that epoch, as after a restart. An observer, whose directory was replaced with its id, has nothing to do with it.
    /// </summary>
    private bool LearnOwnLeadership(int epoch)
    {
        if (Role is RaftRole.Leader or RaftRole.Resigned && epoch == Epoch)
            return false;
        if (!IsVoter)
        {
            if (epoch == Epoch)
                return false;
            BecomeUnattached(epoch);
            return true;
        }

        Note($"Was told that it leads epoch {epoch}, which it does not remember: it stays out of that epoch");
        Enter(RaftRole.Resigned, epoch, _options.Local.Id, null, _now.AddMilliseconds(RandomElectionTimeoutMs));
        _notifiesResignation = true;
        _successors = [];
        return true;
    }

    /// <summary>The state of requests to a node; one may be under way.</summary>
    private sealed class PeerLink
    {
        public long CorrelationId { get; set; }

        public RaftRequest? Request { get; set; }

        /// <summary>The earliest time of the next request: after the response, the back-off or the timeout.</summary>
        public Instant ReadyAt { get; set; } = new(long.MinValue);

        /// <summary>How often it has failed, or had nothing new to say, in a row.</summary>
        public int Failures { get; set; }

        /// <summary>The time of the last BeginQuorumEpoch to the node, in milliseconds.</summary>
        public long AnnouncedAt { get; set; } = long.MinValue;

        public bool IsBusy(Instant now) => Request is not null && now < ReadyAt;

        public void Done(Instant now)
        {
            Request = null;
            ReadyAt = now;
            Failures = 0;
        }
    }
}
