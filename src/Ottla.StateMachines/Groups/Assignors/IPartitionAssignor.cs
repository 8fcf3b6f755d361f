using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>A member as an assignor sees it.</summary>
/// <param name="MemberId">Its id.</param>
/// <param name="InstanceId">The instance id of a static member; null for a dynamic one.</param>
/// <param name="RackId">Its rack; null when it has none.</param>
/// <param name="SubscribedTopicIds">The topics it wants; all of them exist.</param>
/// <param name="Target">What the last assignment gave it.</param>
public sealed record AssignorMember(
    string MemberId,
    string? InstanceId,
    string? RackId,
    ImmutableSortedSet<Uuid> SubscribedTopicIds,
    ImmutableSortedSet<TopicIdPartition> Target);

/// <summary>What has to be assigned to whom.</summary>
/// <param name="Members">The members, ordered by id: an assignment depends on nothing that a replay would do differently.</param>
/// <param name="IsHomogeneous">Whether all want the same topics.</param>
/// <param name="PartitionCount">How many partitions a topic has.</param>
public sealed record AssignmentProblem(IReadOnlyList<AssignorMember> Members, bool IsHomogeneous, Func<Uuid, int> PartitionCount);

/// <summary>Distributes the partitions of topics over the members of a group. Pure and without state.</summary>
public interface IPartitionAssignor
{
    /// <summary>The name that members ask for it by (<c>group.remote.assignor</c>).</summary>
    string Name { get; }

    /// <summary>Gives every partition of a subscribed topic to one of its subscribers.</summary>
    /// <returns>The partitions of each member, in the order of the problem's members.</returns>
    ImmutableSortedSet<TopicIdPartition>[] Assign(AssignmentProblem problem);
}
