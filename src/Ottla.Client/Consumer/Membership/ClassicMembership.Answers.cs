using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers.Membership;

/// <summary>Heartbeats, and what follows from answers and errors.</summary>
internal sealed partial class ClassicMembership
{
    /// <inheritdoc/>
    public void OnAnswer(Instant now, int attempt, IMessage answer)
    {
        if (answer is HeartbeatResponse heartbeat)
        {
            if (attempt == _heartbeatAttempt && _isHeartbeatUnderWay)
                OnHeartbeat(now, (ErrorCode)heartbeat.ErrorCode);
            return;
        }

        if (attempt != _attempt || !_isRequestUnderWay)
            return;
        _isRequestUnderWay = false;
        switch (answer)
        {
            case JoinGroupResponse { ErrorCode: (short)ErrorCode.None } joined when _phase == Phase.Joining:
                OnJoined(now, joined);
                break;
            case JoinGroupResponse refused when _phase == Phase.Joining:
                OnJoinRefused(now, (ErrorCode)refused.ErrorCode, refused.MemberId);
                break;
            case SyncGroupResponse { ErrorCode: (short)ErrorCode.None } synced when _phase == Phase.Syncing:
                OnSynced(synced);
                break;
            case SyncGroupResponse refused when _phase == Phase.Syncing:
                OnSyncRefused(now, (ErrorCode)refused.ErrorCode);
                break;
            case LeaveGroupResponse when _phase == Phase.Leaving:
                EndMembership(); // whatever it says: who leaves does not come back to ask again
                break;
        }
    }

    /// <inheritdoc/>
    public void OnRequestFailed(Instant now, int attempt, KafkaException failure)
    {
        var isHeartbeat = _isHeartbeatUnderWay && attempt == _heartbeatAttempt;
        if (isHeartbeat)
            _isHeartbeatUnderWay = false;
        else if (attempt != _attempt || !_isRequestUnderWay)
            return;
        else
            _isRequestUnderWay = false;

        if (!failure.IsRetriable)
        {
            if (_phase == Phase.Leaving)
                EndMembership();
            else
                FailFor(failure);
            return;
        }

        LoseCoordinator();
        if (isHeartbeat)
            return;
        WaitBeforeRetry(now);
        switch (_phase)
        {
            case Phase.Leaving:
                EndMembership();
                break;
            case Phase.Syncing:
                _phase = Phase.Outside;
                Rejoin("the coordinator could not be reached");
                break;
        }
    }

    /// <inheritdoc/>
    public void OnCommitRefused(Instant now, MemberIdentity identity, ErrorCode error)
    {
        if (ErrorKinds.InvalidatesCoordinator(error) || error == ErrorCode.RequestTimedOut)
            LoseCoordinator();
        else if (identity == Identity && _generation >= 0 && IsHeartbeatWanted)
            OnMembershipRefused(now, error);
    }

    private void BeginHeartbeats(Instant now)
    {
        _isHeartbeatUnderWay = false;
        _heartbeatAt = now.AddMilliseconds(_settings.HeartbeatIntervalMs);
        _sessionEndsAt = now.AddMilliseconds(_settings.SessionTimeoutMs);
    }

    private void KeepAlive(Instant now, List<MembershipAction> actions)
    {
        if (!IsHeartbeatWanted)
            return;
        if (now >= _sessionEndsAt && _isCoordinatorKnown)
        {
            // Nothing was heard for so long: the coordinator may be another one by now.
            _isHeartbeatUnderWay = false;
            LoseCoordinator();
            FindCoordinator(actions);
            return;
        }

        if (_isHeartbeatUnderWay || !_isCoordinatorKnown || now < _heartbeatAt)
            return;
        _isHeartbeatUnderWay = true;
        _heartbeatAttempt = NewAttempt();
        _heartbeatAt = now.AddMilliseconds(_settings.HeartbeatIntervalMs);
        var request = new HeartbeatRequest
        {
            GroupId = _settings.GroupId,
            GenerationId = _generation,
            MemberId = _memberId,
            GroupInstanceId = _settings.InstanceId,
        };
        actions.Add(new MembershipAction.Send(request, _heartbeatAttempt));
    }

    private void OnHeartbeat(Instant now, ErrorCode error)
    {
        _isHeartbeatUnderWay = false;
        switch (error)
        {
            case ErrorCode.None:
                _sessionEndsAt = now.AddMilliseconds(_settings.SessionTimeoutMs);
                break;
            case ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator:
                LoseCoordinator();
                break;
            case ErrorCode.RebalanceInProgress:
                _sessionEndsAt = now.AddMilliseconds(_settings.SessionTimeoutMs);
                if (_phase is Phase.Stable or Phase.Accepting)
                    Rejoin("group is already rebalancing");
                break;
            case ErrorCode.IllegalGeneration or ErrorCode.UnknownMemberId or ErrorCode.FencedInstanceId:
                OnMembershipRefused(now, error);
                break;
            default:
                _heartbeatAt = now.AddMilliseconds(_settings.RetryBackoffMs); // the next one may be answered better
                break;
        }
    }

    /// <summary>The coordinator does not know the member, or not by its generation: others have its partitions.</summary>
    private void OnMembershipRefused(Instant now, ErrorCode error)
    {
        switch (error)
        {
            case ErrorCode.IllegalGeneration:
                ForgetMembership(keepsMemberId: true);
                break;
            case ErrorCode.UnknownMemberId:
                ForgetMembership(keepsMemberId: false);
                break;
            case ErrorCode.FencedInstanceId:
                FailFor(error, $"another member of the group '{_settings.GroupId}' has the instance id '{_settings.InstanceId}'");
                return;
            default:
                return;
        }

        WaitBeforeRetry(now);
        Rejoin($"the coordinator answered {error.ToKafkaName()}");
    }

    private void OnJoinRefused(Instant now, ErrorCode error, string memberId)
    {
        switch (error)
        {
            case ErrorCode.MemberIdRequired:
                _memberId = memberId;
                _rejoinReason = "need to re-join with the given member-id";
                break;
            case ErrorCode.UnknownMemberId:
                _memberId = "";
                WaitBeforeRetry(now);
                break;
            case ErrorCode.RebalanceInProgress or ErrorCode.CoordinatorLoadInProgress:
                WaitBeforeRetry(now);
                break;
            case ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator:
                LoseCoordinator();
                WaitBeforeRetry(now);
                break;
            default:
                FailFor(error, $"cannot join the group '{_settings.GroupId}'");
                break;
        }
    }

    private void OnSyncRefused(Instant now, ErrorCode error)
    {
        switch (error)
        {
            case ErrorCode.RebalanceInProgress:
                _phase = Phase.Outside;
                break;
            case ErrorCode.IllegalGeneration or ErrorCode.UnknownMemberId:
                // What is owned was kept over the join as its generation's; the next join says that it has none.
                ForgetMembership(keepsMemberId: error == ErrorCode.IllegalGeneration);
                break;
            case ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator:
                LoseCoordinator();
                WaitBeforeRetry(now);
                _phase = Phase.Outside;
                break;
            default:
                FailFor(error, $"cannot get an assignment of the group '{_settings.GroupId}'");
                return;
        }

        Rejoin($"SyncGroup was answered {error.ToKafkaName()}");
    }

    private void LoseCoordinator() => _isCoordinatorKnown = false;

    private void WaitBeforeRetry(Instant now) => _retryAt = now.AddMilliseconds(_settings.RetryBackoffMs);

    /// <summary>The member is not in the group any more, and what it owned is lost.</summary>
    private void ForgetMembership(bool keepsMemberId)
    {
        _generation = NoGeneration;
        if (!keepsMemberId)
            _memberId = "";
        _isOwnershipLost = _owned.Count > 0;
        _isHeartbeatUnderWay = false;
        _assignedTopics = null;
        switch (_phase)
        {
            case Phase.Preparing or Phase.Parting:
                break; // the application is called back already; it cannot be told twice
            case Phase.Releasing when !_mustRelease:
            case Phase.Accepting when !_mustAccept:
                break; // as soon as it has been called back, it is told of the loss
            default:
                Abandon();
                _mustRelease = _mustAccept = _mustLearn = false;
                _phase = Phase.Outside;
                break;
        }
    }

    private void EndMembership()
    {
        _phase = Phase.Over;
        _generation = NoGeneration;
        _memberId = "";
        _isCoordinatorKnown = false;
    }

    private void FailFor(ErrorCode error, string what) => FailFor(new KafkaException(error, what));

    /// <summary>Gives up: the application is told, and the member joins again when it polls the next time after that.</summary>
    private void FailFor(KafkaException failure)
    {
        _failure = failure;
        ForgetMembership(keepsMemberId: false);
        Rejoin("the last attempt had failed");
        _hasPolled = false;
        _isPolling = false;
    }
}
