using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;

namespace Ottla.Broker.Api;

/// <summary>DescribeAcls (key 29), versions 1 to 3: the access control entries that a filter matches.</summary>
/// <remarks>
/// The entries are those by which this node authorizes requests. A code of 0 in the filter ends the connection. Errors: SECURITY_DISABLED
/// without an authorizer.
/// </remarks>
internal sealed class DescribeAclsHandler(Authorizer authorizer) : IApiHandler<DescribeAclsRequest, DescribeAclsResponse>
{
    public ValueTask<DescribeAclsResponse?> HandleAsync(RequestContext context, DescribeAclsRequest request)
    {
        if (AclRequests.EndsIfUnknown(
            context, request.ResourceTypeFilter, request.PatternTypeFilter, request.Operation, request.PermissionType))
            return default;
        if (!authorizer.IsEnabled)
            throw new ApiException(ErrorCode.SecurityDisabled, "No Authorizer is configured on the broker");
        var filter = new AclFilter(
            request.ResourceTypeFilter, request.ResourceNameFilter, request.PatternTypeFilter, request.PrincipalFilter, request.HostFilter,
            request.Operation, request.PermissionType);
        var response = new DescribeAclsResponse
        {
            ErrorMessage = "",
            Resources =
            [
                .. authorizer.Entries.ById.Values.Where(entry => filter.Matches(entry))
                    .GroupBy(entry => (entry.ResourceType, entry.ResourceName, entry.PatternType))
                    .Select(resource => new DescribeAclsResponse.DescribeAclsResource
                    {
                        ResourceType = resource.Key.ResourceType,
                        ResourceName = resource.Key.ResourceName,
                        PatternType = resource.Key.PatternType,
                        Acls =
                        [
                            .. resource.Select(AclBinding.Of).Distinct().Select(entry => new DescribeAclsResponse.AclDescription
                            {
                                Principal = entry.Principal,
                                Host = entry.Host,
                                Operation = entry.Operation,
                                PermissionType = entry.PermissionType,
                            }),
                        ],
                    }),
            ],
        };
        return ValueTask.FromResult<DescribeAclsResponse?>(response);
    }
}
