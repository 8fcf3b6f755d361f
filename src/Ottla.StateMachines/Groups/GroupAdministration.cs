using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Offsets;

namespace Ottla.StateMachines.Groups;

/// <summary>Lists and deletes groups of all kinds.</summary>
/// <remarks>Part of a <see cref="GroupMachine"/>; lives as long.</remarks>
internal sealed class GroupAdministration(GroupContext context, OffsetDecisions offsets)
{
    /// <summary>ListGroups. Like Kafka it compares states and types without regard to case; an unknown type matches no group.</summary>
    public void List(
        ListGroupsCommand command, ReplyTo<IReadOnlyList<ListGroupsResponse.ListedGroup>> replyTo, CoordinatorEffects effects) =>
        effects.Reply(replyTo, context.Groups
            .Where(group => Passes(command.StatesFilter, group.StateName) && Passes(command.TypesFilter, group.TypeName))
            .Select(group => new ListGroupsResponse.ListedGroup
            {
                GroupId = group.GroupId,
                ProtocolType = group.ProtocolType,
                GroupState = group.StateName,
                GroupType = group.TypeName,
            })
            .ToList());

    /// <summary>Counts the members of each group, for the metrics.</summary>
    public void CountMembers(ReplyTo<IReadOnlyList<(string GroupId, int Members)>> replyTo, CoordinatorEffects effects) =>
        effects.Reply(replyTo, context.Groups.Select(group => (group.GroupId, group.MemberCount)).ToList());

    /// <summary>DeleteGroups: deletes a group without members, and its offsets.</summary>
    /// <remarks>GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.</remarks>
    public void Delete(DeleteGroupCommand command, ReplyTo<DeleteGroupsResponse.DeletableGroupResult> replyTo, CoordinatorEffects effects)
    {
        var group = context.Find(command.GroupId)
            ?? throw new ApiException(ErrorCode.GroupIdNotFound, $"Group {command.GroupId} not found.");
        group.ValidateDelete();
        offsets.WriteTombstones(group.GroupId, effects);
        group.WriteTombstones(effects);
        effects.Reply(replyTo, new DeleteGroupsResponse.DeletableGroupResult { GroupId = group.GroupId });
    }

    private static bool Passes(IReadOnlyList<string> filter, string value) =>
        filter.Count == 0 || filter.Contains(value, StringComparer.OrdinalIgnoreCase);
}
