using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>Moves a classic group from one generation to the next, and handles its deadlines.</summary>
/// <remarks>Part of <see cref="ClassicDecisions"/>; lives as long. Stateless: the groups have the state.</remarks>
internal sealed class ClassicRebalance(GroupContext context)
{
    /// <summary>
    /// How long a client may wait for the answer to its first join, in milliseconds. It cannot send heartbeats, so it may be gone.
    /// </summary>
    public const int NewMemberJoinTimeoutMs = 5 * 60 * 1000;

    private GroupDeadlines Deadlines => context.Deadlines;

    /// <summary>Starts a rebalance, unless one is under way.</summary>
    public void PrepareOrTryComplete(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        if (group.State == ClassicGroupState.PreparingRebalance)
            TryCompleteJoin(group, now, effects);
        else
            Prepare(group, now, effects);
    }

    /// <summary>Starts a rebalance.</summary>
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

    /// <summary>
    /// Starts the next generation if all expected members have joined. The initial rebalance waits for more members, unless all have left.
    /// </summary>
    public void TryCompleteJoin(ClassicGroup group, Instant now, CoordinatorEffects effects)
    {
        if (group is { State: ClassicGroupState.PreparingRebalance, HaveAllJoined: true }
            && (!group.IsInitialRebalance || group.Members.Count == 0))
            CompleteJoin(group, now, effects);
    }

    /// <summary>Removes members or expected ids, and continues without them.</summary>
    public void RemoveAll(ClassicGroup group, IReadOnlyCollection<string> memberIds, Instant now, CoordinatorEffects effects)
    {
        // An id that was never used to join is in no generation, so no rebalance is needed without it.
        var wereMembers = memberIds.Any(group.HasMember);
        foreach (var memberId in memberIds)
            Remove(group, memberId, effects);
        if (wereMembers && group.State is (ClassicGroupState.Stable or ClassicGroupState.CompletingRebalance))
            Prepare(group, now, effects);
        else
            TryCompleteJoin(group, now, effects);
    }

    /// <summary>Removes a member or an expected id.</summary>
    public void Remove(ClassicGroup group, string memberId, CoordinatorEffects effects)
    {
        if (group.Member(memberId) is { } member)
            AnswerAwaiting(group, member, ErrorCode.UnknownMemberId, memberId: "", effects);
        group.Remove(memberId);
        Deadlines.Cancel(DeadlinePurpose.ClassicSession, group.GroupId, memberId);
    }

    /// <summary>Answers the open requests of a member with an error.</summary>
    public static void AnswerAwaiting(
        ClassicGroup group, ClassicGroupMember member, ErrorCode error, string memberId, CoordinatorEffects effects)
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

    /// <summary>Restarts a member's session.</summary>
    public void ScheduleSession(ClassicGroup group, ClassicGroupMember member, Instant now) =>
        ScheduleSession(group, member.MemberId, member.SessionTimeoutMs, now);

    /// <summary>Sets the session deadline of a member or an expected id.</summary>
    public void ScheduleSession(ClassicGroup group, string memberId, int timeoutMs, Instant now) =>
        Deadlines.Schedule(DeadlinePurpose.ClassicSession, group.GroupId, memberId, now.AddMilliseconds(timeoutMs));

    /// <summary>Cancels the deadlines of a group that was deleted or converted.</summary>
    public void CancelDeadlines(ClassicGroup group)
    {
        Deadlines.Cancel(DeadlinePurpose.ClassicJoin, group.GroupId);
        Deadlines.Cancel(DeadlinePurpose.ClassicSync, group.GroupId);
        foreach (var memberId in group.Members.Select(member => member.MemberId).Concat(group.PendingJoins))
            Deadlines.Cancel(DeadlinePurpose.ClassicSession, group.GroupId, memberId);
    }

    /// <summary>Handles a deadline.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
        // The group may have been deleted or converted to a consumer group.
        if (context.Find<ClassicGroup>(due.GroupId) is not { } group)
            return;
        switch (due.Purpose)
        {
            case DeadlinePurpose.ClassicJoin: OnJoinDeadline(group, now, effects); break;
            case DeadlinePurpose.ClassicSync: OnSyncDeadline(group, now, effects); break;
            case DeadlinePurpose.ClassicSession: OnSessionDeadline(group, due.MemberId, now, effects); break;
            default: throw new InvariantViolationException($"classic groups have no deadline for {due.Purpose}");
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

        // Only static members are left. They may come back; their sessions decide.
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
