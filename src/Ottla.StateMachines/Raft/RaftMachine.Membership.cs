using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>
/// What a follower asks of the leader for itself (KIP-853): a voter that its entry in the voter set be brought up to date, a controller
/// that is no voter to become one.
/// </content>
public sealed partial class RaftMachine
{
    private Instant _membershipDueAt;
    private bool _hasUpdatedLeader;

    private int MembershipPeriodMs => 2 * _options.FetchTimeoutMs;

    /// <summary>Sends what is due instead of a fetch. Returns whether it did.</summary>
    private bool TrySendMembership(RaftNode leader)
    {
        if (_options.Endpoints.Count == 0 || !_options.CanBecomeVoter)
            return false;
        if (_now < _membershipDueAt)
        {
            WakeAt(_membershipDueAt);
            return false;
        }

        if (NewMembershipCall() is not { } call)
        {
            _membershipDueAt = _now.AddMilliseconds(MembershipPeriodMs);
            return false;
        }

        if (!TrySend(leader, call))
            return false;
        _asked = leader;
        _membershipDueAt = _now.AddMilliseconds(MembershipPeriodMs);
        return true;
    }

    private RaftRequest? NewMembershipCall()
    {
        var entry = History.Voters.Find(_options.Local.Id);
        if (IsVoter)
        {
            // Without dynamic voters only the leader remembers, so each must be told; it needs it to raise kraft.version.
            var isDue = History.KRaftVersion > 0 ? entry!.DiffersFrom(Self) : !_hasUpdatedLeader;
            return isDue ? new UpdateVoterCall(Epoch, Self) : null;
        }

        if (!_options.AutoJoin || History.KRaftVersion == 0)
            return null;
        // The node's former directory is a voter still: it has to make room first.
        return entry is null
            ? new AddVoterCall(_options.Local, _options.Endpoints, _options.RequestTimeoutMs, AckWhenCommitted: false)
            : new RemoveVoterCall(entry.Key);
    }

    private bool HandleUpdateVoterReply(UpdateVoterReply reply)
    {
        // An old leader that does not know the request cannot be told.
        if (reply.Error is not (ErrorCode.None or ErrorCode.UnsupportedVersion) || Role != RaftRole.Follower)
            return false;
        _hasUpdatedLeader = true;
        HeardFromLeader();
        return true;
    }

    /// <summary>The answer to a wish to join: whatever it is, the next one is due a while later.</summary>
    private bool HandleMembershipReply(RaftResponse response)
    {
        if (response.Error is not (ErrorCode.None or ErrorCode.RequestTimedOut or ErrorCode.DuplicateVoter or ErrorCode.VoterNotFound))
        {
            var message = (response as AddVoterReply)?.Message ?? (response as RemoveVoterReply)?.Message;
            Note($"The leader does not let this node join the voters: {response.Error} ({message})");
        }

        return true;
    }
}
