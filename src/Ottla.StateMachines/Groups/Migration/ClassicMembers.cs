using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Classic;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Migration;

/// <summary>
/// Decides about members of a consumer group that use the classic protocol: the coordinator assigns, and answers them in the classic
/// protocol.
/// </summary>
/// <remarks>
/// Part of a <see cref="GroupMachine"/>; lives as long. The generation of such a member is its member epoch. The member never waits for
/// others: a join returns the epoch that it can move to, a sync the partitions that it may consume, and a heartbeat tells it to join again
/// when there is more.
/// </remarks>
internal sealed class ClassicMembers(GroupContext context, ConsumerDecisions consumer, GroupMigration migration)
{
    // From this version on, a client without a member id gets one and must join again with it (KIP-394).
    private const short RequiredMemberIdVersion = 4;

    /// <summary>JoinGroup. It may convert the group to a classic one: see <see cref="GroupMigration"/>.</summary>
    /// <remarks>INCONSISTENT_GROUP_PROTOCOL, GROUP_MAX_SIZE_REACHED, MEMBER_ID_REQUIRED, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.</remarks>
    public void Join(
        ConsumerGroup group, JoinGroupCommand command, AwaitingReply<JoinGroupResponse> awaiting, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var protocols = ClassicGroupMember.ProtocolsOf(request);
        if (!migration.IsEnabled || !Supports(group, request.ProtocolType, protocols)
            || ReadSubscription(protocols[0]) is not { } subscription)
        {
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.InconsistentGroupProtocol);
            return;
        }

        var isNew = request.MemberId.Length == 0;
        var memberId = isNew ? context.NewUuid() : request.MemberId;
        MemberAdmission.RefuseIfFull(group, memberId, request.GroupInstanceId, context.Config.GroupConsumerMaxSize);
        if (isNew && request.GroupInstanceId is null && command.Origin.ApiVersion >= RequiredMemberIdVersion)
        {
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.MemberIdRequired, memberId);
            return;
        }

        var replaced = isNew ? group.FindStatic(request.GroupInstanceId) : null;
        var described = Describe(Known(group, memberId, request, replaced), command, protocols, subscription);
        var owned = Identify(subscription.OwnedPartitions.Select(topic => (topic.Topic, topic.Partitions)), context.Image.Topics);
        if (replaced is not null && migration.TryDowngrade(group, replaced, described, owned, now, effects) is { } memberEpoch)
        {
            AnswerJoin(effects, awaiting, memberId, memberEpoch, protocols);
            return;
        }

        var admitted = replaced is null
            ? new AdmittedMember(Known(group, memberId, request, null), null)
            : MemberAdmission.Replace(group, replaced, memberId, usesClassicProtocol: true, effects);
        var member = consumer.Update(group, admitted, described, owned, now, effects);
        effects.WhenTaken(_ =>
        {
            context.Deadlines.Cancel(DeadlinePurpose.ConsumerJoin, group.GroupId, memberId);
            consumer.ScheduleSession(group.GroupId, memberId, request.SessionTimeoutMs, now);
            var syncBy = now.AddMilliseconds(member.RebalanceTimeoutMs);
            context.Deadlines.Schedule(DeadlinePurpose.ConsumerSync, group.GroupId, memberId, syncBy);
        });
        AnswerJoin(effects, awaiting, memberId, member.MemberEpoch, protocols);
    }

    /// <summary>SyncGroup.</summary>
    /// <exception cref="ApiException">
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, REBALANCE_IN_PROGRESS.
    /// </exception>
    public void Sync(
        ConsumerGroup group, SyncGroupRequest request, ReplyTo<SyncGroupResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        var (member, classic) = Get(group, request.MemberId, request.GroupInstanceId, request.GenerationId);
        var protocol = classic.SupportedProtocols[0];
        if ((request.ProtocolType is { } type && type != ConsumerProtocol.ProtocolType)
            || (request.ProtocolName is { } name && name != protocol.Name))
            throw new ApiException(ErrorCode.InconsistentGroupProtocol, "The protocol differs from the one that the join response named.");

        // A member that must still give up partitions has already joined.
        if (group.AssignmentEpoch > member.MemberEpoch && member.State != MemberState.UnrevokedPartitions)
        {
            ExpectJoin(group, member, now);
            throw new ApiException(ErrorCode.RebalanceInProgress, "The group has a newer assignment. The member must join again.");
        }

        context.Deadlines.Cancel(DeadlinePurpose.ConsumerSync, group.GroupId, member.MemberId);
        consumer.ScheduleSession(group.GroupId, member.MemberId, classic.SessionTimeoutMs, now);
        effects.Reply(replyTo, new SyncGroupResponse
        {
            ProtocolType = request.ProtocolType,
            ProtocolName = request.ProtocolName,
            Assignment =
                WriteAssignment(member.AssignedPartitions.Keys, ConsumerProtocol.ReadVersion(protocol.Metadata), context.Image.Topics),
        });
    }

    /// <summary>Heartbeat: REBALANCE_IN_PROGRESS when the member should join again.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION.</exception>
    public ErrorCode Heartbeat(ConsumerGroup group, HeartbeatRequest request, Instant now)
    {
        var (member, classic) = Get(group, request.MemberId, request.GroupInstanceId, request.GenerationId);
        consumer.ScheduleSession(group.GroupId, member.MemberId, classic.SessionTimeoutMs, now);
        var shouldJoin = member.MemberEpoch < group.AssignmentEpoch
            || member.State == MemberState.UnrevokedPartitions
            || (member.State == MemberState.UnreleasedPartitions && !WaitsForOthers(group, member));
        if (!shouldJoin)
            return ErrorCode.None;
        ExpectJoin(group, member, now);
        return ErrorCode.RebalanceInProgress;
    }

    /// <summary>LeaveGroup.</summary>
    /// <returns>For each member UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or none.</returns>
    public ErrorCode[] Leave(ConsumerGroup group, LeaveGroupRequest.MemberIdentity[] members, Instant now, CoordinatorEffects effects)
    {
        var leaving = new List<ConsumerGroupMember>();
        var errors = new ErrorCode[members.Length];
        for (var i = 0; i < members.Length; i++)
        {
            var (memberId, instanceId) = (members[i].MemberId, members[i].GroupInstanceId);

            // An operator removes a static member by its instance id only.
            var member = instanceId is null ? group.Find(memberId) : group.FindStatic(instanceId);
            if (member is null)
                errors[i] = ErrorCode.UnknownMemberId;
            else if (instanceId is not null && memberId.Length > 0 && member.MemberId != memberId)
                errors[i] = ErrorCode.FencedInstanceId;
            else if (!leaving.Contains(member))
                leaving.Add(member);
        }

        consumer.Remove(group, leaving, now, effects);
        return errors;
    }

    /// <summary>The partitions of the topics that exist, with topic ids.</summary>
    public static HashSet<TopicIdPartition> Identify(IEnumerable<(string Topic, int[] Partitions)> topics, TopicsImage image) =>
    [
        .. topics
            .Select(topic => (Image: image.Find(topic.Topic), topic.Partitions))
            .Where(topic => topic.Image is not null)
            .SelectMany(topic => topic.Partitions, (topic, partition) => new TopicIdPartition(topic.Image!.Id, partition)),
    ];

    /// <summary>Writes an assignment in the format of classic consumers.</summary>
    /// <exception cref="ProtocolException">The version does not exist.</exception>
    public static byte[] WriteAssignment(IEnumerable<TopicIdPartition> partitions, short version, TopicsImage image) =>
        ConsumerProtocol.WriteAssignment(
            new ConsumerProtocolAssignment
            {
                AssignedPartitions =
                [
                    .. ConsumerGroupRecords.ByTopic(partitions)
                        .Select(topic => (image.Find(topic.Id)?.Name, topic.Partitions))
                        .Where(topic => topic.Name is not null)
                        .Select(
                            topic => new ConsumerProtocolAssignment.TopicPartition { Topic = topic.Name!, Partitions = topic.Partitions }),
                ],
            },
            version);

    private static void AnswerJoin(
        CoordinatorEffects effects, AwaitingReply<JoinGroupResponse> awaiting, string memberId, int memberEpoch,
        ClassicProtocol[] protocols) =>
        effects.Reply(awaiting.ReplyTo, new JoinGroupResponse
        {
            MemberId = memberId,
            GenerationId = memberEpoch,
            ProtocolType = ConsumerProtocol.ProtocolType,
            ProtocolName = protocols[0].Name,
        });

    private static (ConsumerGroupMember Member, ClassicMemberMetadata Classic) Get(
        ConsumerGroup group, string memberId, string? instanceId, int generationId)
    {
        var member = instanceId is null ? group.Get(memberId) : MemberAdmission.GetStatic(group, memberId, instanceId);
        if (member.Classic is not { } classic)
            throw new ApiException(ErrorCode.UnknownMemberId, $"Member {memberId} does not use the classic protocol.");
        if (member.MemberEpoch != generationId)
            throw new ApiException(
                ErrorCode.IllegalGeneration, $"The member's generation {generationId} is not its current epoch {member.MemberEpoch}.");
        return (member, classic);
    }

    private static bool Supports(ConsumerGroup group, string protocolType, ClassicProtocol[] protocols)
    {
        ClassicMemberMetadata[] classics = [.. group.Members.Select(member => member.Classic).OfType<ClassicMemberMetadata>()];
        return protocolType == ConsumerProtocol.ProtocolType
            && protocols.Any(
                protocol => classics.All(classic => classic.SupportedProtocols.Any(supported => supported.Name == protocol.Name)));
    }

    private static ConsumerProtocolSubscription? ReadSubscription(ClassicProtocol protocol)
    {
        try
        {
            return ConsumerProtocol.ReadSubscription(protocol.Metadata);
        }
        catch (ProtocolException)
        {
            return null;
        }
    }

    private static ConsumerGroupMember Known(ConsumerGroup group, string memberId, JoinGroupRequest request, ConsumerGroupMember? replaced)
    {
        if (replaced is not null)
            return replaced with { MemberId = memberId, MemberEpoch = MemberEpochs.Join, PreviousMemberEpoch = MemberEpochs.Join };
        return request.MemberId.Length > 0 && request.GroupInstanceId is { } instanceId
            ? MemberAdmission.GetStatic(group, memberId, instanceId)
            : group.Find(memberId) ?? new ConsumerGroupMember(memberId);
    }

    private static ConsumerGroupMember Describe(
        ConsumerGroupMember member, JoinGroupCommand command, ClassicProtocol[] protocols, ConsumerProtocolSubscription subscription)
    {
        var request = command.Request;
        var rebalanceTimeoutMs = command.Origin.ApiVersion == 0 ? request.SessionTimeoutMs : request.RebalanceTimeoutMs;
        return member with
        {
            InstanceId = request.GroupInstanceId ?? member.InstanceId,
            RackId = subscription.RackId ?? member.RackId,
            RebalanceTimeoutMs = rebalanceTimeoutMs == -1 ? member.RebalanceTimeoutMs : rebalanceTimeoutMs,
            SubscribedTopicNames = GroupSubscription.NoTopics.Union(subscription.Topics),
            SubscribedTopicRegex = "",
            ClientId = command.Origin.ClientId,
            ClientHost = command.Origin.ClientHost,
            Classic = new ClassicMemberMetadata(request.SessionTimeoutMs, [.. protocols]),
        };
    }

    private static bool WaitsForOthers(ConsumerGroup group, ConsumerGroupMember member) =>
        group.TargetOf(member.MemberId).Any(partition => !member.AssignedPartitions.ContainsKey(partition) && group.IsOwned(partition));

    private void ExpectJoin(ConsumerGroup group, ConsumerGroupMember member, Instant now)
    {
        if (context.Deadlines.At(DeadlinePurpose.ConsumerJoin, group.GroupId, member.MemberId) is null)
            context.Deadlines
                .Schedule(DeadlinePurpose.ConsumerJoin, group.GroupId, member.MemberId, now.AddMilliseconds(member.RebalanceTimeoutMs));
    }
}
