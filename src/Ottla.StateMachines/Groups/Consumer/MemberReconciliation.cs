using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>
/// Moves a member one step from its current assignment to its target: it gives up partitions before it gets new ones, and gets only free
/// ones.
/// </summary>
/// <param name="TargetEpoch">The epoch of the target assignment.</param>
/// <param name="Target">The target assignment of the member.</param>
/// <param name="SubscribedTopicIds">
/// The topics that it subscribes to. It gets no partitions of other topics, even if the target has them.
/// </param>
/// <param name="HasSubscriptionChanged">Whether the subscription changed with this request.</param>
/// <param name="Owned">The partitions that the member owns; null when the request does not say.</param>
/// <param name="IsOwned">Whether any member of the group owns a partition.</param>
public sealed record MemberReconciliation(
    int TargetEpoch,
    ImmutableSortedSet<TopicIdPartition> Target,
    IReadOnlySet<Uuid> SubscribedTopicIds,
    bool HasSubscriptionChanged,
    IReadOnlySet<TopicIdPartition>? Owned,
    Func<TopicIdPartition, bool> IsOwned)
{
    /// <summary>The member after the step; the same instance when nothing changes.</summary>
    /// <exception cref="ApiException">
    /// FENCED_MEMBER_EPOCH: the member's state comes from a newer version, and it still owns partitions.
    /// </exception>
    public ConsumerGroupMember Apply(ConsumerGroupMember member) => member.State switch
    {
        MemberState.Stable when member.MemberEpoch != TargetEpoch => MoveToTarget(member),
        MemberState.Stable => HasSubscriptionChanged ? DropUnsubscribed(member) : member,
        MemberState.UnrevokedPartitions when StillHasAny(member.PartitionsPendingRevocation) =>
            HasSubscriptionChanged ? DropUnsubscribed(member) : member,
        MemberState.Unknown when Owned is not { Count: 0 } => throw new ApiException(
            ErrorCode.FencedMemberEpoch,
            "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin."),
        _ => MoveToTarget(member),
    };

    private bool StillHasAny(ImmutableSortedDictionary<TopicIdPartition, int> partitions) =>
        Owned is null || Owned.Any(partitions.ContainsKey);

    /// <summary>Removes only the partitions of topics that the member no longer subscribes to.</summary>
    private ConsumerGroupMember DropUnsubscribed(ConsumerGroupMember member)
    {
        var dropped = member.AssignedPartitions.Where(entry => !SubscribedTopicIds.Contains(entry.Key.TopicId)).ToList();
        if (dropped.Count == 0)
            return member;
        var remaining = member.AssignedPartitions.RemoveRange(dropped.Select(entry => entry.Key));
        var pending = member.PartitionsPendingRevocation.SetItems(dropped);
        return StillHasAny(pending)
            ? ToRevoke(member, remaining, pending)
            : member.InEpoch(member.MemberEpoch) with { AssignedPartitions = remaining };
    }

    private ConsumerGroupMember MoveToTarget(ConsumerGroupMember member)
    {
        var target = Target.Where(partition => SubscribedTopicIds.Contains(partition.TopicId)).ToHashSet();
        var kept = ConsumerGroupMember.NoPartitions.ToBuilder();
        var revoked = ConsumerGroupMember.NoPartitions.ToBuilder();
        foreach (var (partition, epoch) in member.AssignedPartitions)
            (target.Remove(partition) ? kept : revoked).Add(partition, epoch);

        // A partition that the member itself must still give up is not free, but it belongs to no other member.
        var unreleased = target.RemoveWhere(partition => IsOwned(partition) && !member.PartitionsPendingRevocation.ContainsKey(partition));
        if (revoked.Count > 0 && StillHasAny(revoked.ToImmutable()))
            return ToRevoke(member, kept.ToImmutable(), revoked.ToImmutable());
        foreach (var partition in target)
            kept.Add(partition, TargetEpoch);
        return member.InEpoch(TargetEpoch) with
        {
            State = unreleased > 0 ? MemberState.UnreleasedPartitions : MemberState.Stable,
            AssignedPartitions = kept.ToImmutable(),
            PartitionsPendingRevocation = ConsumerGroupMember.NoPartitions,
        };
    }

    /// <summary>The member keeps its epoch until it has given up the partitions.</summary>
    private static ConsumerGroupMember ToRevoke(
        ConsumerGroupMember member,
        ImmutableSortedDictionary<TopicIdPartition, int> kept,
        ImmutableSortedDictionary<TopicIdPartition, int> pending) =>
        member.InEpoch(member.MemberEpoch) with
        {
            State = MemberState.UnrevokedPartitions,
            AssignedPartitions = kept,
            PartitionsPendingRevocation = pending,
        };
}
