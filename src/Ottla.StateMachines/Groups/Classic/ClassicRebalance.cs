using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>How a classic group comes from one generation to the next, and what its timers do.</summary>
/// <remarks>Part of <see cref="ClassicDecisions"/>; lives as long. It has no state: that is the groups'.</remarks>
internal sealed class ClassicRebalance(GroupContext context)
{
    /// <summary>How long a client may wait for the answer to its first join, in milliseconds: it may be gone, and cannot send heartbeats.</summary>
    public const int NewMemberJoinTimeoutMs = 5 * 60 * 1000;

    private GroupDeadlines Deadlines => context.Deadlines;

    /// <summary>Has the members join anew, if they are not about to already.</summary>
    public void PrepareOrTryComplete(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        if (group.State == ClassicGroupState.PreparingRebalance)
            TryCompleteJoin(group, now, effects);
        else
            Prepare(group, now, effects);
    }

    /// <summary>Has the members join anew.</summary>
    public void Prepare(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        if (group.State == ClassicGroupState.CompletingRebalance)
            InterruptSyncs(group, now, effects);
        Deadlines.Cancel(DeadlinePurpose.ClassicSync, group.GroupId);
        group.PrepareRebalance(now);
        if (group.IsInitialRebalance)
        {
            var delayMs = context.Config.GroupInitialRebalanceDelayMs;
            group.InitialRebalanceLeftMs = Math.Max(group.RebalanceTimeoutMs - delayMs, 0);
            ScheduleJoin(group, delayMs, now);
        }
        else if (group.HaveAllJoined)
        {
            CompleteJoin(group, now, effects);
        }
        else
        {
            ScheduleJoin(group, group.RebalanceTimeoutMs, now);
        }
    }

    /// <summary>Begins the next generation if all have joined that are expected. The initial rebalance waits for more, unless all have gone.</summary>
    public void TryCompleteJoin(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        if (group is { State: ClassicGroupState.PreparingRebalance, HaveAllJoined: true } && (!group.IsInitialRebalance || group.Members.Count == 0))
            CompleteJoin(group, now, effects);
    }

    /// <summary>Removes members, or ids that were expected, and has the others go on without them.</summary>
    public void RemoveAll(ClassicGroup group, IReadOnlyCollection<string> memberIds, Instant now, CoordinatorEffects effects)
    {
        // An id that nobody came back with was never part of a generation: there is nothing to do anew without it.
        var wereMembers = memberIds.Any(group.HasMember);
        foreach (var memberId in memberIds)
            Remove(group, memberId, effects);
        if (wereMembers && group.State is (ClassicGroupState.Stable or ClassicGroupState.CompletingRebalance))
            Prepare(group, now, effects);
        else
            TryCompleteJoin(group, now, effects);
    }

    /// <summary>Removes a member, or an id that was expected.</summary>
    public void Remove(ClassicGroup group, string memberId, CoordinatorEffects effects)
    {
        if (group.Member(memberId) is { } member)
            AnswerAwaiting(group, member, ErrorCode.UnknownMemberId, memberId: "", effects);
        group.Remove(memberId);
        Deadlines.Cancel(DeadlinePurpose.ClassicSession, group.GroupId, memberId);
    }

    /// <summary>Answers what a member waits for, for good.</summary>
    public static void AnswerAwaiting(ClassicGroup group, ClassicGroupMember member, ErrorCode error, string memberId, CoordinatorEffects effects)
    {
        if (member.AwaitingJoin is { } join)
        {
            group.SetAwaitingJoin(member, null);
            ClassicReplies.JoinFailed(effects, join, error, memberId);
        }

        if (member.AwaitingSync is { } sync)
        {
            member.AwaitingSync = null;
            ClassicReplies.SyncFailed(effects, sync, error);
        }
    }

    /// <summary>Begins a member's session anew.</summary>
    public void ScheduleSession(ClassicGroup group, ClassicGroupMember member, Instant now) =>
        ScheduleSession(group, member.MemberId, member.SessionTimeoutMs, now);

    /// <summary>Gives a member, or an id that is expected, some time.</summary>
    public void ScheduleSession(ClassicGroup group, string memberId, int timeoutMs, Instant now) =>
        Deadlines.Schedule(DeadlinePurpose.ClassicSession, group.GroupId, memberId, now.AddMilliseconds(timeoutMs));

    /// <summary>Forgets the deadlines of a group that is no more, or is of another kind now.</summary>
    public void CancelDeadlines(ClassicGroup group)
    {
        Deadlines.Cancel(DeadlinePurpose.ClassicJoin, group.GroupId);
        Deadlines.Cancel(DeadlinePurpose.ClassicSync, group.GroupId);
        foreach (var memberId in group.Members.Select(member => member.MemberId).Concat(group.PendingJoins))
            Deadlines.Cancel(DeadlinePurpose.ClassicSession, group.GroupId, memberId);
    }

    /// <summary>Does what is due.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
        // The group may be gone, or be a consumer group by now.
        if (context.Find<ClassicGroup>(due.GroupId) is not { } group)
            return;
        switch (due.Purpose)
        {
            case DeadlinePurpose.ClassicJoin: OnJoinDeadline(group, now, effects); break;
            case DeadlinePurpose.ClassicSync: OnSyncDeadline(group, now, effects); break;
            case DeadlinePurpose.ClassicSession: OnSessionDeadline(group, due.MemberId, now, effects); break;
            default: throw new InvariantViolationException($"classic groups have no deadline {due.Purpose}");
        }
    }

    private void OnJoinDeadline(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        if (group.State != ClassicGroupState.PreparingRebalance)
            return;
        if (group.IsInitialRebalance && group.HasNewMembers && group.InitialRebalanceLeftMs > 0)
        {
            group.HasNewMembers = false;
            var delayMs = Math.Min(context.Config.GroupInitialRebalanceDelayMs, group.InitialRebalanceLeftMs);
            group.InitialRebalanceLeftMs -= delayMs;
            ScheduleJoin(group, delayMs, now);
            return;
        }

        CompleteJoin(group, now, effects);
    }

    private void OnSyncDeadline(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        if (group.State is not (ClassicGroupState.CompletingRebalance or ClassicGroupState.Stable) || group.PendingSyncs.Count == 0)
            return;
        RemoveAll(group, [.. group.PendingSyncs], now, effects);
    }

    private void OnSessionDeadline(ClassicGroup group, string memberId, Instant now, CoordinatorEffects effects)
    {
        if (group.Member(memberId) is { } member ? !member.IsExcusedFromHeartbeats : group.IsPendingJoin(memberId))
            RemoveAll(group, [memberId], now, effects);
    }

    private void ScheduleJoin(ClassicGroup group, int delayMs, Instant now) =>
        Deadlines.Schedule(DeadlinePurpose.ClassicJoin, group.GroupId, "", now.AddMilliseconds(delayMs));

    private void CompleteJoin(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        Deadlines.Cancel(DeadlinePurpose.ClassicJoin, group.GroupId);
        foreach (var late in group.Members.Where(member => member.AwaitingJoin is null && !member.IsStatic).ToArray())
            Remove(group, late.MemberId, effects);

        // None but static members, and they may come back: their sessions tell.
        if (!group.TryElectJoinedLeader() && group.Members.Count > 0)
        {
            ScheduleJoin(group, group.RebalanceTimeoutMs, now);
            return;
        }

        group.BeginGeneration(now);
        if (group.IsEmpty)
        {
            effects.Write(group.ToRecord());
            return;
        }

        foreach (var member in group.Members)
        {
            if (member.AwaitingJoin is { } join)
            {
                group.SetAwaitingJoin(member, null);
                ClassicReplies.Joined(effects, join, group, member.MemberId);
            }

            ScheduleSession(group, member, now);
            member.IsNew = false;
        }

        Deadlines.Schedule(DeadlinePurpose.ClassicSync, group.GroupId, "", now.AddMilliseconds(group.RebalanceTimeoutMs));
    }

    private void InterruptSyncs(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        foreach (var member in group.Members.Where(member => member.AwaitingSync is not null))
        {
            AnswerAwaiting(group, member, ErrorCode.RebalanceInProgress, member.MemberId, effects);
            ScheduleSession(group, member, now);
        }
    }
}
