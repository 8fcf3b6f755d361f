using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>A member that may take part, as it was before what it now asks for.</summary>
/// <param name="Member">The member; not in the group yet if it is new or takes the place of another.</param>
/// <param name="ReplacedMemberId">The static member whose place it takes; null for none.</param>
public readonly record struct AdmittedMember(ConsumerGroupMember Member, string? ReplacedMemberId);

/// <summary>Decides who may take part in a consumer group as which member.</summary>
public static class MemberAdmission
{
    /// <summary>Refuses a member for whom there is no room. A static member takes the place that it had.</summary>
    /// <exception cref="ApiException">GROUP_MAX_SIZE_REACHED.</exception>
    public static void RefuseIfFull(ConsumerGroup group, string memberId, string? instanceId, int sizeMax)
    {
        if (group.FindStatic(instanceId) is null && group.Members.Count >= sizeMax && !group.HasMember(memberId))
            throw new ApiException(ErrorCode.GroupMaxSizeReached, $"The consumer group has reached its maximum capacity of {sizeMax} members.");
    }

    /// <summary>The member that a heartbeat comes from.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID.</exception>
    public static AdmittedMember Admit(
        ConsumerGroup group, string memberId, string? instanceId, int memberEpoch, IReadOnlySet<TopicIdPartition>? owned, CoordinatorEffects effects)
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

    /// <summary>The static member with an instance id, which must be the one with the member id.</summary>
    /// <exception cref="ApiException">UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.</exception>
    public static ConsumerGroupMember GetStatic(ConsumerGroup group, string memberId, string instanceId)
    {
        var member = group.FindStatic(instanceId) ?? throw new ApiException(ErrorCode.UnknownMemberId, $"Instance id {instanceId} is unknown.");
        return member.MemberId == memberId
            ? member
            : throw new ApiException(
                ErrorCode.FencedInstanceId, $"Static member {memberId} with instance id {instanceId} was fenced by member {member.MemberId}.");
    }

    /// <summary>Puts a member in the place of a static one, with all that it had; writes the records.</summary>
    /// <exception cref="ApiException">UNRELEASED_INSTANCE_ID: both speak the consumer protocol, and the existing one has not left.</exception>
    public static AdmittedMember Replace(
        ConsumerGroup group, ConsumerGroupMember existing, string memberId, bool usesClassicProtocol, CoordinatorEffects effects)
    {
        if (!usesClassicProtocol && existing.Classic is null && existing.MemberEpoch != MemberEpochs.StaticLeave)
        {
            throw new ApiException(
                ErrorCode.UnreleasedInstanceId,
                $"Static member {memberId} with instance id {existing.InstanceId} cannot join the group because the instance id is owned by {existing.MemberId} member.");
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

        // The answer with the newer epoch may have been lost: the member goes on if it has nothing that it should not have.
        if (received == member.PreviousMemberEpoch && received < member.MemberEpoch && owned is not null && owned.All(member.AssignedPartitions.ContainsKey))
            return;
        throw new ApiException(
            ErrorCode.FencedMemberEpoch,
            $"The consumer group member has a {(received > member.MemberEpoch ? "greater" : "smaller")} member epoch ({received}) than the one known by the "
            + $"group coordinator ({member.MemberEpoch}). The member must abandon all its partitions and rejoin.");
    }
}
