using Ottla.Client.Consumers.Assignors;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers.Membership;

/// <summary>From JoinGroup to the assignment.</summary>
internal sealed partial class ClassicMembership
{
    private List<TopicPartition> _revoking = [];
    private List<TopicPartition> _assigned = [];
    private string _protocolName = "";
    private List<AssignorMember> _members = [];
    private bool _isLeader;
    private bool _skipsAssignment;
    private bool _mustLearn;
    private bool _mustRelease;
    private bool _mustAccept;
    private bool _isTellingLoss;

    /// <summary>The topics as this member, which leads, assigned them; null for others.</summary>
    private Dictionary<string, AssignorTopic?>? _assignedTopics;

    /// <inheritdoc/>
    public void OnCallbackDone(Instant now)
    {
        switch (_phase)
        {
            case Phase.Preparing when _isTellingLoss:
                _owned = [];
                _isOwnershipLost = false;
                _phase = Phase.Joining;
                break;
            case Phase.Preparing:
                _owned = [.. _owned.Except(_revoking)];
                _isOwnershipLost &= _owned.Count > 0;
                _phase = _isOwnershipLost ? Phase.Outside : Phase.Joining;
                break;
            case Phase.Releasing or Phase.Accepting when _generation < 0:
                if (_phase == Phase.Releasing)
                    _owned = [.. _owned.Except(_revoking)];
                _isOwnershipLost = _owned.Count > 0;
                _phase = Phase.Outside;
                break;
            case Phase.Releasing:
                _owned = [.. _owned.Except(_revoking)];
                Rejoin("partitions were given up, which others wait for");
                _phase = Phase.Accepting;
                _mustAccept = true;
                break;
            case Phase.Accepting:
                _phase = Phase.Stable;
                break;
            case Phase.Parting:
                _owned = [];
                _isOwnershipLost = false;
                EndParting();
                break;
        }
    }

    private void Join(List<MembershipAction> actions)
    {
        var request = new JoinGroupRequest
        {
            GroupId = _settings.GroupId,
            SessionTimeoutMs = _settings.SessionTimeoutMs,
            RebalanceTimeoutMs = _settings.PollIntervalMaxMs,
            MemberId = _memberId,
            GroupInstanceId = _settings.InstanceId,
            ProtocolType = ConsumerProtocol.ProtocolType,
            Protocols = [.. _settings.Assignors.Select(assignor => new JoinGroupRequest.JoinGroupRequestProtocol
            {
                Name = assignor.Name,
                Metadata = SubscriptionFor(assignor),
            })],
            Reason = _rejoinReason,
        };
        _mustRejoin = false;
        _isRequestUnderWay = true;
        actions.Add(new MembershipAction.Send(request, _attempt = NewAttempt(), _settings.PollIntervalMaxMs + JoinGraceMs));
    }

    private byte[] SubscriptionFor(IConsumerAssignor assignor)
    {
        var subscription = new ConsumerProtocolSubscription
        {
            Topics = [.. _subscription.Topics.Order(StringComparer.Ordinal)],
            UserData = assignor.UserData(_lastAssigned, _lastAssignedGeneration),
            OwnedPartitions = [.. _owned.GroupBy(partition => partition.Topic).OrderBy(topic => topic.Key, StringComparer.Ordinal)
                .Select(topic => new ConsumerProtocolSubscription.TopicPartition
                {
                    Topic = topic.Key,
                    Partitions = [.. topic.Select(partition => partition.Partition).Order()],
                })],
            GenerationId = _generation,
            RackId = _settings.Rack,
        };
        return ConsumerProtocol.WriteSubscription(subscription, ConsumerProtocolSubscription.HighestVersion);
    }

    private void OnJoined(Instant now, JoinGroupResponse answer)
    {
        var assignor = _settings.Assignors.FirstOrDefault(each => each.Name == answer.ProtocolName);
        if (answer.ProtocolType is not (null or ConsumerProtocol.ProtocolType) || assignor is null)
        {
            FailFor(ErrorCode.InconsistentGroupProtocol,
                $"the group '{_settings.GroupId}' uses '{answer.ProtocolType}'/'{answer.ProtocolName}', and this member does not");
            return;
        }

        _memberId = answer.MemberId;
        _generation = answer.GenerationId;
        _protocolName = assignor.Name;
        BeginHeartbeats(now);
        if (answer.Leader != answer.MemberId)
        {
            _assignedTopics = null;
            _members = [];
            _phase = Phase.Assigning;
            _isLeader = false;
            return;
        }

        try
        {
            _members = [.. answer.Members.Select(ToMember)];
        }
        catch (ProtocolException e)
        {
            FailFor(ErrorCode.InconsistentGroupProtocol,
                $"a member of the group '{_settings.GroupId}' sent no readable subscription: {e.Message}");
            return;
        }

        _isLeader = true;
        _skipsAssignment = answer.SkipAssignment;
        _topics = _topics with { IsFresh = false };
        _mustLearn = true;
        _phase = Phase.Assigning;
    }

    private static AssignorMember ToMember(JoinGroupResponse.JoinGroupResponseMember member)
    {
        var subscription = ConsumerProtocol.ReadSubscription(member.Metadata);
        return new AssignorMember(
            member.MemberId, member.GroupInstanceId, subscription.Topics,
            [.. subscription.OwnedPartitions.SelectMany(
                topic => topic.Partitions, (topic, partition) => new TopicPartition(topic.Topic, partition))],
            subscription.GenerationId, subscription.RackId is { Length: > 0 } rack ? rack : null, subscription.UserData);
    }

    /// <summary>Assigns as the leader; then all ask for their assignment.</summary>
    private void AssignAndSync(List<MembershipAction> actions)
    {
        SyncGroupRequest.SyncGroupRequestAssignment[] assignments = [];
        if (_isLeader)
        {
            var subscribed = _members.SelectMany(member => member.Topics).ToHashSet();
            _assignedTopics = subscribed.ToDictionary(topic => topic, topic => _topics.Topics.GetValueOrDefault(topic));
            if (!_skipsAssignment)
            {
                var assignor = _settings.Assignors.First(each => each.Name == _protocolName);
                assignments = [.. assignor.Assign(new AssignorInput(_members, _topics.Topics))
                    .Select(each => new SyncGroupRequest.SyncGroupRequestAssignment
                    {
                        MemberId = each.Key,
                        Assignment = WriteAssignment(each.Value),
                    })];
            }
        }

        _phase = Phase.Syncing;
        _isRequestUnderWay = true;
        var request = new SyncGroupRequest
        {
            GroupId = _settings.GroupId,
            GenerationId = _generation,
            MemberId = _memberId,
            GroupInstanceId = _settings.InstanceId,
            ProtocolType = ConsumerProtocol.ProtocolType,
            ProtocolName = _protocolName,
            Assignments = assignments,
        };
        actions.Add(new MembershipAction.Send(request, _attempt = NewAttempt(), _settings.PollIntervalMaxMs + JoinGraceMs));
    }

    /// <summary>Writes an assignment; topics come in the order in which they first appear.</summary>
    internal static byte[] WriteAssignment(IEnumerable<TopicPartition> partitions)
    {
        var assignment = new ConsumerProtocolAssignment
        {
            AssignedPartitions = [.. partitions.GroupBy(partition => partition.Topic)
                .Select(topic => new ConsumerProtocolAssignment.TopicPartition
                {
                    Topic = topic.Key,
                    Partitions = [.. topic.Select(partition => partition.Partition)],
                })],
        };
        return ConsumerProtocol.WriteAssignment(assignment, ConsumerProtocolAssignment.HighestVersion);
    }

    private void OnSynced(SyncGroupResponse answer)
    {
        if (answer.ProtocolName is { } name && name != _protocolName)
        {
            FailFor(ErrorCode.InconsistentGroupProtocol, $"the group '{_settings.GroupId}' has changed its protocol to '{name}'");
            return;
        }

        try
        {
            var assignment = answer.Assignment.Length == 0
                ? new ConsumerProtocolAssignment() : ConsumerProtocol.ReadAssignment(answer.Assignment);
            _assigned = [.. assignment.AssignedPartitions.SelectMany(
                topic => topic.Partitions, (topic, partition) => new TopicPartition(topic.Topic, partition)).Distinct()];
        }
        catch (ProtocolException e)
        {
            FailFor(ErrorCode.InconsistentGroupProtocol,
                $"the leader of the group '{_settings.GroupId}' sent no readable assignment: {e.Message}");
            return;
        }

        // A member may have changed its subscription since the leader saw it.
        if (_assigned.Exists(partition => !_subscription.Topics.Contains(partition.Topic)))
        {
            _assigned.RemoveAll(partition => !_subscription.Topics.Contains(partition.Topic));
            Rejoin("the assignment has topics that are not subscribed to any more");
        }

        (_lastAssigned, _lastAssignedGeneration) = (_assigned, _generation);
        _revoking = [.. _owned.Except(_assigned)];
        _mustAccept = _revoking.Count == 0;
        _mustRelease = !_mustAccept;
        _phase = _mustRelease ? Phase.Releasing : Phase.Accepting;
        RejoinIfTopicsChanged(); // while the answer was waited for
    }

    /// <summary>A leader assigns anew when what it has assigned is not what there is.</summary>
    private void RejoinIfTopicsChanged()
    {
        if (_assignedTopics is { } assigned && !IsAsAssigned(assigned))
            Rejoin("the topics of the group changed");
    }

    private bool IsAsAssigned(Dictionary<string, AssignorTopic?> assigned)
    {
        foreach (var (name, topic) in assigned)
        {
            var now = _topics.Topics.GetValueOrDefault(name);
            if (now?.PartitionCount != topic?.PartitionCount)
                return false;
            if (topic is null || now is null)
                continue;
            for (var partition = 0; partition < topic.PartitionCount; partition++)
            {
                if (!topic.RacksOf(partition).SetEquals(now.RacksOf(partition)))
                    return false;
            }
        }

        return true;
    }
}
