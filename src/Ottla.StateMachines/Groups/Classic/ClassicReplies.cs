using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>The responses to JoinGroup and SyncGroup in all versions.</summary>
internal static class ClassicReplies
{
    // Before this version the response cannot be null here.
    private const short NullableProtocolNameVersion = 7;

    /// <summary>Answers a failed join.</summary>
    public static void JoinFailed(
        CoordinatorEffects effects, AwaitingReply<JoinGroupResponse> to, ErrorCode error, string memberId = "") =>
        effects.Reply(to.ReplyTo, new JoinGroupResponse { ErrorCode = (short)error, MemberId = memberId });

    /// <summary>Answers a join with the current generation.</summary>
    /// <param name="effects">Receives the answer.</param>
    /// <param name="to">The request to answer.</param>
    /// <param name="group">The group.</param>
    /// <param name="memberId">The member.</param>
    /// <param name="leaderId">The leader to name.</param>
    /// <param name="sendMembers">Whether to include the members, which a leader needs.</param>
    /// <param name="skipAssignment">Whether the leader need not assign (KIP-814).</param>
    public static void Joined(
        CoordinatorEffects effects, AwaitingReply<JoinGroupResponse> to, ClassicGroup group, string memberId, string leaderId,
        bool sendMembers, bool skipAssignment = false) =>
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

    /// <summary>Answers a join with the current generation, and with the members if it is the leader's.</summary>
    public static void Joined(CoordinatorEffects effects, AwaitingReply<JoinGroupResponse> to, ClassicGroup group, string memberId) =>
        Joined(effects, to, group, memberId, group.LeaderId ?? "", sendMembers: group.LeaderId == memberId);

    /// <summary>Answers a failed sync.</summary>
    public static void SyncFailed(CoordinatorEffects effects, AwaitingReply<SyncGroupResponse> to, ErrorCode error) =>
        effects.Reply(to.ReplyTo, new SyncGroupResponse { ErrorCode = (short)error });

    /// <summary>Answers a sync with the member's assignment.</summary>
    public static void Synced(CoordinatorEffects effects, AwaitingReply<SyncGroupResponse> to, ClassicGroup group, byte[] assignment) =>
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
