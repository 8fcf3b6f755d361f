using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>Takes a member one step from what it has to what it is to have: it gives up before it gets, and gets only what nobody has.</summary>
/// <param name="TargetEpoch">The epoch of the target assignment.</param>
/// <param name="Target">What the member is to have.</param>
/// <param name="SubscribedTopicIds">The topics that it subscribes to: of others it gets nothing, whatever the target says.</param>
/// <param name="HasSubscriptionChanged">Whether it has only now subscribed to them.</param>
/// <param name="Owned">What the member says it has; null when it does not say.</param>
/// <param name="IsOwned">Whether a member of the group has a partition.</param>
public sealed record MemberReconciliation(
    int TargetEpoch,
    ImmutableSortedSet<TopicIdPartition> Target,
    IReadOnlySet<Uuid> SubscribedTopicIds,
    bool HasSubscriptionChanged,
    IReadOnlySet<TopicIdPartition>? Owned,
    Func<TopicIdPartition, bool> IsOwned)
{
    /// <summary>The member after the step; the same one when there is none.</summary>
    /// <exception cref="ApiException">FENCED_MEMBER_EPOCH: it is in a state that this version does not know, and still has partitions.</exception>
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

    private bool StillHasAny(ImmutableSortedDictionary<TopicIdPartition, int> partitions) => Owned is null || Owned.Any(partitions.ContainsKey);

    /// <summary>Takes away only what the member no longer subscribes to.</summary>
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

        // What the member itself has yet to give up is nobody else's.
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

    /// <summary>The member stays in its epoch until it has given up partitions.</summary>
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
