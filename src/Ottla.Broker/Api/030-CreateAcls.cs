using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>CreateAcls (key 30), versions 1 to 3: creates access control entries. The controller decides.</summary>
/// <remarks>
/// An entry that exists already is no error. A code of 0 ends the client's connection; a code that only filters have fails all entries with
/// UNKNOWN_SERVER_ERROR, as in Kafka. Errors per entry: INVALID_REQUEST, UNSUPPORTED_VERSION (a network as host, before metadata.version
/// 4.4-IV1); for all of them: SECURITY_DISABLED without an authorizer, POLICY_VIOLATION (too many), NOT_CONTROLLER.
/// </remarks>
internal sealed class CreateAclsHandler(IController controller, Authorizer authorizer) : IApiHandler<CreateAclsRequest, CreateAclsResponse>
{
    public async ValueTask<CreateAclsResponse?> HandleAsync(RequestContext context, CreateAclsRequest request)
    {
        foreach (var entry in request.Creations)
        {
            if (AclRequests.EndsIfUnknown(context, entry.ResourceType, entry.ResourcePatternType, entry.Operation, entry.PermissionType))
                return null;
        }

        if (!authorizer.IsEnabled)
            throw AclRequests.Disabled();
        List<AclBinding> bindings =
        [
            .. request.Creations.Select(entry => new AclBinding(
                entry.ResourceType, entry.ResourceName, entry.ResourcePatternType, entry.Principal, entry.Host, entry.Operation,
                entry.PermissionType)),
        ];
        var errors = bindings.Exists(AclRequests.IsForFilters)
            ? [.. bindings.Select(_ => new ApiError(ErrorCode.UnknownServerError))]
            : await controller.SubmitAsync(new CreateAclsCommand(bindings));
        return new CreateAclsResponse
        {
            Results =
            [
                .. errors.Select(error => new CreateAclsResponse.AclCreationResult
                {
                    ErrorCode = (short)error.Code,
                    ErrorMessage = error.IsFailure ? error.Message : "",
                }),
            ],
        };
    }
}
