using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Unserved;

/// <summary>
/// Keeps the streams groups of the log, which this version does not serve, so that no group of another type takes their ids.
/// </summary>
/// <remarks>Part of a <see cref="GroupMachine"/>; lives as long.</remarks>
internal sealed class UnservedDecisions(GroupContext context)
{
    /// <summary>When the end of a session is repeated after its records could not be written.</summary>
    private const int DeadlineRetryMs = 500;

    /// <summary>Applies a record of such a group.</summary>
    public void Apply(in CoordinatorRecord record)
    {
        var groupId = OwnerOf(record.Key);
        var group = context.Find<UnservedGroup>(groupId);
        if (group is null)
        {
            if (record.Value is null)
                return;

            // A group that exists only for offsets is replaced.
            group = new StreamsGroup(groupId);
            context.Put(group);
        }

        if (!group.Apply(record))
            context.Remove(groupId);
    }

    /// <summary>Starts the sessions of all members, although none of them can send heartbeats.</summary>
    public void OnLoaded(Instant now)
    {
        foreach (var group in context.Groups.OfType<UnservedGroup>())
        {
            var timeoutMs = context.Config.Get($"group.{group.TypeName}.session.timeout.ms").AsInt;
            foreach (var memberId in group.MemberIds)
                context.Deadlines.Schedule(DeadlinePurpose.UnservedSession, group.GroupId, memberId, now.AddMilliseconds(timeoutMs));
        }
    }

    /// <summary>Handles the end of a member's session.</summary>
    public void OnDeadline(GroupDeadline due, CoordinatorEffects effects)
    {
        if (context.Find<UnservedGroup>(due.GroupId) is not { } group || !group.HasMember(due.MemberId))
            return;
        group.RemoveMember(due.MemberId, effects);
        effects.WhenRefused((refusedAt, _) =>
            context.Deadlines.Schedule(due.Purpose, due.GroupId, due.MemberId, refusedAt.AddMilliseconds(DeadlineRetryMs)));
    }

    private static string OwnerOf(IRecordMessage recordKey) => recordKey switch
    {
        StreamsGroupMetadataKey key => key.GroupId,
        StreamsGroupMemberMetadataKey key => key.GroupId,
        StreamsGroupTargetAssignmentMetadataKey key => key.GroupId,
        StreamsGroupTargetAssignmentMemberKey key => key.GroupId,
        StreamsGroupCurrentMemberAssignmentKey key => key.GroupId,
        StreamsGroupTopologyKey key => key.GroupId,
        _ => throw new InvariantViolationException($"a record of type {recordKey.RecordKey} is not of a streams group"),
    };
}
