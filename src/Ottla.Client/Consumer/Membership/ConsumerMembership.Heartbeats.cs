using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers.Membership;

/// <summary>Heartbeats and their answers.</summary>
internal sealed partial class ConsumerMembership
{
    /// <summary>How many failures in a row lengthen the wait between attempts.</summary>
    private const int BackoffDoublingsMax = 4;

    private bool _mustTellFirst;

    /// <summary>Whether a static member has asked to join and heard nothing: the coordinator may have it already.</summary>
    private bool _mayHaveJoined;

    /// <summary>Whether a static member has to give up its instance id, which it may own itself, before it joins.</summary>
    private bool _mustRelease;

    /// <summary>Whether the request under way does that.</summary>
    private bool _isReleasing;

    /// <inheritdoc/>
    public void OnAnswer(Instant now, int attempt, IMessage answer)
    {
        if (attempt != _attempt || !_isRequestUnderWay || answer is not ConsumerGroupHeartbeatResponse heartbeat)
            return;
        _isRequestUnderWay = false;
        var error = (ErrorCode)heartbeat.ErrorCode;
        if (_phase == Phase.Leaving)
        {
            _phase = Phase.Over; // whatever it says: who leaves does not come back to ask again
            _epoch = NoEpoch;
        }
        else if (_isReleasing)
        {
            OnReleased(now, error);
        }
        else if (error == ErrorCode.None)
        {
            OnAccepted(now, heartbeat);
        }
        else
        {
            OnRefused(now, error, heartbeat.ErrorMessage);
        }
    }

    /// <inheritdoc/>
    public void OnRequestFailed(Instant now, int attempt, KafkaException failure)
    {
        if (attempt != _attempt || !_isRequestUnderWay)
            return;
        _isRequestUnderWay = false;
        if (_phase == Phase.Leaving)
        {
            _phase = Phase.Over;
            return;
        }

        if (!failure.IsRetriable)
        {
            FailFor(failure);
            return;
        }

        _mayHaveJoined |= _phase == Phase.Joining && !_isReleasing && _settings.InstanceId is not null;
        _isReleasing = false;
        _isCoordinatorKnown = false;
        SayAllAgain();
        WaitBeforeRetry(now);
    }

    /// <inheritdoc/>
    public void OnCommitRefused(Instant now, MemberIdentity identity, ErrorCode error)
    {
        if (ErrorKinds.InvalidatesCoordinator(error) || error == ErrorCode.RequestTimedOut)
            _isCoordinatorKnown = false;
        else if (error == ErrorCode.UnknownMemberId && identity == Identity && _phase == Phase.Member)
            Fence();
    }

    private void SendHeartbeat(Instant now, List<MembershipAction> actions)
    {
        var request = new ConsumerGroupHeartbeatRequest
        {
            GroupId = _settings.GroupId,
            MemberId = _memberId,
            MemberEpoch = _phase switch
            {
                Phase.Joining when _mustRelease => LeaveForNowEpoch,
                Phase.Joining => JoinEpoch,
                Phase.Leaving => _settings.InstanceId is null ? LeaveEpoch : LeaveForNowEpoch,
                _ => _epoch,
            },
            InstanceId = _settings.InstanceId,
        };
        _isReleasing = _phase == Phase.Joining && _mustRelease;
        if (_phase == Phase.Joining && !_isReleasing)
        {
            request.RackId = _settings.Rack;
            request.TopicPartitions = [];
        }

        if (_phase != Phase.Leaving && !_isReleasing)
            SayChanges(request);
        _isRequestUnderWay = true;
        _attempt = ++_lastAttempt;
        _heartbeatAt = now.AddMilliseconds(_intervalMs);
        actions.Add(new MembershipAction.Send(request, _attempt));
    }

    /// <summary>The coordinator remembers what it was told: only changes are said again.</summary>
    private void SayChanges(ConsumerGroupHeartbeatRequest request)
    {
        if (_sentSubscription is null)
        {
            request.RebalanceTimeoutMs = _settings.PollIntervalMaxMs;
            request.ServerAssignor = _settings.ServerAssignor;
        }

        if (_sentSubscription is null || !_sentSubscription.Equals(_subscription))
        {
            request.SubscribedTopicNames = [.. _subscription.Topics.Order(StringComparer.Ordinal)];
            if (_subscription.Regex is not null || _sentSubscription?.Regex is not null)
                request.SubscribedTopicRegex = _subscription.Regex ?? "";
            _sentSubscription = _subscription;
        }

        if (_phase == Phase.Member && _mustAcknowledge && !IsCalledBack)
        {
            _mustAcknowledge = false;
            request.TopicPartitions = [.. _owned.Keys.GroupBy(partition => partition.TopicId)
                .Select(topic => new ConsumerGroupHeartbeatRequest.TopicPartitionsData
                {
                    TopicId = topic.Key,
                    Partitions = [.. topic.Select(partition => partition.Partition).Order()],
                })];
        }
    }

    private void OnAccepted(Instant now, ConsumerGroupHeartbeatResponse answer)
    {
        _failures = 0;
        _unreleasedSince = null;
        _mayHaveJoined = false;
        _epoch = answer.MemberEpoch;
        _intervalMs = Math.Max(answer.HeartbeatIntervalMs, 1);
        var hasNews = _mustAcknowledge || _sentSubscription is null || !_sentSubscription.Equals(_subscription);
        if (!hasNews)
            _heartbeatAt = now.AddMilliseconds(_intervalMs);
        if (_phase == Phase.Joining)
        {
            _phase = Phase.Member;
            _mustTellFirst = true;
        }

        if (answer.Assignment is not { } assignment)
            return;
        _wasEverAssigned = true;
        _target = [.. assignment.TopicPartitions.SelectMany(
            topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.TopicId, partition))];
        _hasAsked = false;
    }

    /// <summary>
    /// The coordinator has answered the release of the instance id: whatever it says, the member asks to join again. It says
    /// FENCED_INSTANCE_ID when another member has it, which is waited for.
    /// </summary>
    private void OnReleased(Instant now, ErrorCode error)
    {
        _isReleasing = _mustRelease = _mayHaveJoined = false;
        if (ErrorKinds.InvalidatesCoordinator(error))
            _isCoordinatorKnown = false;
        if (error == ErrorCode.None)
            _heartbeatAt = now;
        else
            WaitBeforeRetry(now);
    }

    private void OnRefused(Instant now, ErrorCode error, string? message)
    {
        switch (error)
        {
            case ErrorCode.CoordinatorLoadInProgress:
                SayAllAgain();
                WaitBeforeRetry(now);
                break;
            case ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator:
                _isCoordinatorKnown = false;
                SayAllAgain();
                WaitBeforeRetry(now);
                break;
            case ErrorCode.UnknownMemberId or ErrorCode.FencedMemberEpoch:
                Fence();
                WaitBeforeRetry(now);
                break;
            case ErrorCode.UnreleasedInstanceId when MayStillBeReleased(now):
                SayAllAgain();
                _mustRelease = _mayHaveJoined; // the coordinator takes an instance id as owned also when its owner joins once more
                if (_mustRelease)
                    _heartbeatAt = now;
                else
                    WaitBeforeRetry(now); // a member that had just this instance id has not been given up yet
                break;
            case ErrorCode.TopicAuthorizationFailed:
                _failure = Refusal(error, message); // an administrator may allow it any time: the member stays
                SayAllAgain();
                WaitBeforeRetry(now);
                break;
            default:
                FailFor(Refusal(error, message));
                break;
        }
    }

    private KafkaException Refusal(ErrorCode error, string? message) =>
        new(error, $"the group '{_settings.GroupId}' refused its member: {message ?? "it did not say why"}");

    private bool MayStillBeReleased(Instant now)
    {
        if (_settings.InstanceId is null)
            return false;
        _unreleasedSince ??= now;
        return now.MillisecondsSince(_unreleasedSince.Value) < _settings.SessionTimeoutMs;
    }

    private void SayAllAgain()
    {
        _sentSubscription = null;
        _mustAcknowledge = _phase == Phase.Member;
    }

    private void WaitBeforeRetry(Instant now)
    {
        _heartbeatAt = now.AddMilliseconds((long)_settings.RetryBackoffMs << Math.Min(_failures, BackoffDoublingsMax));
        _failures++;
    }

    /// <summary>The member is not in the group any more, and what it owned is lost.</summary>
    private void Fence()
    {
        _epoch = NoEpoch;
        _phase = _phase is Phase.Parting or Phase.Over ? _phase : Phase.Outside;
        _isOwnershipLost = _owned.Count > 0;
        _sentSubscription = null;
        _mustAcknowledge = false;
        _wasEverAssigned = false;
        _mustTellFirst = false;
        _target = [];
        _attempt = 0;
        _isRequestUnderWay = false;
        _isReleasing = _mustRelease = false;
    }

    /// <summary>The application has not polled for too long: others get its partitions. It joins again when it polls.</summary>
    private void LeaveForSilence(List<MembershipAction> actions)
    {
        var request = new ConsumerGroupHeartbeatRequest
        {
            GroupId = _settings.GroupId,
            MemberId = _memberId,
            MemberEpoch = _settings.InstanceId is null ? LeaveEpoch : LeaveForNowEpoch,
            InstanceId = _settings.InstanceId,
        };
        if (_isCoordinatorKnown)
            actions.Add(new MembershipAction.Send(request, ++_lastAttempt));
        Fence();
    }

    /// <summary>Gives up: the application is told, and the member joins again when it polls the next time after that.</summary>
    private void FailFor(KafkaException failure)
    {
        _failure = failure;
        Fence();
        _isPolling = false;
        _hasPolled = false;
    }
}
