using System.Text;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Groups.Migration;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Groups.Unserved;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>Decides about classic groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup and DescribeGroups.</summary>
/// <remarks>
/// Part of a <see cref="GroupMachine"/>; lives as long. <see cref="ClassicMembers"/> handles classic members of consumer groups.
/// </remarks>
public sealed class ClassicDecisions
{
    // The longest name, in bytes of UTF-8. A member id adds a random part and must still fit a string of the group's record.
    private const int NameBytesMax = short.MaxValue - 64;

    private readonly GroupContext _context;
    private readonly ClassicRebalance _rebalance;
    private readonly ClassicJoins _joins;
    private readonly ClassicMembers _members;

    /// <summary>Makes the part.</summary>
    /// <param name="context">The state that the machine's parts share.</param>
    /// <param name="rebalance">The rebalances of classic groups.</param>
    /// <param name="members">Handles classic members of consumer groups.</param>
    internal ClassicDecisions(GroupContext context, ClassicRebalance rebalance, ClassicMembers members)
    {
        (_context, _rebalance, _members) = (context, rebalance, members);
        _joins = new ClassicJoins(context, rebalance);
    }

    /// <summary>JoinGroup.</summary>
    /// <remarks>
    /// INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, UNKNOWN_MEMBER_ID, MEMBER_ID_REQUIRED, INCONSISTENT_GROUP_PROTOCOL, FENCED_INSTANCE_ID,
    /// GROUP_MAX_SIZE_REACHED, REBALANCE_IN_PROGRESS (the client has sent another join in the meantime), INVALID_REQUEST (a name is longer
    /// than 32 KB).
    /// </remarks>
    public void Join(JoinGroupCommand command, ReplyTo<JoinGroupResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var awaiting = new AwaitingReply<JoinGroupResponse>(replyTo, command.Origin.ApiVersion);
        if (request.GroupId.Length == 0)
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.InvalidGroupId, request.MemberId);
        else if (request.SessionTimeoutMs < _context.Config.GroupMinSessionTimeoutMs
            || request.SessionTimeoutMs > _context.Config.GroupMaxSessionTimeoutMs)
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.InvalidSessionTimeout, request.MemberId);
        else if (!FitsRecord(request))
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.InvalidRequest, request.MemberId);
        else if (_context.Find(request.GroupId) is ClassicGroup group)
            _joins.Join(group, command, replyTo, now, effects);
        else if (_context.Find(request.GroupId) is ConsumerGroup { IsEmpty: false } consumerGroup)
            _members.Join(consumerGroup, command, awaiting, now, effects);
        else if (_context.Find(request.GroupId) is ShareGroup or StreamsGroup { IsEmpty: false })
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.InconsistentGroupProtocol);
        else
            JoinNewGroup(command, awaiting, now, effects);
    }

    /// <summary>SyncGroup.</summary>
    /// <remarks>
    /// INVALID_GROUP_ID, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, REBALANCE_IN_PROGRESS.
    /// </remarks>
    public void Sync(SyncGroupCommand command, ReplyTo<SyncGroupResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var awaiting = new AwaitingReply<SyncGroupResponse>(replyTo, command.Origin.ApiVersion);
        if (request.GroupId.Length == 0)
            ClassicReplies.SyncFailed(effects, awaiting, ErrorCode.InvalidGroupId);
        else if (command.Origin.ApiVersion >= 5 && (request.ProtocolType is null || request.ProtocolName is null))
            ClassicReplies.SyncFailed(effects, awaiting, ErrorCode.InconsistentGroupProtocol);
        else if (_context.Find(request.GroupId) is ConsumerGroup consumerGroup)
            _members.Sync(consumerGroup, request, replyTo, now, effects);
        else if (_context.Find(request.GroupId) is not ClassicGroup group)
            ClassicReplies.SyncFailed(effects, awaiting, ErrorCode.UnknownMemberId);
        else if (CheckSync(group, request) is var error and not ErrorCode.None)
            ClassicReplies.SyncFailed(effects, awaiting, error);
        else
            Sync(group, request, awaiting, now, effects);
    }

    /// <summary>Heartbeat.</summary>
    /// <exception cref="ApiException">
    /// INVALID_GROUP_ID, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    /// </exception>
    public void Heartbeat(HeartbeatCommand command, ReplyTo<HeartbeatResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        effects.Reply(replyTo, new HeartbeatResponse { ErrorCode = (short)Heartbeat(request, now) });
    }

    /// <summary>LeaveGroup. Up to version 2 it names one member, and that member's error becomes the error of the response.</summary>
    /// <remarks>INVALID_GROUP_ID, and for each member UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID.</remarks>
    public void Leave(LeaveGroupCommand command, ReplyTo<LeaveGroupResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var namesOneMember = command.Origin.ApiVersion <= 2;
        var members = namesOneMember ? [new LeaveGroupRequest.MemberIdentity { MemberId = request.MemberId }] : request.Members;
        if (request.GroupId.Length == 0)
        {
            effects.Reply(replyTo, new LeaveGroupResponse { ErrorCode = (short)ErrorCode.InvalidGroupId });
            return;
        }

        var errors = _context.Find(request.GroupId) switch
        {
            ClassicGroup group => Leave(group, members, now, effects),
            ConsumerGroup group => _members.Leave(group, members, now, effects),
            _ => [.. members.Select(_ => ErrorCode.UnknownMemberId)],
        };
        effects.Reply(replyTo, namesOneMember
            ? new LeaveGroupResponse { ErrorCode = (short)errors[0] }
            : new LeaveGroupResponse
            {
                Members = [.. members.Zip(errors, (member, error) => new LeaveGroupResponse.MemberResponse
                {
                    MemberId = member.MemberId,
                    GroupInstanceId = member.GroupInstanceId,
                    ErrorCode = (short)error,
                })],
            });
    }

    /// <summary>DescribeGroups. It shows metadata and assignments of members only for a stable group.</summary>
    /// <remarks>GROUP_ID_NOT_FOUND with the state Dead. Up to version 5 the response has the state but no error.</remarks>
    public void Describe(DescribeGroupCommand command, ReplyTo<DescribeGroupsResponse.DescribedGroup> replyTo, CoordinatorEffects effects)
    {
        var found = _context.Find(command.GroupId);
        if (found is not ClassicGroup group)
        {
            effects.Reply(replyTo, new DescribeGroupsResponse.DescribedGroup
            {
                GroupId = command.GroupId,
                GroupState = "Dead",
                ErrorCode = (short)ErrorCode.GroupIdNotFound,
                ErrorMessage = found is null ? $"Group {command.GroupId} not found." : $"Group {command.GroupId} is not a classic group.",
            });
            return;
        }

        var isStable = group.State == ClassicGroupState.Stable;
        effects.Reply(replyTo, new DescribeGroupsResponse.DescribedGroup
        {
            GroupId = group.GroupId,
            GroupState = group.StateName,
            ProtocolType = group.ProtocolType,
            ProtocolData = isStable ? group.ProtocolName! : "",
            Members = [.. group.Members.Select(member => new DescribeGroupsResponse.DescribedGroupMember
            {
                MemberId = member.MemberId,
                GroupInstanceId = member.GroupInstanceId,
                ClientId = member.ClientId,
                ClientHost = member.ClientHost,
                MemberMetadata = isStable ? member.Metadata(group.ProtocolName!) : [],
                MemberAssignment = member.Assignment,
            })],
        });
    }

    /// <summary>Applies a group's record.</summary>
    public void Apply(in CoordinatorRecord record)
    {
        var groupId = ((GroupMetadataKey)record.Key).Group;
        var current = _context.Find<ClassicGroup>(groupId);
        if (record.Value is not GroupMetadataValue value)
        {
            if (current is null)
                return;
            _rebalance.CancelDeadlines(current);
            _context.Remove(groupId);
        }
        else if (!_context.TryPutStaged(record) && current?.TryTakeOver(value) != true)
        {
            _context.Put(ClassicGroup.FromRecord(groupId, value));
        }
    }

    /// <summary>Handles a deadline of a classic group.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects) => _rebalance.OnDeadline(due, now, effects);

    /// <summary>
    /// Starts the sessions of all members. The members of a group that exceeds the maximum size must join again, and some are refused.
    /// </summary>
    public void OnLoaded(Instant now, CoordinatorEffects effects)
    {
        foreach (var group in _context.Groups.OfType<ClassicGroup>())
        {
            foreach (var member in group.Members)
                _rebalance.ScheduleSession(group, member, now);
            if (group.Members.Count > _context.Config.GroupMaxSize)
                _rebalance.Prepare(group, now, effects);
        }
    }

    // Writing the group's record creates the group and lets the client join. It also replaces an empty consumer or streams group with the
    // same id.
    private void JoinNewGroup(
        JoinGroupCommand command, AwaitingReply<JoinGroupResponse> awaiting, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var former = _context.Find(request.GroupId);
        if (request.MemberId.Length > 0)
        {
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.UnknownMemberId, request.MemberId);
            return;
        }

        var group = ClassicGroup.Create(request.GroupId, now);
        if (!group.Supports(request.ProtocolType, ClassicGroupMember.ProtocolsOf(request)))
        {
            ClassicReplies.JoinFailed(effects, awaiting, ErrorCode.InconsistentGroupProtocol);
            return;
        }

        former?.WriteTombstones(effects);
        var record = group.ToNewRecord();
        effects.Write(record);
        _context.Stage(record, group);
        _joins.Join(group, command, awaiting.ReplyTo, now, effects);
    }

    // Strings of a flexible request may be too long for the group's record. Then the record could not be written, and no member would get
    // an assignment.
    private static bool FitsRecord(JoinGroupRequest request) =>
        Fits(request.GroupId) && Fits(request.GroupInstanceId) && Fits(request.ProtocolType)
            && request.Protocols.All(protocol => Fits(protocol.Name));

    private static bool Fits(string? name) => name is null || Encoding.UTF8.GetByteCount(name) <= NameBytesMax;

    private static ErrorCode CheckSync(ClassicGroup group, SyncGroupRequest request)
    {
        var error = group.CheckMember(request.MemberId, request.GroupInstanceId);
        if (error != ErrorCode.None)
            return error;
        if (request.GenerationId != group.GenerationId)
            return ErrorCode.IllegalGeneration;
        if ((request.ProtocolType is { } type && type != group.MemberProtocolType)
            || (request.ProtocolName is { } name && name != group.ProtocolName))
            return ErrorCode.InconsistentGroupProtocol;
        return group.State == ClassicGroupState.PreparingRebalance ? ErrorCode.RebalanceInProgress : ErrorCode.None;
    }

    private void Sync(
        ClassicGroup group, SyncGroupRequest request, AwaitingReply<SyncGroupResponse> awaiting, Instant now, CoordinatorEffects effects)
    {
        var member = group.Member(request.MemberId)!;
        group.RemovePendingSync(member.MemberId);
        if (group.PendingSyncs.Count == 0)
            _context.Deadlines.Cancel(DeadlinePurpose.ClassicSync, group.GroupId);
        if (group.State == ClassicGroupState.Stable)
        {
            ClassicReplies.Synced(effects, awaiting, group, member.Assignment);
            return;
        }

        ClassicRebalance.AnswerAwaiting(group, member, ErrorCode.RebalanceInProgress, member.MemberId, effects);
        member.AwaitingSync = awaiting;
        if (group.LeaderId == member.MemberId)
            Assign(group, request.Assignments, now, effects);
    }

    // The group is stable once the record is written (ClassicGroup.TryTakeOver). If the write fails, all waiting members get the error and
    // join again.
    private void Assign(
        ClassicGroup group, SyncGroupRequest.SyncGroupRequestAssignment[] assignments, Instant now, CoordinatorEffects effects)
    {
        var assignmentsByMember = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (var assignment in assignments)
            assignmentsByMember[assignment.MemberId] = assignment.Assignment;
        effects.Write(group.ToRecord(assignmentsByMember));
        foreach (var member in group.Members)
        {
            if (member.AwaitingSync is not { } sync)
                continue;
            member.AwaitingSync = null;
            ClassicReplies.Synced(effects, sync, group, assignmentsByMember.GetValueOrDefault(member.MemberId, []));
            _rebalance.ScheduleSession(group, member, now);
        }

        effects.WhenRefused((refusedAt, refusedEffects) =>
        {
            foreach (var member in group.Members)
                member.Assignment = [];
            _rebalance.Prepare(group, refusedAt, refusedEffects);
        });
    }

    private ErrorCode Heartbeat(HeartbeatRequest request, Instant now)
    {
        if (request.GroupId.Length == 0)
            return ErrorCode.InvalidGroupId;
        if (_context.Find(request.GroupId) is ConsumerGroup consumerGroup)
            return _members.Heartbeat(consumerGroup, request, now);
        if (_context.Find(request.GroupId) is not ClassicGroup group)
            return ErrorCode.UnknownMemberId;
        if (group.CheckMember(request.MemberId, request.GroupInstanceId) is var error and not ErrorCode.None)
            return error;
        if (request.GenerationId != group.GenerationId)
            return ErrorCode.IllegalGeneration;
        _rebalance.ScheduleSession(group, group.Member(request.MemberId)!, now);
        return group.State == ClassicGroupState.PreparingRebalance ? ErrorCode.RebalanceInProgress : ErrorCode.None;
    }

    private ErrorCode[] Leave(ClassicGroup group, LeaveGroupRequest.MemberIdentity[] members, Instant now, CoordinatorEffects effects)
    {
        var leaving = new HashSet<string>(StringComparer.Ordinal);
        var errors = new ErrorCode[members.Length];
        for (var i = 0; i < members.Length; i++)
        {
            var memberId = members[i].MemberId;
            var instance = members[i].GroupInstanceId;

            // An operator removes a static member by its instance id only.
            if (memberId.Length == 0 && instance is not null && group.StaticMemberId(instance) is { } current)
                memberId = current;
            errors[i] = group.IsPendingJoin(memberId) ? ErrorCode.None : group.CheckMember(memberId, instance);

            // A member that the request names twice is unknown the second time.
            if (errors[i] == ErrorCode.None && !leaving.Add(memberId))
                errors[i] = ErrorCode.UnknownMemberId;
        }

        _rebalance.RemoveAll(group, leaving, now, effects);
        return errors;
    }
}
