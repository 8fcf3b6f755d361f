using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>DeleteAcls (key 31), versions 1 to 3: deletes the access control entries that filters match. The controller decides.</summary>
/// <remarks>
/// A code of 0 ends the client's connection. Errors per filter: INVALID_REQUEST for an unknown code; for all of them: SECURITY_DISABLED
/// without an authorizer, INVALID_REQUEST (more than 10,000 entries at once; none is deleted), NOT_CONTROLLER.
/// </remarks>
internal sealed class DeleteAclsHandler(IController controller, Authorizer authorizer) : IApiHandler<DeleteAclsRequest, DeleteAclsResponse>
{
    public async ValueTask<DeleteAclsResponse?> HandleAsync(RequestContext context, DeleteAclsRequest request)
    {
        foreach (var filter in request.Filters)
        {
            if (AclRequests.EndsIfUnknown(
                context, filter.ResourceTypeFilter, filter.PatternTypeFilter, filter.Operation, filter.PermissionType))
                return null;
        }

        if (!authorizer.IsEnabled)
            throw AclRequests.Disabled();
        var command = new DeleteAclsCommand(
        [
            .. request.Filters.Select(filter => new AclFilter(
                filter.ResourceTypeFilter, filter.ResourceNameFilter, filter.PatternTypeFilter, filter.PrincipalFilter, filter.HostFilter,
                filter.Operation, filter.PermissionType)),
        ]);
        var deletions = await controller.SubmitAsync(command);
        return new DeleteAclsResponse
        {
            FilterResults =
            [
                .. deletions.Select(deletion => new DeleteAclsResponse.DeleteAclsFilterResult
                {
                    ErrorCode = (short)deletion.Error.Code,
                    ErrorMessage = deletion.Error.Message,
                    MatchingAcls = [.. deletion.Deleted.Select(ToMatching)],
                }),
            ],
        };
    }

    private static DeleteAclsResponse.DeleteAclsMatchingAcl ToMatching(AclBinding entry) => new()
    {
        ErrorMessage = null,
        ResourceType = entry.ResourceType,
        ResourceName = entry.ResourceName,
        PatternType = entry.PatternType,
        Principal = entry.Principal,
        Host = entry.Host,
        Operation = entry.Operation,
        PermissionType = entry.PermissionType,
    };
}
