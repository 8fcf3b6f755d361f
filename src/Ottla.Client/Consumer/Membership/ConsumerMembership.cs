using Ottla.Client.Consumers.Assignors;
using Ottla.Kernel;

namespace Ottla.Client.Consumers.Membership;

/// <summary>A member of a consumer group by KIP-848: ConsumerGroupHeartbeat alone. Pure; owned by its host.</summary>
/// <remarks>
/// The coordinator tells the member its partitions. The member moves there in one step at a time: it gives up what it shall not have, then
/// takes what it shall, and says what it has with the next heartbeat.
/// </remarks>
internal sealed partial class ConsumerMembership : IMembershipMachine
{
    private const int JoinEpoch = 0;
    private const int LeaveEpoch = -1;
    private const int LeaveForNowEpoch = -2;
    private const int NoEpoch = -1;

    private readonly MembershipSettings _settings;
    private readonly string _memberId;
    private GroupSubscription _subscription;
    private TopicKnowledge _topics = new(new Dictionary<string, AssignorTopic>(), new Dictionary<Uuid, string>(), IsFresh: false);

    private Phase _phase = Phase.Outside;
    private int _epoch = NoEpoch;
    private bool _isCoordinatorKnown;
    private bool _isFinding;
    private int _lastAttempt;
    private int _attempt;
    private bool _isRequestUnderWay;
    private Instant _heartbeatAt = new(long.MinValue);
    private int _intervalMs;
    private int _failures;
    private Instant? _unreleasedSince;

    /// <summary>What the coordinator knows of this member's wishes; null when it has to be told again.</summary>
    private GroupSubscription? _sentSubscription;

    /// <summary>Whether the coordinator has to be told what the member has.</summary>
    private bool _mustAcknowledge;

    private HashSet<TopicIdPartition> _target = [];
    private Dictionary<TopicIdPartition, TopicPartition> _owned = [];
    private Dictionary<TopicIdPartition, TopicPartition> _next = [];
    private List<TopicIdPartition> _revoking = [];
    private bool _isOwnershipLost;
    private bool _isTellingLoss;
    private bool _isTellingAssignment;
    private bool _wasEverAssigned;
    private bool _hasAsked;

    private bool _isPolling;
    private bool _hasPolled;
    private Instant _polledAt;
    private bool _isLeaving;
    private bool _tellsGroup;
    private KafkaException? _failure;

    /// <summary>Begins outside of the group.</summary>
    /// <param name="settings">The group, and how the member behaves.</param>
    /// <param name="subscription">What it subscribes to.</param>
    /// <param name="memberId">Its id, which it keeps for its life.</param>
    public ConsumerMembership(MembershipSettings settings, GroupSubscription subscription, string memberId)
    {
        _settings = settings;
        _subscription = subscription;
        _memberId = memberId;
    }

    private enum Phase
    {
        /// <summary>Not in the group; what was owned has to be given up first.</summary>
        Outside,

        /// <summary>The member asks to join.</summary>
        Joining,

        /// <summary>In the group.</summary>
        Member,

        /// <summary>The application gives its partitions up before the member leaves.</summary>
        Parting,

        /// <summary>The last heartbeat is due or under way.</summary>
        Leaving,

        /// <summary>Out of the group for good.</summary>
        Over,
    }

    /// <inheritdoc/>
    public MemberIdentity Identity =>
        new(_settings.GroupId, Math.Max(_epoch, NoEpoch), _epoch > JoinEpoch ? _memberId : "", _settings.InstanceId);

    /// <inheritdoc/>
    public bool IsStable =>
        _phase == Phase.Member && !_mustAcknowledge && !IsCalledBack && _wasEverAssigned && _target.SetEquals(_owned.Keys);

    /// <inheritdoc/>
    public bool WaitsForPoll => !_isPolling && (_phase == Phase.Outside || (_isOwnershipLost && !IsCalledBack));

    /// <inheritdoc/>
    public bool IsOver => _phase == Phase.Over;

    /// <inheritdoc/>
    public Instant? NextDeadline
    {
        get
        {
            var next = new Instant(long.MaxValue);
            if (_isCoordinatorKnown && !_isRequestUnderWay && _phase is Phase.Joining or Phase.Member or Phase.Leaving)
                next = _heartbeatAt;
            if (IsPollLimited && _polledAt.AddMilliseconds(_settings.PollIntervalMaxMs) is var limit && limit < next)
                next = limit;
            return next.UnixMilliseconds == long.MaxValue ? null : next;
        }
    }

    private bool IsCalledBack => _isTellingLoss || _isTellingAssignment || _revoking.Count > 0;

    private bool IsPollLimited => !_isPolling && _hasPolled && _epoch > JoinEpoch && _phase == Phase.Member;

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
        if (!_isCoordinatorKnown && !_isFinding && _phase != Phase.Over && (_phase != Phase.Outside || _isPolling))
        {
            _isFinding = true;
            actions.Add(new MembershipAction.FindCoordinator());
        }

        Step(actions);
        if (_phase is Phase.Joining or Phase.Member or Phase.Leaving && _isCoordinatorKnown && !_isRequestUnderWay && now >= _heartbeatAt)
            SendHeartbeat(now, actions);
    }

    /// <inheritdoc/>
    public void OnSubscription(GroupSubscription subscription)
    {
        if (subscription == _subscription)
            return;
        _subscription = subscription;
        if (_phase == Phase.Member)
            _heartbeatAt = new Instant(long.MinValue);
    }

    /// <inheritdoc/>
    public void OnTopics(TopicKnowledge topics)
    {
        _topics = topics;
        _hasAsked &= !topics.IsFresh;
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
    }

    /// <inheritdoc/>
    public void OnCoordinatorRefused(Instant now, KafkaException failure)
    {
        _isFinding = false;
        if (_phase == Phase.Leaving)
            _phase = Phase.Over;
        else
            FailFor(failure);
    }

    /// <inheritdoc/>
    public void OnLeave(bool? tellGroup)
    {
        _isLeaving = true;
        _tellsGroup = tellGroup ?? true; // a static member says that it comes back: its partitions stay until its session ends
    }

    /// <inheritdoc/>
    public void OnCallbackDone(Instant now)
    {
        if (_phase == Phase.Parting)
        {
            _owned = [];
            _revoking = [];
            _isTellingLoss = _isOwnershipLost = false;
            EndParting(now);
        }
        else if (_isTellingLoss)
        {
            _isTellingLoss = _isOwnershipLost = false;
            _owned = [];
        }
        else if (_revoking.Count > 0)
        {
            foreach (var partition in _revoking)
                _owned.Remove(partition);
            _revoking = [];
            _isOwnershipLost &= _owned.Count > 0;
            _mustAcknowledge = true;
            if (_next.Count == _owned.Count)
                _heartbeatAt = new Instant(long.MinValue); // there is nothing to take besides
        }
        else if (_isTellingAssignment)
        {
            _isTellingAssignment = false;
            _mustAcknowledge = true;
            _heartbeatAt = new Instant(long.MinValue);
        }
    }

    /// <summary>Does the next step that the application takes part in, if it can be done.</summary>
    private void Step(List<MembershipAction> actions)
    {
        if (IsCalledBack)
            return;
        if (_isLeaving)
        {
            if (_phase is Phase.Outside or Phase.Joining or Phase.Member)
                Part(actions);
        }
        else if (_isOwnershipLost)
        {
            // The application is told when it polls; the member joins only when it has given up what it had.
            if (_isPolling)
            {
                _isTellingLoss = true;
                actions.Add(new MembershipAction.Lose([.. _owned.Values]));
            }
        }
        else if (_phase == Phase.Outside && _isPolling)
        {
            _phase = Phase.Joining;
        }
        else if (_phase == Phase.Member)
        {
            Reconcile(actions);
        }
    }

    /// <summary>Moves towards the target: first give up, then take.</summary>
    private void Reconcile(List<MembershipAction> actions)
    {
        if (!_wasEverAssigned)
            return;
        if (_target.SetEquals(_owned.Keys))
        {
            if (_mustTellFirst)
            {
                _mustTellFirst = false;
                _isTellingAssignment = true;
                actions.Add(new MembershipAction.Assign([], []));
            }

            return;
        }

        _mustTellFirst = false;
        _revoking = [.. _owned.Keys.Where(partition => !_target.Contains(partition))];
        _next = _target.Where(partition => _owned.ContainsKey(partition) || _topics.Names.ContainsKey(partition.TopicId))
            .ToDictionary(partition => partition, partition => _owned.TryGetValue(partition, out var known)
                ? known : new TopicPartition(_topics.Names[partition.TopicId], partition.Partition));
        if (_next.Count < _target.Count && !_hasAsked)
        {
            _hasAsked = true;
            var unknown = _target.Select(partition => partition.TopicId).Where(id => !_topics.Names.ContainsKey(id)).ToHashSet();
            actions.Add(new MembershipAction.LearnTopics(new HashSet<string>(), unknown));
        }

        if (_revoking.Count > 0)
        {
            actions.Add(new MembershipAction.Revoke([.. _revoking.Select(partition => _owned[partition])]));
            return;
        }

        List<TopicPartition> added = [.. _next.Where(each => !_owned.ContainsKey(each.Key)).Select(each => each.Value)];
        if (added.Count == 0)
            return; // the names of the others are not known yet
        _owned = _next;
        _isTellingAssignment = true;
        actions.Add(new MembershipAction.Assign([.. _owned.Values], added));
    }

    private void Part(List<MembershipAction> actions)
    {
        _phase = Phase.Parting;
        if (_owned.Count == 0)
        {
            EndParting(null);
            return;
        }

        _isTellingLoss = true; // one call back is under way, of whatever kind
        actions.Add(_isOwnershipLost || _epoch <= JoinEpoch
            ? new MembershipAction.Lose([.. _owned.Values]) : new MembershipAction.Revoke([.. _owned.Values]));
    }

    private void EndParting(Instant? now)
    {
        _isRequestUnderWay = false;
        _attempt = 0;
        _heartbeatAt = now ?? new Instant(long.MinValue);
        _phase = _tellsGroup && _epoch > JoinEpoch && _isCoordinatorKnown ? Phase.Leaving : Phase.Over;
    }
}
