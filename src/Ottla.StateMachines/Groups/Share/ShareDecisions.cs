using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Assignors;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Share;

/// <summary>Decides about the members of share groups (KIP-932). <see cref="ShareOffsetDecisions"/> decides about their offsets.</summary>
/// <remarks>Part of a <see cref="GroupMachine"/>; lives as long.</remarks>
internal sealed class ShareDecisions(GroupContext context)
{
    /// <summary>When a member is removed again after its records could not be written.</summary>
    private const int DeadlineRetryMs = 500;

    /// <summary>ShareGroupHeartbeat.</summary>
    /// <exception cref="ApiException">
    /// INVALID_REQUEST, GROUP_ID_NOT_FOUND, GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH.
    /// </exception>
    public void Heartbeat(
        ShareGroupHeartbeatCommand command, ReplyTo<ShareGroupHeartbeatResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        Check(command.Request);
        effects.Reply(replyTo, command.Request.MemberEpoch == MemberEpochs.Leave
            ? Leave(command.Request, effects)
            : HandleHeartbeat(command, now, effects));
    }

    /// <summary>ShareGroupDescribe.</summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND.</exception>
    public void Describe(
        ShareGroupDescribeCommand command, ReplyTo<ShareGroupDescribeResponse.DescribedGroup> replyTo, CoordinatorEffects effects)
    {
        var group = Get(command.GroupId);
        var topics = context.Image.Topics;
        effects.Reply(replyTo, new ShareGroupDescribeResponse.DescribedGroup
        {
            GroupId = group.GroupId,
            GroupState = group.StateName,
            GroupEpoch = group.GroupEpoch,
            AssignmentEpoch = group.AssignmentEpoch,
            AssignorName = SimpleAssignor.Name,
            Members =
            [
                .. group.Members.OrderBy(member => member.MemberId, StringComparer.Ordinal).Select(member => Describe(member, topics)),
            ],
        });
    }

    /// <summary>Whether a heartbeat may compute a large assignment.</summary>
    public bool IsCostly(ShareGroupHeartbeatCommand command, Instant now)
    {
        var request = command.Request;
        var group = context.Find<ShareGroup>(request.GroupId);
        var keepsSubscription = request is { MemberEpoch: > MemberEpochs.Join, SubscribedTopicNames: null };
        if (keepsSubscription && group is not null && group.AssignmentEpoch == group.GroupEpoch && !group.IsMetadataCheckDue(now))
            return false;
        return AssignmentCost.IsHigh(
            group?.Members.Count ?? 0,
            (group?.SubscribedTopics ?? GroupSubscription.NoTopics).Concat(request.SubscribedTopicNames ?? []), context.Image.Topics);
    }

    /// <summary>Applies a record of a share group.</summary>
    public void Apply(in CoordinatorRecord record)
    {
        var groupId = ShareGroupRecords.GroupIdOf(record.Key);
        if (record is { Key: ShareGroupMemberMetadataKey member, Value: null })
            context.Deadlines.Cancel(DeadlinePurpose.ShareSession, groupId, member.MemberId);
        var group = context.Find<ShareGroup>(groupId);
        if (group is null)
        {
            if (record.Value is null)
                return;
            group = new ShareGroup(groupId); // it replaces a group that exists only for offsets
            context.Put(group);
        }

        if (!group.Apply(record))
            context.Remove(groupId);
    }

    /// <summary>Handles the end of a member's session.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
        if (context.Find<ShareGroup>(due.GroupId) is not { } group || group.Find(due.MemberId) is not { } member)
            return;
        context.Deadlines.Schedule(due.Purpose, due.GroupId, due.MemberId, now.AddMilliseconds(DeadlineRetryMs));
        Remove(group, member, effects);
    }

    /// <summary>Starts the sessions of all members. What was being initialised may still be under way.</summary>
    public void OnLoaded(Instant now)
    {
        foreach (var group in context.Groups.OfType<ShareGroup>())
        {
            foreach (var member in group.Members)
                ScheduleSession(group.GroupId, member.MemberId, now);
            group.RecordInitializing(group.StatePartitions.Initializing.Keys, now);
        }
    }

    /// <summary>
    /// Reacts to new metadata, which the context already has. Groups check their topics at the next heartbeat; deleted topics are
    /// forgotten, and the share coordinators do the same by themselves.
    /// </summary>
    public void OnMetadata(MetadataDelta delta, CoordinatorEffects effects)
    {
        if (delta.Topics.Count == 0)
            return;
        Uuid[] deleted = [.. delta.Topics.Where(topic => topic.New is null).Select(topic => topic.Old!.Id)];
        foreach (var group in context.Groups.OfType<ShareGroup>())
        {
            if (delta.Topics.Any(topic => group.SubscribedTopics.Contains(topic.Name)))
                group.RequestMetadataCheck();
            var partitions = group.StatePartitions;
            var isAffected = deleted.Any(id => partitions.Knows(id) || partitions.Deleting.ContainsKey(id));
            if (isAffected)
            {
                effects.Write(ShareGroupRecords.StatePartitions(
                    group.GroupId, deleted.Aggregate(partitions, (rest, topicId) => rest.Forget(topicId))));
            }
        }
    }

    /// <summary>The group with an id.</summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND: there is none, or it is of another type.</exception>
    public ShareGroup Get(string groupId) => context.Find(groupId) switch
    {
        ShareGroup group => group,
        null => throw new ApiException(ErrorCode.GroupIdNotFound, $"Group {groupId} not found."),
        _ => throw NotAShareGroup(groupId),
    };

    /// <summary>The group with an id, or a new one that is not in the context yet.</summary>
    /// <exception cref="ApiException">GROUP_ID_NOT_FOUND: there is one of another type.</exception>
    public ShareGroup GetOrMake(string groupId) => context.Find(groupId) switch
    {
        ShareGroup group => group,
        null => new ShareGroup(groupId),
        _ => throw NotAShareGroup(groupId),
    };

    private static void Check(ShareGroupHeartbeatRequest request)
    {
        if (request.MemberId.Length is 0 or > ShareGroupMember.IdLengthMax)
            throw new ApiException(ErrorCode.InvalidRequest);
        RefuseBlank(request.MemberId, nameof(request.MemberId));
        RefuseBlank(request.GroupId, nameof(request.GroupId));
        RefuseBlank(request.RackId, nameof(request.RackId));
        if (request is { MemberEpoch: MemberEpochs.Join, SubscribedTopicNames: null or { Length: 0 } })
            throw Invalid("SubscribedTopicNames must be set in first request.");
        if (request.MemberEpoch < MemberEpochs.Leave)
            throw Invalid("MemberEpoch is invalid.");
    }

    private static void RefuseBlank(string? value, string field)
    {
        if (value is not null && string.IsNullOrWhiteSpace(value))
            throw Invalid($"{field} can't be empty.");
    }

    private static void CheckEpoch(ShareGroupMember member, int received)
    {
        if (received == MemberEpochs.Join || received == member.MemberEpoch)
            return;

        // The response with the newer epoch may have been lost.
        if (received < member.MemberEpoch && received == member.PreviousMemberEpoch)
            return;
        var comparison = received > member.MemberEpoch
            ? $"a greater member epoch ({received}) than the one known by the group coordinator ({member.MemberEpoch})."
            : $"a smaller member epoch ({received}) than the one known by the group coordinator ({member.MemberEpoch}), and it does not "
                + $"match the previous member epoch ({member.PreviousMemberEpoch}).";
        throw new ApiException(
            ErrorCode.FencedMemberEpoch,
            $"The share group member has {comparison} The member must abandon all its partitions and rejoin.");
    }

    private static ShareGroupDescribeResponse.Member Describe(ShareGroupMember member, TopicsImage topics) => new()
    {
        MemberId = member.MemberId,
        RackId = member.RackId,
        MemberEpoch = member.MemberEpoch,
        ClientId = member.ClientId,
        ClientHost = member.ClientHost,
        SubscribedTopicNames = [.. member.SubscribedTopicNames],
        Assignment = new ShareGroupDescribeResponse.AssignmentData
        {
            TopicPartitions =
            [
                .. ConsumerGroupRecords.ByTopic(member.AssignedPartitions).Where(topic => topics.Find(topic.Id) is not null).Select(
                    topic => new ShareGroupDescribeResponse.TopicPartitionsData
                    {
                        TopicId = topic.Id,
                        TopicName = topics.Find(topic.Id)!.Name,
                        Partitions = topic.Partitions,
                    }),
            ],
        },
    };

    private ShareGroupHeartbeatResponse HandleHeartbeat(ShareGroupHeartbeatCommand command, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var isJoin = request.MemberEpoch == MemberEpochs.Join;
        if (!isJoin && context.Find(request.GroupId) is null)
            throw new ApiException(ErrorCode.GroupIdNotFound, $"Share group {request.GroupId} not found.");
        var group = GetOrMake(request.GroupId);
        RefuseIfFull(group, request.MemberId);
        var before = isJoin ? group.Find(request.MemberId) ?? new ShareGroupMember(request.MemberId) : group.Get(request.MemberId);
        CheckEpoch(before, request.MemberEpoch);
        var reported = before with
        {
            RackId = request.RackId ?? before.RackId,
            SubscribedTopicNames = request.SubscribedTopicNames is { } names
                ? GroupSubscription.NoTopics.Union(names)
                : before.SubscribedTopicNames,
            ClientId = command.Origin.ClientId,
            ClientHost = command.Origin.ClientHost,
        };
        var member = new ShareMemberUpdate(context, group, before, reported, now, effects).Run();
        effects.WhenTaken(_ => ScheduleSession(group.GroupId, member.MemberId, now));
        var isAssignmentAnswered = isJoin || request.SubscribedTopicNames is not null
            || !member.AssignedPartitions.SequenceEqual(before.AssignedPartitions);
        return new ShareGroupHeartbeatResponse
        {
            MemberId = member.MemberId,
            MemberEpoch = member.MemberEpoch,
            HeartbeatIntervalMs = SettingsOf(group.GroupId).HeartbeatIntervalMs,
            Assignment = isAssignmentAnswered ? AssignmentOf(member) : null,
        };
    }

    private void RefuseIfFull(ShareGroup group, string memberId)
    {
        var sizeMax = context.Config.GroupShareMaxSize;
        if (group.Members.Count >= sizeMax && !group.HasMember(memberId))
        {
            throw new ApiException(
                ErrorCode.GroupMaxSizeReached, $"The share group has reached its maximum capacity of {sizeMax} members.");
        }
    }

    private static ShareGroupHeartbeatResponse.AssignmentData AssignmentOf(ShareGroupMember member) => new()
    {
        TopicPartitions =
        [
            .. ConsumerGroupRecords.ByTopic(member.AssignedPartitions).Select(topic => new ShareGroupHeartbeatResponse.TopicPartitionsData
            {
                TopicId = topic.Id,
                Partitions = topic.Partitions,
            }),
        ],
    };

    private ShareGroupHeartbeatResponse Leave(ShareGroupHeartbeatRequest request, CoordinatorEffects effects)
    {
        var group = Get(request.GroupId);
        Remove(group, group.Get(request.MemberId), effects);
        return new ShareGroupHeartbeatResponse { MemberId = request.MemberId, MemberEpoch = request.MemberEpoch };
    }

    private void Remove(ShareGroup group, ShareGroupMember leaving, CoordinatorEffects effects)
    {
        effects.Write(ShareGroupRecords.MemberTombstones(group.GroupId, leaving.MemberId));
        ShareGroupMember[] remaining = [.. group.Members.Where(member => member.MemberId != leaving.MemberId)];
        var groupEpoch = group.GroupEpoch + 1;
        effects.Write(ShareGroupRecords.Epoch(
            group.GroupId, groupEpoch, TopicMetadataHash.Of(ShareGroup.TopicsOf(remaining), context.Image)));

        // No member waits for an assignment. With the timestamp of a new group, the next member does not have to wait either.
        if (remaining.Length == 0)
            effects.Write(ShareGroupRecords.TargetEpoch(group.GroupId, groupEpoch, default));
    }

    private void ScheduleSession(string groupId, string memberId, Instant now) => context.Deadlines.Schedule(
        DeadlinePurpose.ShareSession, groupId, memberId, now.AddMilliseconds(SettingsOf(groupId).SessionTimeoutMs));

    private ShareGroupSettings SettingsOf(string groupId) => new(context.Image, context.Config, groupId);

    private static ApiException Invalid(string message) => new(ErrorCode.InvalidRequest, message);

    private static ApiException NotAShareGroup(string groupId) =>
        new(ErrorCode.GroupIdNotFound, $"Group {groupId} is not a share group.");
}
