using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Assignors;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>Converts groups between the protocols while they are in use.</summary>
public interface IGroupMigration
{
    /// <summary>Converts a classic group that a member of the consumer protocol joins, and writes the records.</summary>
    /// <returns>The consumer group, which may not be in the context yet.</returns>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND: the group cannot be converted, or the configuration forbids it.</exception>
    ConsumerGroup Upgrade(Group classic, CoordinatorEffects effects);

    /// <summary>
    /// Completes the conversion at the end of the step: open requests to the classic group are answered, and their members must join again.
    /// </summary>
    void FinishUpgrade(Group classic, Instant now, CoordinatorEffects effects);

    /// <summary>
    /// Converts a consumer group to a classic one when its last members of the consumer protocol leave, if that is possible.
    /// </summary>
    /// <returns>False when it is not possible: the members must be removed from the consumer group.</returns>
    bool TryDowngrade(ConsumerGroup group, IReadOnlyCollection<ConsumerGroupMember> leaving, Instant now, CoordinatorEffects effects);
}

/// <summary>Decides about consumer groups (KIP-848).</summary>
/// <remarks>Part of a <see cref="GroupMachine"/>; lives as long.</remarks>
public sealed class ConsumerDecisions(GroupContext context)
{
    /// <summary>When a failed deadline action is repeated. If the action succeeds, the member's deadlines are cancelled with it.</summary>
    private const int DeadlineRetryMs = 500;

    private static readonly DeadlinePurpose[] s_memberDeadlines =
        [DeadlinePurpose.ConsumerSession, DeadlinePurpose.ConsumerRebalance, DeadlinePurpose.ConsumerJoin, DeadlinePurpose.ConsumerSync];

    /// <summary>The offset of the newest metadata image that changed topics. Regular expressions resolved before it are outdated.</summary>
    private long _lastTopicsVersion;

    /// <summary>Converts groups between the protocols; null disables conversion.</summary>
    public IGroupMigration? Migration { get; set; }

    private PartitionAssignors Assignors
    {
        get
        {
            if (!ReferenceEquals(field?.Config, context.Config))
                field = new PartitionAssignors(context.Config);
            return field;
        }
    }

    /// <summary>ConsumerGroupHeartbeat.</summary>
    /// <exception cref="ApiException">
    /// INVALID_REQUEST, UNSUPPORTED_ASSIGNOR, GROUP_ID_NOT_FOUND, GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH,
    /// FENCED_INSTANCE_ID, UNRELEASED_INSTANCE_ID, INVALID_REGULAR_EXPRESSION.
    /// </exception>
    public void Heartbeat(
        ConsumerGroupHeartbeatCommand command, ReplyTo<ConsumerGroupHeartbeatResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        ConsumerHeartbeatRules.Check(command.Request, command.Origin.ApiVersion, Assignors);
        effects.Reply(replyTo, command.Request.MemberEpoch is MemberEpochs.Leave or MemberEpochs.StaticLeave
            ? Leave(command.Request, now, effects)
            : HandleHeartbeat(command, now, effects));
    }

    /// <summary>ConsumerGroupDescribe.</summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND.</exception>
    public void Describe(
        ConsumerGroupDescribeCommand command, ReplyTo<ConsumerGroupDescribeResponse.DescribedGroup> replyTo, CoordinatorEffects effects) =>
        effects.Reply(replyTo, ConsumerGroupDescription.Of(Get(command.GroupId), Assignors, context.Image.Topics));

    /// <summary>Applies the topics that the group's regular expressions match. The members get them with the next group epoch.</summary>
    public void TakeResolution(
        ExpressionsResolvedCommand resolved, ReplyTo<ExpressionsResolvedCommand> replyTo, Instant now, CoordinatorEffects effects)
    {
        effects.Reply(replyTo, resolved);
        if (context.Find<ConsumerGroup>(resolved.Output.GroupId) is not { } group || !group.TryEndResolution(resolved.Output))
            return;
        if (resolved.Topics is null)
            return; // the next heartbeat asks again
        var matches = new Dictionary<string, ResolvedRegularExpression>(group.ResolvedRegularExpressions, StringComparer.Ordinal);
        var hasChanged = false;
        foreach (var (regex, topics) in resolved.Topics)
        {
            if (group.CountSubscribers(regex) == 0)
                continue;
            var topicsBefore = matches.TryGetValue(regex, out var before) ? before.Topics : GroupSubscription.NoTopics;
            hasChanged |= !topicsBefore.SetEquals(topics);
            matches[regex] = new ResolvedRegularExpression(topics, resolved.Output.Image.Provenance.LastOffset, now);
            effects.Write(ConsumerGroupRecords.RegularExpression(group.GroupId, regex, matches[regex]));
        }

        var hash = TopicMetadataHash.Of(GroupSubscription.Of(group.Members, matches).Topics, context.Image);
        if (!hasChanged && hash == group.MetadataHash)
            return;
        effects.Write(ConsumerGroupRecords.Epoch(group.GroupId, group.GroupEpoch + 1, hash));
        group.RecordMetadataCheck(now, group.GroupEpoch + 1);
    }

    /// <summary>Whether a heartbeat may compute a large assignment.</summary>
    public bool IsCostly(ConsumerGroupHeartbeatCommand command, Instant now)
    {
        var request = command.Request;
        var group = context.Find<ConsumerGroup>(request.GroupId);
        var keepsSubscription = request is { MemberEpoch: > MemberEpochs.Join, SubscribedTopicNames: null, SubscribedTopicRegex: null };
        if (keepsSubscription && group is not null && group.AssignmentEpoch == group.GroupEpoch && !group.IsMetadataCheckDue(now))
            return false;
        return AssignmentCost.IsHigh(
            group?.Members.Count ?? 0,
            (group?.Subscription.Topics ?? GroupSubscription.NoTopics).Concat(request.SubscribedTopicNames ?? []), context.Image.Topics);
    }

    /// <summary>Applies what a member reports, and writes all consequences for the group and the member.</summary>
    /// <param name="group">The member's group.</param>
    /// <param name="admitted">The member before the request.</param>
    /// <param name="member">The member as the request describes it.</param>
    /// <param name="owned">The partitions that the member owns; null when the request does not say.</param>
    /// <param name="now">The time.</param>
    /// <param name="effects">Receives the records.</param>
    /// <param name="mayDescribe">Whether the member's client may describe a topic; null for all.</param>
    /// <returns>The member with its new assignment.</returns>
    /// <exception cref="ApiException">INVALID_REGULAR_EXPRESSION, FENCED_MEMBER_EPOCH.</exception>
    public ConsumerGroupMember Update(
        ConsumerGroup group,
        AdmittedMember admitted,
        ConsumerGroupMember member,
        IReadOnlySet<TopicIdPartition>? owned,
        Instant now,
        CoordinatorEffects effects,
        Func<string, bool>? mayDescribe = null) =>
        new MemberUpdate(context, Assignors, group, admitted, member, now, effects).Run(owned, _lastTopicsVersion, mayDescribe);

    /// <summary>Removes members from a group, which may convert it to a classic one.</summary>
    public void Remove(ConsumerGroup group, IReadOnlyCollection<ConsumerGroupMember> leaving, Instant now, CoordinatorEffects effects)
    {
        if (leaving.Count == 0 || Migration?.TryDowngrade(group, leaving, now, effects) == true)
            return;
        foreach (var member in leaving)
            effects.Write(ConsumerGroupRecords.MemberTombstones(group.GroupId, member.MemberId));
        var leavingIds = leaving.Select(member => member.MemberId).ToHashSet(StringComparer.Ordinal);
        ConsumerGroupMember[] remaining = [.. group.Members.Where(member => !leavingIds.Contains(member.MemberId))];
        foreach (var regex in leaving.Select(member => member.SubscribedTopicRegex).Where(regex => regex.Length > 0).Distinct())
        {
            if (!remaining.Any(member => member.SubscribedTopicRegex == regex))
                effects.Write(ConsumerGroupRecords.RegularExpressionTombstone(group.GroupId, regex));
        }

        var topics = GroupSubscription.Of(remaining, group.ResolvedRegularExpressions).Topics;
        effects.Write(ConsumerGroupRecords.Epoch(group.GroupId, group.GroupEpoch + 1, TopicMetadataHash.Of(topics, context.Image)));

        // No member waits for an assignment. With the timestamp of a new group, the next member does not have to wait either.
        if (remaining.Length == 0)
            effects.Write(ConsumerGroupRecords.TargetEpoch(group.GroupId, group.GroupEpoch + 1, default));
    }

    /// <summary>Restarts a member's session.</summary>
    public void ScheduleSession(string groupId, string memberId, Instant now) =>
        ScheduleSession(groupId, memberId, new ConsumerGroupSettings(context, groupId).SessionTimeoutMs, now);

    /// <summary>Restarts a member's session with a given timeout.</summary>
    public void ScheduleSession(string groupId, string memberId, int timeoutMs, Instant now) =>
        context.Deadlines.Schedule(DeadlinePurpose.ConsumerSession, groupId, memberId, now.AddMilliseconds(timeoutMs));

    /// <summary>Applies a record of a consumer group.</summary>
    public void Apply(in CoordinatorRecord record)
    {
        var groupId = ConsumerGroupRecords.GroupIdOf(record.Key);
        if (record is { Key: ConsumerGroupMemberMetadataKey member, Value: null })
            CancelDeadlines(groupId, member.MemberId);
        var group = context.Find<ConsumerGroup>(groupId);
        if (group is null)
        {
            if (record.Value is null)
                return;
            group = new ConsumerGroup(groupId);
            context.Put(group);
        }

        if (!group.Apply(record))
            context.Remove(groupId);
    }

    /// <summary>
    /// Handles a deadline of a consumer group: removes a member that sent no heartbeat, or did not give up its partitions in time.
    /// </summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
        if (context.Find<ConsumerGroup>(due.GroupId) is not { } group || group.Find(due.MemberId) is not { } member)
            return;
        if (due.Purpose == DeadlinePurpose.ConsumerRebalance && member.State != MemberState.UnrevokedPartitions)
            return;
        context.Deadlines.Schedule(due.Purpose, due.GroupId, due.MemberId, now.AddMilliseconds(DeadlineRetryMs));
        Remove(group, [member], now, effects);
    }

    /// <summary>Starts the sessions of all members.</summary>
    public void OnLoaded(Instant now)
    {
        _lastTopicsVersion = context.Image.Provenance.LastOffset;
        foreach (var group in context.Groups.OfType<ConsumerGroup>())
        {
            foreach (var member in group.Members)
            {
                ScheduleSession(group.GroupId, member.MemberId, now);
                if (member.State == MemberState.UnrevokedPartitions)
                    context.Deadlines.Schedule(
                        DeadlinePurpose.ConsumerRebalance, group.GroupId, member.MemberId, now.AddMilliseconds(member.RebalanceTimeoutMs));
            }
        }
    }

    /// <summary>Reacts to new metadata, which the context already has. Groups check their topics at the next heartbeat.</summary>
    public void OnMetadata(MetadataDelta delta)
    {
        if (delta.Topics.Any(topic => topic.Old is null))
            _lastTopicsVersion = delta.New.Provenance.LastOffset;
        if (delta.Topics.Count == 0)
            return;
        foreach (var group in context.Groups.OfType<ConsumerGroup>())
        {
            if (delta.Topics.Any(topic => group.IsSubscribedTo(topic.Name)))
                group.RequestMetadataCheck();
        }
    }

    private ConsumerGroupHeartbeatResponse HandleHeartbeat(ConsumerGroupHeartbeatCommand command, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var group = request.MemberEpoch == MemberEpochs.Join ? GetOrMake(request.GroupId, effects) : Get(request.GroupId);
        MemberAdmission.RefuseIfFull(group, request.MemberId, request.InstanceId, context.Config.GroupConsumerMaxSize);
        var memberId = request.MemberId.Length == 0 ? context.NewUuid() : request.MemberId;
        var owned = request.TopicPartitions?
            .SelectMany(topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.TopicId, partition)).ToHashSet();
        var admitted = MemberAdmission.Admit(group, memberId, request.InstanceId, request.MemberEpoch, owned, effects);
        var member = Update(group, admitted, WithReportedMetadata(admitted.Member, command), owned, now, effects, command.MayDescribe);
        if (effects.Records.Count == 0)
            ScheduleSession(group.GroupId, memberId, now);
        else
            effects.WhenTaken(_ => ScheduleSession(group.GroupId, memberId, now)); // not earlier, because tombstones cancel it
        if (context.Find(group.GroupId) is { Type: GroupType.Classic } classic)
            effects.WhenTaken(taken => Migration?.FinishUpgrade(classic, now, taken));
        var isAssignmentAnswered = request.MemberEpoch == MemberEpochs.Join
            || ConsumerHeartbeatRules.IsFull(request)
            || !ConsumerGroupMember.SamePartitions(member.AssignedPartitions, admitted.Member.AssignedPartitions);
        return new ConsumerGroupHeartbeatResponse
        {
            MemberId = memberId,
            MemberEpoch = member.MemberEpoch,
            HeartbeatIntervalMs = new ConsumerGroupSettings(context, group.GroupId).HeartbeatIntervalMs,
            Assignment = isAssignmentAnswered ? AssignmentOf(member) : null,
        };
    }

    /// <summary>The member with the values of a request. Fields that the request omits are unchanged.</summary>
    private static ConsumerGroupMember WithReportedMetadata(ConsumerGroupMember member, ConsumerGroupHeartbeatCommand command)
    {
        var request = command.Request;
        return member with
        {
            InstanceId = request.InstanceId ?? member.InstanceId,
            RackId = request.RackId ?? member.RackId,
            RebalanceTimeoutMs = request.RebalanceTimeoutMs == -1 ? member.RebalanceTimeoutMs : request.RebalanceTimeoutMs,
            ServerAssignor = request.ServerAssignor ?? member.ServerAssignor,
            SubscribedTopicNames = request.SubscribedTopicNames is { } names
                ? GroupSubscription.NoTopics.Union(names)
                : member.SubscribedTopicNames,
            SubscribedTopicRegex = request.SubscribedTopicRegex ?? member.SubscribedTopicRegex,
            ClientId = command.Origin.ClientId,
            ClientHost = command.Origin.ClientHost,
            Classic = null,
        };
    }

    private static ConsumerGroupHeartbeatResponse.AssignmentData AssignmentOf(ConsumerGroupMember member) => new()
    {
        TopicPartitions =
        [
            .. ConsumerGroupRecords.ByTopic(member.AssignedPartitions.Keys)
                .Select(topic => new ConsumerGroupHeartbeatResponse.TopicPartitionsData
            {
                TopicId = topic.Id,
                Partitions = topic.Partitions,
            }),
        ],
    };

    private ConsumerGroupHeartbeatResponse Leave(ConsumerGroupHeartbeatRequest request, Instant now, CoordinatorEffects effects)
    {
        var group = Get(request.GroupId);
        var member = request.InstanceId is { } instanceId
            ? MemberAdmission.GetStatic(group, request.MemberId, instanceId)
            : group.Get(request.MemberId);
        if (request.MemberEpoch == MemberEpochs.StaticLeave && request.InstanceId is not null)
            effects.Write(ConsumerGroupRecords.Assignment(group.GroupId, AsTemporarilyAbsent(member)));
        else
            Remove(group, [member], now, effects);
        return new ConsumerGroupHeartbeatResponse { MemberId = member.MemberId, MemberEpoch = request.MemberEpoch };
    }

    /// <summary>
    /// A static member that is away. Its successor with the same instance id gets its partitions, as if it had them from the start.
    /// </summary>
    private static ConsumerGroupMember AsTemporarilyAbsent(ConsumerGroupMember member) => member with
    {
        MemberEpoch = MemberEpochs.StaticLeave,
        PartitionsPendingRevocation = ConsumerGroupMember.NoPartitions,
        AssignedPartitions =
            member.AssignedPartitions.SetItems(member.AssignedPartitions.Keys.Select(partition => KeyValuePair.Create(partition, 0))),
    };

    private ConsumerGroup Get(string groupId) => context.Find(groupId) switch
    {
        ConsumerGroup group => group,
        null => throw new ApiException(ErrorCode.GroupIdNotFound, $"Group {groupId} not found."),
        _ => throw NotAConsumerGroup(groupId),
    };

    private ConsumerGroup GetOrMake(string groupId, CoordinatorEffects effects)
    {
        switch (context.Find(groupId))
        {
            case ConsumerGroup group:
                return group;
            case null:
                break;
            case { Type: GroupType.Classic, IsEmpty: true } empty:
                empty.WriteTombstones(effects);
                break;
            case { Type: GroupType.Classic } classic:
                return Migration?.Upgrade(classic, effects) ?? throw NotAConsumerGroup(groupId);
            default:
                throw NotAConsumerGroup(groupId);
        }

        return new ConsumerGroup(groupId);
    }

    private static ApiException NotAConsumerGroup(string groupId) =>
        new(ErrorCode.GroupIdNotFound, $"Group {groupId} is not a consumer group.");

    private void CancelDeadlines(string groupId, string memberId)
    {
        foreach (var purpose in s_memberDeadlines)
            context.Deadlines.Cancel(purpose, groupId, memberId);
    }
}
