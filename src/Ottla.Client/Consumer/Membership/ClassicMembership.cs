using Ottla.Client.Consumers.Assignors;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers.Membership;

/// <summary>A member of a classic group: JoinGroup, SyncGroup, Heartbeat and LeaveGroup. Pure; owned by its host.</summary>
/// <remarks>
/// With assignors that are all cooperative (KIP-429), partitions stay while the member joins, and what it loses it gives up afterwards and
/// joins once more. Otherwise it gives everything up first.
/// </remarks>
internal sealed partial class ClassicMembership : IMembershipMachine
{
    private const int NoGeneration = -1;
    private static readonly HashSet<Uuid> EmptyIds = [];

    /// <summary>How much longer than the rebalance time-out a JoinGroup may take, which the coordinator holds back for as long.</summary>
    private const int JoinGraceMs = 5_000;

    private readonly MembershipSettings _settings;
    private readonly bool _isCooperative;
    private GroupSubscription _subscription;
    private TopicKnowledge _topics = new(new Dictionary<string, AssignorTopic>(), new Dictionary<Uuid, string>(), IsFresh: false);

    private Phase _phase = Phase.Outside;
    private string _memberId = "";
    private int _generation = NoGeneration;
    private bool _isCoordinatorKnown;
    private bool _isFinding;
    private bool _mustRejoin;
    private string _rejoinReason = "";
    private Instant _retryAt = new(long.MinValue);
    private int _lastAttempt;
    private int _attempt;
    private bool _isRequestUnderWay;

    private List<TopicPartition> _owned = [];
    private List<TopicPartition>? _lastAssigned;
    private int _lastAssignedGeneration = NoGeneration;
    private bool _isOwnershipLost;

    private int _heartbeatAttempt;
    private bool _isHeartbeatUnderWay;
    private Instant _heartbeatAt;
    private Instant _sessionEndsAt = new(long.MaxValue);

    private bool _isPolling;
    private bool _hasPolled;
    private Instant _polledAt;
    private bool _isLeaving;
    private bool _tellsGroup;
    private KafkaException? _failure;

    /// <summary>Begins outside of the group.</summary>
    public ClassicMembership(MembershipSettings settings, GroupSubscription subscription)
    {
        _settings = settings;
        _subscription = subscription;
        _isCooperative = settings.Assignors.All(assignor => assignor.IsCooperative);
    }

    private enum Phase
    {
        /// <summary>Not in the group.</summary>
        Outside,

        /// <summary>The application gives partitions up before the member joins.</summary>
        Preparing,

        /// <summary>JoinGroup is due or under way.</summary>
        Joining,

        /// <summary>The member leads: it has to know the topics of all members before it can assign.</summary>
        Assigning,

        /// <summary>SyncGroup is under way.</summary>
        Syncing,

        /// <summary>The application gives up what the new assignment lacks.</summary>
        Releasing,

        /// <summary>The application is told of its assignment.</summary>
        Accepting,

        /// <summary>In the group.</summary>
        Stable,

        /// <summary>The application gives its partitions up before the member leaves, or after a failure.</summary>
        Parting,

        /// <summary>LeaveGroup is under way.</summary>
        Leaving,

        /// <summary>Out of the group for good.</summary>
        Over,
    }

    /// <inheritdoc/>
    public MemberIdentity Identity => new(_settings.GroupId, _generation, _generation >= 0 ? _memberId : "", _settings.InstanceId);

    /// <inheritdoc/>
    public bool IsStable => _phase == Phase.Stable && !_mustRejoin;

    /// <inheritdoc/>
    public bool WaitsForPoll => !_isPolling && (_phase == Phase.Outside || (_phase == Phase.Stable && _mustRejoin));

    /// <inheritdoc/>
    public bool IsOver => _phase == Phase.Over;

    /// <inheritdoc/>
    public Instant? NextDeadline
    {
        get
        {
            var next = new Instant(long.MaxValue);
            if (IsHeartbeatWanted && _isCoordinatorKnown)
                Consider(_isHeartbeatUnderWay || _sessionEndsAt < _heartbeatAt ? _sessionEndsAt : _heartbeatAt);
            if (IsPollLimited)
                Consider(_polledAt.AddMilliseconds(_settings.PollIntervalMaxMs));
            if (!_isRequestUnderWay && _isCoordinatorKnown && _phase is Phase.Joining or Phase.Assigning or Phase.Leaving)
                Consider(_retryAt);
            return next.UnixMilliseconds == long.MaxValue ? null : next;

            void Consider(Instant at) => next = at < next ? at : next;
        }
    }

    private bool IsHeartbeatWanted =>
        _generation >= 0
        && _phase is Phase.Preparing or Phase.Assigning or Phase.Syncing or Phase.Releasing or Phase.Accepting or Phase.Stable;

    private bool IsPollLimited =>
        !_isPolling && _hasPolled && _generation >= 0 && _phase is not (Phase.Over or Phase.Parting or Phase.Leaving);

    /// <inheritdoc/>
    public void Advance(Instant now, List<MembershipAction> actions)
    {
        if (_failure is { } failure)
        {
            _failure = null;
            actions.Add(new MembershipAction.Fail(failure));
        }

        if (IsPollLimited && now >= _polledAt.AddMilliseconds(_settings.PollIntervalMaxMs))
            LeaveForSilence(actions);
        FindCoordinator(actions);
        KeepAlive(now, actions);
        while (TakeStep(now, actions))
        {
        }
    }

    /// <inheritdoc/>
    public void OnSubscription(GroupSubscription subscription)
    {
        if (subscription == _subscription)
            return;
        _subscription = subscription;
        Rejoin("the subscription changed");
    }

    /// <inheritdoc/>
    public void OnTopics(TopicKnowledge topics)
    {
        // The news of the same update may come once more, as no answer to a question: that does not take the answer back.
        _topics = topics with { IsFresh = topics.IsFresh || _topics.IsFresh };
        if (_phase is Phase.Stable or Phase.Accepting or Phase.Releasing)
            RejoinIfTopicsChanged();
    }

    /// <inheritdoc/>
    public void OnPollBegun(Instant now)
    {
        _isPolling = true;
        _hasPolled = true;
        _polledAt = now;
    }

    /// <inheritdoc/>
    public void OnPollEnded(Instant now)
    {
        _isPolling = false;
        _polledAt = now;
    }

    /// <inheritdoc/>
    public void OnCoordinatorFound(Instant now)
    {
        _isFinding = false;
        _isCoordinatorKnown = true;
        _sessionEndsAt = now.AddMilliseconds(_settings.SessionTimeoutMs);
    }

    /// <inheritdoc/>
    public void OnCoordinatorRefused(Instant now, KafkaException failure)
    {
        _isFinding = false;
        if (_phase == Phase.Leaving)
            EndMembership();
        else
            FailFor(failure);
    }

    /// <inheritdoc/>
    public void OnLeave(bool? tellGroup)
    {
        _isLeaving = true;
        _tellsGroup = tellGroup ?? _settings.InstanceId is null;
    }

    private void Rejoin(string reason)
    {
        _mustRejoin = true;
        _rejoinReason = reason;
    }

    private void FindCoordinator(List<MembershipAction> actions)
    {
        if (_isCoordinatorKnown || _isFinding || _phase == Phase.Over || (_phase == Phase.Outside && !_hasPolled))
            return;
        _isFinding = true;
        actions.Add(new MembershipAction.FindCoordinator());
    }

    /// <summary>The application has not polled for too long: others get its partitions. It joins again when it polls.</summary>
    private void LeaveForSilence(List<MembershipAction> actions)
    {
        if (_settings.InstanceId is null && _isCoordinatorKnown)
            actions.Add(new MembershipAction.Send(NewLeaveRequest("consumer poll timeout has expired."), NewAttempt()));
        ForgetMembership(keepsMemberId: _settings.InstanceId is not null);
        Rejoin("the application had not polled for too long");
    }

    /// <summary>Does the next step, if it can be done.</summary>
    /// <returns>Whether there may be another one.</returns>
    private bool TakeStep(Instant now, List<MembershipAction> actions)
    {
        if (_isLeaving)
            return TakeLeavingStep(now, actions);
        switch (_phase)
        {
            case Phase.Outside or Phase.Stable when _isPolling && (_mustRejoin || _phase == Phase.Outside):
                return Prepare(actions);
            case Phase.Joining when CanAsk(now):
                Join(actions);
                return false;
            case Phase.Assigning when _mustLearn:
                _mustLearn = false;
                actions.Add(new MembershipAction.LearnTopics(_members.SelectMany(member => member.Topics).ToHashSet(), EmptyIds));
                return false;
            case Phase.Assigning when (!_isLeader || _topics.IsFresh) && CanAsk(now):
                AssignAndSync(actions);
                return false;
            case Phase.Releasing when _mustRelease:
                _mustRelease = false;
                actions.Add(new MembershipAction.Revoke(_revoking));
                return false;
            case Phase.Accepting when _mustAccept:
                _mustAccept = false;
                List<TopicPartition> added = [.. _assigned.Except(_owned)];
                _owned = _assigned;
                actions.Add(new MembershipAction.Assign(_owned, added));
                return false;
            default:
                return false;
        }
    }

    private int NewAttempt() => ++_lastAttempt;

    /// <summary>What is under way does not count any more.</summary>
    private void Abandon()
    {
        _attempt = 0;
        _isRequestUnderWay = false;
    }

    private bool CanAsk(Instant now) => _isCoordinatorKnown && !_isRequestUnderWay && now >= _retryAt;

    /// <summary>Has the application give up what it must not have while the member joins.</summary>
    private bool Prepare(List<MembershipAction> actions)
    {
        _phase = Phase.Preparing;
        _isTellingLoss = _isOwnershipLost;
        if (_isOwnershipLost)
        {
            actions.Add(new MembershipAction.Lose(_owned));
            return false;
        }

        List<TopicPartition> revoked = _isCooperative ? _owned.FindAll(each => !_subscription.Topics.Contains(each.Topic)) : _owned;
        if (revoked.Count == 0)
        {
            _phase = Phase.Joining;
            return true;
        }

        _revoking = revoked;
        actions.Add(new MembershipAction.Revoke(revoked));
        return false;
    }

    private bool TakeLeavingStep(Instant now, List<MembershipAction> actions)
    {
        switch (_phase)
        {
            case Phase.Outside or Phase.Joining or Phase.Assigning or Phase.Syncing or Phase.Stable:
            case Phase.Releasing when _mustRelease:
            case Phase.Accepting when _mustAccept:
                Abandon();
                _phase = Phase.Parting;
                if (_owned.Count == 0)
                    return EndParting();
                actions.Add(_isOwnershipLost ? new MembershipAction.Lose(_owned) : new MembershipAction.Revoke(_owned));
                return false;
            case Phase.Leaving when CanAsk(now):
                _isRequestUnderWay = true;
                actions.Add(new MembershipAction.Send(NewLeaveRequest("the consumer is being closed"), _attempt = NewAttempt()));
                return false;
            default:
                return false;
        }
    }

    /// <returns>True: the next step may follow.</returns>
    private bool EndParting()
    {
        _phase = _tellsGroup && _memberId.Length > 0 && _isCoordinatorKnown ? Phase.Leaving : Phase.Over;
        if (_phase == Phase.Over)
            _generation = NoGeneration;
        return true;
    }

    private LeaveGroupRequest NewLeaveRequest(string reason) => new()
    {
        GroupId = _settings.GroupId,
        MemberId = _memberId,
        Members = [new LeaveGroupRequest.MemberIdentity { MemberId = _memberId, Reason = reason }],
    };
}
