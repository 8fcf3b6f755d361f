using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>A member of a group, as input of an assignor.</summary>
/// <param name="MemberId">Its id.</param>
/// <param name="InstanceId">The instance id of a static member; null for a dynamic one.</param>
/// <param name="RackId">Its rack; null when it has none.</param>
/// <param name="SubscribedTopicIds">The topics that it subscribes to and that exist.</param>
/// <param name="Target">The partitions that the previous assignment gave it.</param>
public sealed record AssignorMember(
    string MemberId,
    string? InstanceId,
    string? RackId,
    ImmutableSortedSet<Uuid> SubscribedTopicIds,
    ImmutableSortedSet<TopicIdPartition> Target);

/// <summary>The input of an assignment.</summary>
/// <param name="Members">The members, ordered by id, so that a replay gives the same assignment.</param>
/// <param name="IsHomogeneous">Whether all members subscribe to the same topics.</param>
/// <param name="PartitionCount">Returns the number of partitions of a topic.</param>
public sealed record AssignmentProblem(IReadOnlyList<AssignorMember> Members, bool IsHomogeneous, Func<Uuid, int> PartitionCount);

/// <summary>Distributes the partitions of topics over the members of a group. Pure and stateless.</summary>
public interface IPartitionAssignor
{
    /// <summary>The name by which members choose the assignor (<c>group.remote.assignor</c>).</summary>
    string Name { get; }

    /// <summary>Assigns every partition of a subscribed topic to one of its subscribers.</summary>
    /// <returns>The partitions of each member, in the order of the problem's members.</returns>
    ImmutableSortedSet<TopicIdPartition>[] Assign(AssignmentProblem problem);
}
