using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Ottla.Client.Calls;
using Ottla.Client.Cluster;
using Ottla.Client.Consumers.Assignors;
using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Consumers;

/// <summary>The host of the member's machine: it carries out what the machine decides.</summary>
internal sealed partial class ConsumerEngine
{
    // Guarded by _lock.
    private readonly List<MembershipAction> _actions = [];
    private readonly Dictionary<Uuid, string> _namesById = [];
    private IMembershipMachine? _membership;
    private IRebalanceListener? _listener;
    private HashSet<string> _subscribed = [];
    private Regex? _pattern;
    private string? _patternText;
    private IReadOnlySet<string> _groupTopics = new HashSet<string>();
    private MembershipAction? _callback;
    private bool _isCalledBack;
    private bool _isManual;
    private bool _wasMember;

    /// <summary>Subscribes to topics and, if there is one, to a pattern of names, instead of what was subscribed to.</summary>
    public void Subscribe(IEnumerable<string> topics, string? pattern, IRebalanceListener? listener)
    {
        var regex = pattern is null ? null : ToRegex(pattern);
        lock (_lock)
        {
            ThrowIfClosed();
            if (_options.GroupId is null)
                throw new InvalidOperationException("A consumer without a GroupId cannot subscribe: assign partitions to it.");
            if (_isManual)
                throw new InvalidOperationException("Partitions are assigned by hand. Unsubscribe before subscribing to topics.");
            _listener = listener;
            _subscribed = [.. topics];
            (_pattern, _patternText) = (regex, pattern);
            if (_membership is null)
            {
                _wasMember = false;
                _membership = NewMembership(_options.GroupProtocol != GroupProtocol.Classic);
            }
            else
            {
                _membership.OnSubscription(SubscriptionFor(_membership));
            }

            WantTopics();
            Wake();
            WakeApplication();
        }
    }

    /// <summary>How the coordinator knows this consumer now.</summary>
    public MemberIdentity? Identity
    {
        get
        {
            lock (_lock)
                return IdentityNow();
        }
    }

    private MemberIdentity? IdentityNow() =>
        _options.GroupId is not { } group ? null : _membership?.Identity ?? new MemberIdentity(group, -1, "", _options.GroupInstanceId);

    /// <summary>The pattern has to match the whole name, as everywhere in Kafka.</summary>
    private static Regex ToRegex(string pattern) =>
        new($"^(?:{pattern})$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);

    private IMembershipMachine NewMembership(bool usesNewProtocol)
    {
        var settings = new MembershipSettings
        {
            GroupId = _options.GroupId!,
            InstanceId = _options.GroupInstanceId,
            Rack = _client.Options.ClientRack,
            SessionTimeoutMs = (int)_options.SessionTimeout.TotalMilliseconds,
            HeartbeatIntervalMs = (int)_options.HeartbeatInterval.TotalMilliseconds,
            PollIntervalMaxMs = (int)_options.MaxPollInterval.TotalMilliseconds,
            RetryBackoffMs = _retryBackoffMs,
            Assignors = [.. _options.Assignors.Select(ConsumerAssignors.Named)],
            ServerAssignor = _options.RemoteAssignor,
        };
        IMembershipMachine machine;
        if (usesNewProtocol)
        {
            var random = _client.NewRandom();
            machine = new ConsumerMembership(
                settings, new GroupSubscription(_subscribed, _patternText), new Uuid(random.NextUInt64(), random.NextUInt64()).ToString());
        }
        else
        {
            machine = new ClassicMembership(settings, new GroupSubscription(Resolved(_client.Metadata.Current)));
        }

        machine.OnTopics(KnowledgeOf(_client.Metadata.Current, isFresh: false));
        return machine;
    }

    private GroupSubscription SubscriptionFor(IMembershipMachine machine) => machine is ConsumerMembership
        ? new GroupSubscription(_subscribed, _patternText)
        : new GroupSubscription(Resolved(_client.Metadata.Current));

    /// <summary>The topics that are subscribed to by name or by pattern.</summary>
    private HashSet<string> Resolved(ClusterImage image)
    {
        if (_pattern is null)
            return _subscribed;
        var topics = image.Topics.Values.Where(topic => topic.Error == ErrorCode.None && _pattern.IsMatch(topic.Name)
            && !(topic.IsInternal && _options.ExcludeInternalTopics)).Select(topic => topic.Name).ToHashSet();
        topics.UnionWith(_subscribed);
        return topics;
    }

    /// <summary>Has the metadata know every topic that matters. Called under the lock.</summary>
    private void WantTopics()
    {
        _interest.WantsAll = _pattern is not null && _membership is ClassicMembership;
        _interest.Set([.. _subscribed, .. _groupTopics, .. _partitions.Keys.Select(partition => partition.Topic)]);
    }

    private void OnTopicsChanged(ClusterImage image)
    {
        foreach (var topic in image.Topics.Values)
        {
            if (topic.Id != Uuid.Zero)
                _namesById[topic.Id] = topic.Name;
            if (topic.Error is ErrorCode.TopicAuthorizationFailed or ErrorCode.InvalidTopicException && _subscribed.Contains(topic.Name))
                Fail(new KafkaException(topic.Error, $"Topic {topic.Name} cannot be subscribed to"));
        }

        if (_membership is not { } membership)
            return;
        membership.OnTopics(KnowledgeOf(image, isFresh: false));
        if (_pattern is not null)
            membership.OnSubscription(SubscriptionFor(membership));
        if (_subscribed.Any(name => image.Topic(name)?.Error is not { } error || ErrorKinds.IsRetriable(error)))
            _client.Metadata.RequestUpdate(); // it may be created soon; the metadata sees to it that this is not asked for too often
    }

    private TopicKnowledge KnowledgeOf(ClusterImage image, bool isFresh)
    {
        var racks = image.Nodes.Values.Where(node => node.Rack is not null)
            .ToDictionary(node => node.Address.Id, node => node.Rack!);
        var topics = new Dictionary<string, AssignorTopic>();
        foreach (var topic in image.Topics.Values)
        {
            if (topic.Error == ErrorCode.None && topic.Partitions.Length > 0)
                topics[topic.Name] = new AssignorTopic(topic.Partitions.Length, racks.Count == 0 ? null : RacksOf(topic, racks));
        }

        return new TopicKnowledge(topics, new Dictionary<Uuid, string>(_namesById), isFresh);
    }

    private static IReadOnlySet<string>[] RacksOf(TopicImage topic, Dictionary<int, string> racks) =>
        [.. topic.Partitions.Select(partition => partition.Replicas.Where(racks.ContainsKey).Select(id => racks[id]).ToHashSet())];

    /// <summary>Lets the machine decide, and starts what it wants done. Called under the lock.</summary>
    /// <returns>When it has to decide again.</returns>
    private Instant? AdvanceGroup(Instant now)
    {
        if (_membership is not { } membership)
        {
            _isGroupDue = false;
            return null;
        }

        if (_hasTaken && !_isWaiting)
        {
            _hasTaken = false;
            membership.OnPollEnded(now); // it was a little earlier, after the last look: heartbeats see to it that these come often
        }

        _actions.Clear();
        var lookAgain = AdvanceMember(membership, now, _actions);
        if (_isGroupDue)
            WakeApplication();
        _isGroupDue = false;
        foreach (var action in _actions)
            Carry(membership, action);
        _wasMember |= membership.Identity.MemberId.Length > 0;
        if (membership.IsOver || membership.WaitsForPoll)
            WakeApplication();
        if (membership != _membership)
            return now;
        Consider(ref lookAgain, membership.NextDeadline);
        return lookAgain;
    }

    private void Carry(IMembershipMachine membership, MembershipAction action)
    {
        switch (action)
        {
            case MembershipAction.FindCoordinator:
                Start(() => FindCoordinatorAsync(membership));
                break;
            case MembershipAction.Send send:
                Start(() => SendAsync(membership, send));
                break;
            case MembershipAction.LearnTopics learn:
                Start(() => LearnTopicsAsync(membership, learn));
                break;
            case MembershipAction.Fail fail when MayFallBack(membership, fail.Error.ErrorCode):
                LogFallback(_logger, _options.GroupId!, fail.Error.Message);
                _membership = NewMembership(usesNewProtocol: false);
                if (_isWaiting)
                    _membership.OnPollBegun(Instant.Now(_time));
                WantTopics();
                break;
            case MembershipAction.Fail fail:
                Fail(fail.Error);
                break;
            default:
                Invariant.Check(_callback is null, "one call back at a time");
                _callback = action;
                WakeApplication();
                break;
        }
    }

    /// <summary>The cluster does not have the newer protocol, or this group does not use it and may not change.</summary>
    private bool MayFallBack(IMembershipMachine membership, ErrorCode error) =>
        _options.GroupProtocol == GroupProtocol.Auto && membership is ConsumerMembership && !_wasMember
        && error is ErrorCode.UnsupportedVersion or ErrorCode.GroupIdNotFound or ErrorCode.InconsistentGroupProtocol;

    private async Task FindCoordinatorAsync(IMembershipMachine membership)
    {
        var options = new CallOptions { HasConstantBackoff = true };
        KafkaException? refusal = null;
        while (true)
        {
            try
            {
                _client.Calls.Coordinators.Forget(CoordinatorType.Group, _options.GroupId!);
                await _client.Calls.Coordinators.FindAsync(CoordinatorType.Group, _options.GroupId!, options, _closed);
                break;
            }
            catch (KafkaTimeoutException e)
            {
                LogNoCoordinator(_logger, _options.GroupId!, e.Message); // the application bounds its own calls: go on
            }
            catch (KafkaException e)
            {
                refusal = e;
                break;
            }
        }

        lock (_lock)
        {
            var now = Instant.Now(_time);
            if (refusal is null)
                membership.OnCoordinatorFound(now);
            else
                membership.OnCoordinatorRefused(now, refusal);
        }
    }

    private async Task SendAsync(IMembershipMachine membership, MembershipAction.Send send)
    {
        IMessage? answer = null;
        KafkaException? failure = null;
        try
        {
            var node = await _client.Calls.Coordinators.FindAsync(
                CoordinatorType.Group, _options.GroupId!, new CallOptions { HasConstantBackoff = true }, _closed);
            _metrics?.OnMemberRequest(Instant.Now(_time), send.Request);
            var sentAt = _time.GetTimestamp();
            answer = await ExchangeAsync(_groupConnections.To(node), send);
            _metrics?.OnMemberAnswer(send.Request, _time.GetElapsedTime(sentAt));
        }
        catch (RequestFailedException e)
        {
            failure = e.ToKafkaException();
        }
        catch (KafkaException e)
        {
            failure = e;
        }

        lock (_lock)
        {
            var now = Instant.Now(_time);
            if (answer is not null)
                membership.OnAnswer(now, send.Attempt, answer);
            else
                membership.OnRequestFailed(now, send.Attempt, failure!);
        }
    }

    private async Task<IMessage> ExchangeAsync(RequestChannel channel, MembershipAction.Send send)
    {
        const short firstVersionWithManyMembers = 3;
        var timeout = send.TimeoutMs is { } ms ? TimeSpan.FromMilliseconds(ms) : (TimeSpan?)null;
        return send.Request switch
        {
            JoinGroupRequest join =>
                await channel.SendAsync<JoinGroupRequest, JoinGroupResponse>(join, timeout, cancellation: _closed),
            SyncGroupRequest sync =>
                await channel.SendAsync<SyncGroupRequest, SyncGroupResponse>(sync, timeout, cancellation: _closed),
            HeartbeatRequest heartbeat =>
                await channel.SendAsync<HeartbeatRequest, HeartbeatResponse>(heartbeat, timeout, cancellation: _closed),
            ConsumerGroupHeartbeatRequest heartbeat =>
                await channel.SendAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
                    heartbeat, timeout, cancellation: _closed),
            LeaveGroupRequest leave =>
                await channel.SendAsync<LeaveGroupRequest, LeaveGroupResponse>(
                    version => version < firstVersionWithManyMembers
                        ? new LeaveGroupRequest { GroupId = leave.GroupId, MemberId = leave.MemberId }
                        : new LeaveGroupRequest { GroupId = leave.GroupId, Members = leave.Members },
                    timeout, cancellation: _closed),
            var other => throw new InvalidOperationException($"A member does not send {other.GetType().Name}."),
        };
    }

    private async Task LearnTopicsAsync(IMembershipMachine membership, MembershipAction.LearnTopics learn)
    {
        var unknown = learn.Ids.Count;
        if (unknown > 0)
            unknown -= await LearnNamesAsync(learn.Ids);
        lock (_lock)
        {
            if (learn.Names.Count > 0)
                _groupTopics = learn.Names;
            WantTopics();
        }

        if (unknown > 0)
            await Task.Delay(_client.Options.RetryBackoffMax, _time, _closed); // a topic may be so new, or so gone, that nobody knows it
        var image = await _client.Metadata.RefreshAsync(_closed);
        lock (_lock)
            membership.OnTopics(KnowledgeOf(image, isFresh: true));
    }

    /// <returns>The number of ids whose topics are known now.</returns>
    private async Task<int> LearnNamesAsync(IReadOnlySet<Uuid> ids)
    {
        const short firstVersionWithIds = 12;
        try
        {
            var answer = await _client.Calls.ToAnyNodeAsync<MetadataRequest, MetadataResponse>(
                version => version < firstVersionWithIds
                    ? throw new UnsupportedVersionException("Topics have no ids in so old a version.")
                    : new MetadataRequest
                    {
                        Topics = [.. ids.Select(id => new MetadataRequest.MetadataRequestTopic { TopicId = id, Name = null })],
                        AllowAutoTopicCreation = false,
                    },
                _ => ApiError.None, CallOptions.Default, _closed);
            lock (_lock)
            {
                var named = answer.Topics.Where(topic => topic is { ErrorCode: (short)ErrorCode.None, Name: not null }).ToList();
                foreach (var topic in named)
                    _namesById[topic.TopicId] = topic.Name!;
                return named.Count;
            }
        }
        catch (KafkaTimeoutException)
        {
            return 0; // asked for again
        }
    }

    [LoggerMessage(EventId = 121, Level = LogLevel.Information,
        Message = "Group {Group} is joined by the classic protocol, since the cluster does not take the newer one for it: {Reason}")]
    private static partial void LogFallback(ILogger logger, string group, string reason);

    [LoggerMessage(EventId = 122, Level = LogLevel.Warning, Message = "The coordinator of group {Group} cannot be found: {Reason}")]
    private static partial void LogNoCoordinator(ILogger logger, string group, string reason);
}
