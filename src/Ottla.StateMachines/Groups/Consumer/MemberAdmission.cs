using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>A member that was admitted, in its state before the request.</summary>
/// <param name="Member">The member. It is not in the group yet if it is new or replaces another.</param>
/// <param name="ReplacedMemberId">The static member that it replaces; null for none.</param>
public readonly record struct AdmittedMember(ConsumerGroupMember Member, string? ReplacedMemberId);

/// <summary>Decides whether a client may act as a member of a consumer group, and as which one.</summary>
public static class MemberAdmission
{
    /// <summary>Rejects a new member when the group is full. A static member may take its old place.</summary>
    /// <exception cref="ApiException">GROUP_MAX_SIZE_REACHED.</exception>
    public static void RefuseIfFull(ConsumerGroup group, string memberId, string? instanceId, int sizeMax)
    {
        if (group.FindStatic(instanceId) is null && group.Members.Count >= sizeMax && !group.HasMember(memberId))
            throw new ApiException(
                ErrorCode.GroupMaxSizeReached, $"The consumer group has reached its maximum capacity of {sizeMax} members.");
    }

    /// <summary>Finds or makes the member that sent a heartbeat.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID.</exception>
    public static AdmittedMember Admit(
        ConsumerGroup group, string memberId, string? instanceId, int memberEpoch,
            IReadOnlySet<TopicIdPartition>? owned, CoordinatorEffects effects)
    {
        if (memberEpoch != MemberEpochs.Join)
        {
            var member = instanceId is null ? group.Get(memberId) : GetStatic(group, memberId, instanceId);
            CheckEpoch(member, memberEpoch, owned);
            return new AdmittedMember(member, null);
        }

        if (group.FindStatic(instanceId) is { } existing)
            return Replace(group, existing, memberId, usesClassicProtocol: false, effects);
        return new AdmittedMember(group.Find(memberId) ?? new ConsumerGroupMember(memberId), null);
    }

    /// <summary>The static member with an instance id, if its member id matches.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.</exception>
    public static ConsumerGroupMember GetStatic(ConsumerGroup group, string memberId, string instanceId)
    {
        var member = group.FindStatic(instanceId)
            ?? throw new ApiException(ErrorCode.UnknownMemberId, $"Instance id {instanceId} is unknown.");
        return member.MemberId == memberId
            ? member
            : throw new ApiException(
                ErrorCode.FencedInstanceId,
                    $"Static member {memberId} with instance id {instanceId} was fenced by member {member.MemberId}.");
    }

    /// <summary>Replaces a static member. The new member takes over its state; the records are written.</summary>
    /// <exception cref="ApiException">
    /// UNRELEASED_INSTANCE_ID: both use the consumer protocol, and the existing member has not left.
    /// </exception>
    public static AdmittedMember Replace(
        ConsumerGroup group, ConsumerGroupMember existing, string memberId, bool usesClassicProtocol, CoordinatorEffects effects)
    {
        if (!usesClassicProtocol && existing.Classic is null && existing.MemberEpoch != MemberEpochs.StaticLeave)
        {
            throw new ApiException(
                ErrorCode.UnreleasedInstanceId,
                $"Static member {memberId} with instance id {existing.InstanceId} cannot join the group because the instance id is owned "
                + $"by {existing.MemberId} member.");
        }

        var member = existing with { MemberId = memberId, MemberEpoch = MemberEpochs.Join, PreviousMemberEpoch = MemberEpochs.Join };
        effects.Write(ConsumerGroupRecords.MemberTombstones(group.GroupId, existing.MemberId));
        effects.Write(ConsumerGroupRecords.Member(group.GroupId, member));
        effects.Write(ConsumerGroupRecords.Target(group.GroupId, memberId, group.TargetOf(existing.MemberId)));
        effects.Write(ConsumerGroupRecords.Assignment(group.GroupId, member));
        return new AdmittedMember(member, existing.MemberId);
    }

    private static void CheckEpoch(ConsumerGroupMember member, int received, IReadOnlySet<TopicIdPartition>? owned)
    {
        if (received == member.MemberEpoch)
            return;

        // The response with the newer epoch may have been lost. The member continues if it owns only partitions that it may own.
        if (received == member.PreviousMemberEpoch && received < member.MemberEpoch && owned is not null
            && owned.All(member.AssignedPartitions.ContainsKey))
            return;
        throw new ApiException(
            ErrorCode.FencedMemberEpoch,
            $"The consumer group member has a {(received > member.MemberEpoch ? "greater" : "smaller")} member epoch ({received}) than "
            + "the one known by the "
            + $"group coordinator ({member.MemberEpoch}). The member must abandon all its partitions and rejoin.");
    }
}
