using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>The answers to JoinGroup and SyncGroup, in the versions' own ways.</summary>
internal static class ClassicReplies
{
    // Before, a response has no place for "none".
    private const short NullableProtocolNameVersion = 7;

    /// <summary>A join that failed.</summary>
    public static void JoinFailed(CoordinatorEffects effects, AwaitingReply to, ErrorCode error, string memberId = "") =>
        effects.Reply(to.ReplyTo, new JoinGroupResponse { ErrorCode = (short)error, MemberId = memberId });

    /// <summary>A member that is in the group's generation.</summary>
    /// <param name="effects">Where to answer.</param>
    /// <param name="to">Whom.</param>
    /// <param name="group">The group.</param>
    /// <param name="memberId">The member.</param>
    /// <param name="leaderId">Whom to name as leader.</param>
    /// <param name="sendMembers">Whether it is told the members, as a leader must be.</param>
    /// <param name="skipAssignment">Whether there is nothing to assign (KIP-814).</param>
    public static void Joined(
        CoordinatorEffects effects, AwaitingReply to, ClassicGroup group, string memberId, string leaderId, bool sendMembers, bool skipAssignment = false) =>
        effects.Reply(to.ReplyTo, new JoinGroupResponse
        {
            GenerationId = group.GenerationId,
            ProtocolType = group.MemberProtocolType,
            ProtocolName = group.ProtocolName ?? (to.ApiVersion < NullableProtocolNameVersion ? "" : null),
            Leader = leaderId,
            SkipAssignment = skipAssignment,
            MemberId = memberId,
            Members = sendMembers ? [.. group.Members.Select(member => Describe(group, member))] : [],
        });

    /// <summary>A member of the current generation, which is told the others when it leads.</summary>
    public static void Joined(CoordinatorEffects effects, AwaitingReply to, ClassicGroup group, string memberId) =>
        Joined(effects, to, group, memberId, group.LeaderId ?? "", sendMembers: group.LeaderId == memberId);

    /// <summary>A sync that failed.</summary>
    public static void SyncFailed(CoordinatorEffects effects, AwaitingReply to, ErrorCode error) =>
        effects.Reply(to.ReplyTo, new SyncGroupResponse { ErrorCode = (short)error });

    /// <summary>A member's assignment.</summary>
    public static void Synced(CoordinatorEffects effects, AwaitingReply to, ClassicGroup group, byte[] assignment) =>
        effects.Reply(to.ReplyTo, new SyncGroupResponse
        {
            ProtocolType = group.MemberProtocolType,
            ProtocolName = group.ProtocolName,
            Assignment = assignment,
        });

    private static JoinGroupResponse.JoinGroupResponseMember Describe(ClassicGroup group, ClassicGroupMember member) => new()
    {
        MemberId = member.MemberId,
        GroupInstanceId = member.GroupInstanceId,
        Metadata = member.Metadata(group.ProtocolName!),
    };
}
