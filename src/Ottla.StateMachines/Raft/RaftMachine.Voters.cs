using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Raft;

/// <content>
/// Changes of the voters on the leader (KIP-853): one at a time, each in force on every replica when it is appended, and only after the one
/// before and a record of the leader's own epoch are committed. So the majorities before and after always meet.
/// </content>
public sealed partial class RaftMachine
{
    /// <summary>A replica that had caught up within this time may become a voter (Kafka's constant).</summary>
    private const long CaughtUpWithinMs = 60 * 60 * 1000;

    private VoterChange? _change;

    /// <summary>Without dynamic voters: what the voters have told this leader of themselves.</summary>
    private VoterSet _toldVoters = VoterSet.Empty;

    /// <summary>Whether a Voters record of this leader is on its way to the log.</summary>
    private bool _isVotersAppendPending;
    private long _nextProbeId;

    private bool HasUncommittedVoters => _isVotersAppendPending || History.VotersOffset >= LeaderHighWatermark;

    private void BeginLeadingVoters()
    {
        _change = null;
        _isVotersAppendPending = false;
        _toldVoters = History.Voters.With(Self);
    }

    private void EndLeadingVoters()
    {
        FinishChange(ErrorCode.NotLeaderOrFollower, "This node does not lead the quorum any more.");
        _isVotersAppendPending = false;
    }

    private void HandleAddVoter(long requestId, AddVoterCall call)
    {
        var (error, message) = CheckAddVoter(call);
        if (error != ErrorCode.None)
        {
            Reply(requestId, new AddVoterReply(error, message, LeaderId, Epoch));
            return;
        }

        _change = new VoterChange(VoterChangeKind.Add, requestId, new Voter(call.Voter, call.Endpoints), NewChangeDeadline())
        {
            IsAnsweredAtAppend = !call.AckWhenCommitted,
        };
        Probe(_change);
    }

    private (ErrorCode Error, string? Message) CheckAddVoter(AddVoterCall call)
    {
        if (CheckIsLeader(Epoch) is var notLeader && notLeader != ErrorCode.None)
            return (notLeader, null);
        if (call.Voter.Id < 0 || call.Voter.DirectoryId == Uuid.Zero)
            return (ErrorCode.InvalidRequest, "The request names no voter.");
        if (EndpointOnListener(call.Endpoints) is null)
            return (ErrorCode.InvalidRequest, $"The request has no endpoint for the listener {_options.ListenerName}.");
        if (CheckCanChangeVoters() is { Error: not ErrorCode.None } refusal)
            return refusal;
        return History.Voters.Find(call.Voter.Id) is { } present
            ? (ErrorCode.DuplicateVoter, $"The node {call.Voter.Id} is a voter already, with the directory {present.Key.DirectoryId}.")
            : (ErrorCode.None, null);
    }

    private (ErrorCode Error, string? Message) CheckCanChangeVoters()
    {
        if (_change is not null)
            return (ErrorCode.RequestTimedOut, "The leader still handles an earlier change of the voters.");
        if (LeaderHighWatermark < 0)
            return (ErrorCode.RequestTimedOut, "The leader has not committed a record of its epoch yet.");
        if (History.KRaftVersion == 0)
            return (ErrorCode.UnsupportedVersion, "The voters of this quorum cannot be changed, because its kraft.version is 0.");
        return HasUncommittedVoters
            ? (ErrorCode.RequestTimedOut, "The latest change of the voters is not committed yet.")
            : (ErrorCode.None, null);
    }

    private void HandleRemoveVoter(long requestId, RemoveVoterCall call)
    {
        var (error, message) = CheckIsLeader(Epoch) is var notLeader && notLeader != ErrorCode.None ? (notLeader, null)
            : call.Voter.Id < 0 || call.Voter.DirectoryId == Uuid.Zero ? (ErrorCode.InvalidRequest, "The request names no voter.")
            : CheckCanChangeVoters();
        var rest = error == ErrorCode.None ? History.Voters.Without(call.Voter) : null;
        if (error == ErrorCode.None && rest is null)
        {
            var voters = string.Join(", ", History.Voters.Voters.Select(voter => voter.Key));
            (error, message) = (ErrorCode.VoterNotFound, $"{call.Voter} is none of the voters, or the last one: {voters}.");
        }

        if (error != ErrorCode.None)
        {
            Reply(requestId, new RemoveVoterReply(error, message, LeaderId, Epoch));
            return;
        }

        _change = new VoterChange(VoterChangeKind.Remove, requestId, null, NewChangeDeadline());
        AppendVoters(rest!, null);
    }

    private void HandleUpdateVoter(long requestId, UpdateVoterCall call)
    {
        var voter = call.Voter;
        var error = CheckIsLeader(call.Epoch) is var notLeader && notLeader != ErrorCode.None ? notLeader
            : voter.Key.Id < 0 || voter.Key.DirectoryId == Uuid.Zero || voter.KRaftVersionMin < 0
            || voter.KRaftVersionMax < voter.KRaftVersionMin
                ? ErrorCode.InvalidRequest
            : _change is not null || LeaderHighWatermark < 0 ? ErrorCode.RequestTimedOut
            : EndpointOnListener(voter.Endpoints) is null ? ErrorCode.InvalidRequest
            : ErrorCode.None;
        if (error != ErrorCode.None)
        {
            Reply(requestId, new UpdateVoterReply(error, LeaderId, Epoch));
            return;
        }

        _change = new VoterChange(VoterChangeKind.Update, requestId, voter, NewChangeDeadline()) { IsAnsweredAtAppend = true };
        Probe(_change);
    }

    /// <summary>Raises <c>kraft.version</c> from 0 to 1, once every voter has told this leader who it is. There is no way back.</summary>
    private void HandleUpgradeVersion(long requestId, UpgradeVersionCall call)
    {
        var (error, message) = CheckUpgradeVersion(call);
        if (error != ErrorCode.None || call.ValidateOnly || call.Version == History.KRaftVersion)
        {
            Reply(requestId, new UpgradeVersionReply(error, message, LeaderId, Epoch));
            return;
        }

        _change = new VoterChange(VoterChangeKind.Upgrade, requestId, null, NewChangeDeadline());
        AppendVoters(_toldVoters, call.Version);
    }

    private (ErrorCode Error, string? Message) CheckUpgradeVersion(UpgradeVersionCall call)
    {
        if (CheckIsLeader(call.Epoch) is var notLeader && notLeader != ErrorCode.None)
            return (notLeader, null);
        if (call.Version == History.KRaftVersion)
            return (ErrorCode.None, null);
        if (call.Version < History.KRaftVersion || call.Version > Voter.KRaftVersionSupported)
            return (ErrorCode.InvalidUpdateVersion, $"kraft.version cannot go from {History.KRaftVersion} to {call.Version}.");
        if (_change is not null || LeaderHighWatermark < 0 || HasUncommittedVoters)
            return (ErrorCode.RequestTimedOut, "The leader still handles an earlier change of the voters, or has committed nothing yet.");
        var untold = _toldVoters.Voters.Where(voter => voter.Key.DirectoryId == Uuid.Zero || !voter.Supports(call.Version));
        var names = string.Join(", ", untold.Select(voter => voter.Key.Id));
        return names.Length == 0
            ? (ErrorCode.None, null)
            : (ErrorCode.InvalidUpdateVersion, $"kraft.version cannot become {call.Version}: the voters {names} do not support it, or have "
                + "not told the leader yet.");
    }

    private Instant NewChangeDeadline() => _now.AddMilliseconds(_options.RequestTimeoutMs);

    private void Probe(VoterChange change)
    {
        change.ProbeId = _nextProbeId++;
        _effects.Probes.Add(new RaftProbe(change.ProbeId.Value, change.Voter!.NodeOn(_options.ListenerName)!));
    }

    private void HandleProbed(RaftEvent.Probed probed)
    {
        if (_change is not { } change || change.ProbeId != probed.ProbeId)
            return;
        change.ProbeId = null;
        if (probed.Range is not { } range)
            FinishChange(
                ErrorCode.RequestTimedOut,
                $"The voter {change.Voter!.Key} does not answer at {change.Voter.NodeOn(_options.ListenerName)}.");
        else if (change.Kind == VoterChangeKind.Add)
            GoOnAdding(change, range);
        else
            GoOnUpdating(change, range);
    }

    private void GoOnAdding(VoterChange change, (short Min, short Max) range)
    {
        var voter = change.Voter! with { KRaftVersionMin = range.Min, KRaftVersionMax = range.Max };
        if (!voter.Supports(History.KRaftVersion))
            FinishChange(
                ErrorCode.InvalidRequest, $"{voter.Key} supports kraft.version {range.Min} to {range.Max}, not {History.KRaftVersion}.");
        else if (FindReplica(voter.Key) is not { LastCaughtUpMs: > 0 } state
            || state.LastFetchMs <= _now.UnixMilliseconds - CaughtUpWithinMs)
            FinishChange(ErrorCode.RequestTimedOut, $"{voter.Key} has not caught up with the leader's log yet.");
        else
            AppendVoters(History.Voters.Add(voter), null);
    }

    private void GoOnUpdating(VoterChange change, (short Min, short Max) range)
    {
        var voter = change.Voter!;
        var isDynamic = History.KRaftVersion > 0;
        var known = (isDynamic ? History.Voters : _toldVoters).Find(voter.Key.Id);
        if ((voter.KRaftVersionMin, voter.KRaftVersionMax) != range || !voter.Supports(History.KRaftVersion))
            FinishChange(ErrorCode.InvalidRequest, null);
        else if (isDynamic && HasUncommittedVoters)
            FinishChange(ErrorCode.RequestTimedOut, null);
        else if (known is null || (isDynamic && known.Key != voter.Key))
            FinishChange(ErrorCode.VoterNotFound, null);
        else
            UpdateVoter(voter, known, isDynamic);
    }

    private void UpdateVoter(Voter voter, Voter known, bool isDynamic)
    {
        CountForQuorum(voter.Key);
        if (isDynamic && known.DiffersFrom(voter))
        {
            AppendVoters(History.Voters.With(voter), null);
            return;
        }

        if (!isDynamic)
            _toldVoters = _toldVoters.With(voter);
        FinishChange(ErrorCode.None, null);
    }

    private void AppendVoters(VoterSet voters, short? kraftVersion)
    {
        _isVotersAppendPending = true;
        _effects.Log.Add(new RaftLogEffect.AppendQuorumChange(Epoch, _now, kraftVersion, voters));
    }

    private void HandleVotersAppended(IReadOnlyList<AppendedBatch> batches)
    {
        foreach (var batch in batches)
        {
            foreach (var change in batch.Changes.Where(change => change.Voters is not null && _isVotersAppendPending))
            {
                _isVotersAppendPending = false;
                if (_change is null)
                    continue; // the request timed out, but the records were on their way
                _change.AppendedAt = change.Offset;
                if (_change.IsAnsweredAtAppend)
                    AnswerChange(ErrorCode.None, null);
            }
        }
    }

    private void HandleVotersCommitted()
    {
        if (_change?.AppendedAt is { } offset && offset < HighWatermark)
            FinishChange(ErrorCode.None, null);
    }

    private void DriveVoterChange()
    {
        if (_change is null)
            return;
        if (_now >= _change.Deadline)
            FinishChange(ErrorCode.RequestTimedOut, "The change of the voters was not done in time; it may be done later.");
        else
            WakeAt(_change.Deadline);
    }

    private void FinishChange(ErrorCode error, string? message)
    {
        AnswerChange(error, message);
        _change = null;
    }

    /// <summary>Answers the request of the change, once.</summary>
    private void AnswerChange(ErrorCode error, string? message)
    {
        if (_change?.RequestId is not { } requestId)
            return;
        Reply(requestId, _change.Kind switch
        {
            VoterChangeKind.Add => new AddVoterReply(error, message, LeaderId, Epoch),
            VoterChangeKind.Remove => new RemoveVoterReply(error, message, LeaderId, Epoch),
            VoterChangeKind.Upgrade => new UpgradeVersionReply(error, message, LeaderId, Epoch),
            _ => new UpdateVoterReply(error, LeaderId, Epoch),
        });
        _change.RequestId = null;
    }

    private enum VoterChangeKind
    {
        Add,
        Remove,
        Update,
        Upgrade,
    }

    /// <summary>
    /// The change that this leader is about. Probed first if <paramref name="voter"/> is new or moved, then appended, then committed.
    /// </summary>
    private sealed class VoterChange(VoterChangeKind kind, long requestId, Voter? voter, Instant deadline)
    {
        public VoterChangeKind Kind => kind;

        public Voter? Voter => voter;

        public Instant Deadline => deadline;

        /// <summary>The request to answer; null when it is answered.</summary>
        public long? RequestId { get; set; } = requestId;

        public bool IsAnsweredAtAppend { get; init; }

        /// <summary>The probe that is under way.</summary>
        public long? ProbeId { get; set; }

        /// <summary>The offset of the Voters record.</summary>
        public long? AppendedAt { get; set; }
    }
}
