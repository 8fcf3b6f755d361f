using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>Decides about JoinGroup for classic groups.</summary>
/// <remarks>Part of <see cref="ClassicDecisions"/>; lives as long. Stateless: the groups have the state.</remarks>
internal sealed class ClassicJoins(GroupContext context, ClassicRebalance rebalance)
{
    // From this version on, a client without a member id gets one and must join again with it (KIP-394).
    private const short RequiredMemberIdVersion = 4;

    // From this version on, the response tells a static leader to skip the assignment (KIP-814).
    private const short SkipAssignmentVersion = 9;

    /// <summary>Lets a client join, now or when the other members have joined.</summary>
    public void Join(
        ClassicGroup group, JoinGroupCommand command, ReplyTo<JoinGroupResponse> replyTo, Instant now, CoordinatorEffects effects)
    {
        var request = command.Request;
        var join = new Joining(
            command, ClassicGroupMember.ProtocolsOf(request), new AwaitingReply<JoinGroupResponse>(replyTo, command.Origin.ApiVersion));
        if (!IsAccepted(group, request.MemberId))
        {
            rebalance.Remove(group, request.MemberId, effects);
            ClassicReplies.JoinFailed(effects, join.Awaiting, ErrorCode.GroupMaxSizeReached);
            rebalance.TryCompleteJoin(group, now, effects);
        }
        else if (!group.Supports(request.ProtocolType, join.Protocols))
        {
            ClassicReplies.JoinFailed(effects, join.Awaiting, ErrorCode.InconsistentGroupProtocol, request.MemberId);
        }
        else if (request.MemberId.Length == 0)
        {
            JoinNew(group, join, now, effects);
        }
        else
        {
            JoinKnown(group, join, now, effects);
        }
    }

    private void JoinNew(ClassicGroup group, Joining join, Instant now, CoordinatorEffects effects)
    {
        var request = join.Command.Request;
        var memberId = context.NewMemberId(request.GroupInstanceId ?? join.Command.Origin.ClientId);
        if (request.GroupInstanceId is { } instance && group.StaticMemberId(instance) is { } current)
        {
            Succeed(group, group.Member(current)!, memberId, join, now, effects);
        }
        else if (request.GroupInstanceId is null && join.Command.Origin.ApiVersion >= RequiredMemberIdVersion)
        {
            group.AddPendingJoin(memberId);
            rebalance.ScheduleSession(group, memberId, request.SessionTimeoutMs, now);
            ClassicReplies.JoinFailed(effects, join.Awaiting, ErrorCode.MemberIdRequired, memberId);
        }
        else
        {
            Add(group, memberId, join, now, effects);
        }
    }

    private void JoinKnown(ClassicGroup group, Joining join, Instant now, CoordinatorEffects effects)
    {
        var request = join.Command.Request;
        if (group.IsPendingJoin(request.MemberId) && request.GroupInstanceId is null)
        {
            Add(group, request.MemberId, join, now, effects);
            return;
        }

        if (group.CheckMember(request.MemberId, request.GroupInstanceId) is var error and not ErrorCode.None)
        {
            ClassicReplies.JoinFailed(effects, join.Awaiting, error, request.MemberId);
            return;
        }

        var member = group.Member(request.MemberId)!;
        var mayKeepGeneration = group.State switch
        {
            // The member may have missed the response to its join.
            ClassicGroupState.CompletingRebalance => member.Offers(join.Protocols),

            // A leader that joins again wants a new assignment, because it knows more than the coordinator: for example new partitions.
            ClassicGroupState.Stable => group.LeaderId != member.MemberId && member.Offers(join.Protocols),
            _ => false,
        };
        if (mayKeepGeneration)
        {
            ClassicReplies.Joined(effects, join.Awaiting, group, member.MemberId);
            return;
        }

        Update(group, member, join, effects);
        rebalance.PrepareOrTryComplete(group, now, effects);
    }

    private void Add(ClassicGroup group, string memberId, Joining join, Instant now, CoordinatorEffects effects)
    {
        var request = join.Command.Request;
        if (group is { State: ClassicGroupState.PreparingRebalance, IsInitialRebalance: true })
            group.HasNewMembers = true;
        group.Add(
            new ClassicGroupMember
            {
                MemberId = memberId,
                GroupInstanceId = request.GroupInstanceId,
                ClientId = join.Command.Origin.ClientId,
                ClientHost = join.Command.Origin.ClientHost,
                RebalanceTimeoutMs = join.RebalanceTimeoutMs,
                SessionTimeoutMs = request.SessionTimeoutMs,
                Protocols = join.Protocols,
                AwaitingJoin = join.Awaiting,
                IsNew = true,
            },
            request.ProtocolType);
        rebalance.ScheduleSession(group, memberId, ClassicRebalance.NewMemberJoinTimeoutMs, now);
        rebalance.PrepareOrTryComplete(group, now, effects);
    }

    // A static member has come back without its member id. A stable group needs no rebalance if nothing else changed.
    private void Succeed(ClassicGroup group, ClassicGroupMember old, string memberId, Joining join, Instant now, CoordinatorEffects effects)
    {
        var formerLeaderId = group.LeaderId ?? "";
        var wasPendingSync = group.PendingSyncs.Contains(old.MemberId);
        ClassicRebalance.AnswerAwaiting(group, old, ErrorCode.FencedInstanceId, old.MemberId, effects);
        var successor = group.ReplaceStatic(old, memberId);
        context.Deadlines.Cancel(DeadlinePurpose.ClassicSession, group.GroupId, old.MemberId);
        rebalance.ScheduleSession(group, successor, now);
        Update(group, successor, join, effects);
        if (group.State != ClassicGroupState.Stable || group.SelectProtocol() != group.ProtocolName)
        {
            rebalance.PrepareOrTryComplete(group, now, effects);
            return;
        }

        group.SetAwaitingJoin(successor, null);
        effects.Write(group.ToRecord());

        // Until the record is written, the old member stays: a successor that was rejected must not fence it.
        effects.WhenRefused((refusedAt, _) =>
        {
            group.RestoreStatic(old, successor, wasPendingSync);
            context.Deadlines.Cancel(DeadlinePurpose.ClassicSession, group.GroupId, successor.MemberId);
            rebalance.ScheduleSession(group, old, refusedAt);
        });
        var knowsSkipping = join.Command.Origin.ApiVersion >= SkipAssignmentVersion;
        var isLeader = group.LeaderId == memberId;

        // A client that cannot skip the assignment must not see itself as the leader.
        ClassicReplies.Joined(
            effects, join.Awaiting, group, memberId, knowsSkipping ? group.LeaderId! : formerLeaderId, knowsSkipping
                && isLeader, knowsSkipping && isLeader);
    }

    private static void Update(ClassicGroup group, ClassicGroupMember member, Joining join, CoordinatorEffects effects)
    {
        // The client has given up its earlier request, or it would not send another.
        ClassicRebalance.AnswerAwaiting(group, member, ErrorCode.RebalanceInProgress, member.MemberId, effects);
        group.Update(member, join.Protocols, join.RebalanceTimeoutMs, join.Command.Request.SessionTimeoutMs);
        group.SetAwaitingJoin(member, join.Awaiting);
    }

    // While the group waits for members, those that have not joined again lose their place to others that join first, because the maximum
    // size may be lower now.
    private bool IsAccepted(ClassicGroup group, string memberId) => group.State switch
    {
        ClassicGroupState.Empty => true,
        ClassicGroupState.PreparingRebalance =>
            group.Member(memberId)?.AwaitingJoin is not null || group.AwaitingJoinCount < context.Config.GroupMaxSize,
        _ => group.HasMember(memberId) || group.Members.Count < context.Config.GroupMaxSize,
    };

    private readonly record struct Joining(JoinGroupCommand Command, ClassicProtocol[] Protocols, AwaitingReply<JoinGroupResponse> Awaiting)
    {
        // Version 0 has no rebalance timeout and uses the session timeout for both.
        public int RebalanceTimeoutMs =>
            Command.Origin.ApiVersion == 0 ? Command.Request.SessionTimeoutMs : Command.Request.RebalanceTimeoutMs;
    }
}
