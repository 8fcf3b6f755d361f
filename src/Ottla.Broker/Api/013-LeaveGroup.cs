using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Groups;
using Member = Ottla.Protocol.Messages.LeaveGroupRequest.MemberIdentity;
using MemberResponse = Ottla.Protocol.Messages.LeaveGroupResponse.MemberResponse;

namespace Ottla.Broker.Api;

/// <summary>LeaveGroup (key 13), versions 0 to 5: members leave, by their own will or an operator's.</summary>
/// <remarks>
/// Version 3 names many members, also by their instance ids. Errors: INVALID_GROUP_ID, and those of <see cref="CoordinatorHost{TCommand}"/>; of each member (before
/// version 3 of the request): UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
/// </remarks>
internal sealed class LeaveGroupHandler(CoordinatorHost<GroupCommand> groups) : IApiHandler<LeaveGroupRequest, LeaveGroupResponse>
{
    private const short FirstVersionWithMembers = 3;

    public async ValueTask<LeaveGroupResponse?> HandleAsync(RequestContext context, LeaveGroupRequest request)
    {
        if (context.ApiVersion < FirstVersionWithMembers)
            request.Members = [new Member { MemberId = request.MemberId }];
        LeaveGroupResponse response;
        try
        {
            response = await groups.SubmitAsync<LeaveGroupResponse>(request.GroupId, new LeaveGroupCommand(GroupRequests.OriginOf(context), request));
        }
        catch (ApiException e)
        {
            response = Failed(request, e.Error.Code);
        }

        if (context.ApiVersion >= FirstVersionWithMembers)
            return response;
        return new LeaveGroupResponse { ErrorCode = response.ErrorCode != (short)ErrorCode.None ? response.ErrorCode : response.Members[0].ErrorCode };
    }

    /// <summary>A group that does not exist knows none of the members.</summary>
    private static LeaveGroupResponse Failed(LeaveGroupRequest request, ErrorCode error) => error != ErrorCode.UnknownMemberId
        ? new LeaveGroupResponse { ErrorCode = (short)error }
        : new LeaveGroupResponse
        {
            Members = [.. request.Members.Select(member => new MemberResponse { MemberId = member.MemberId, GroupInstanceId = member.GroupInstanceId, ErrorCode = (short)error })],
        };
}
