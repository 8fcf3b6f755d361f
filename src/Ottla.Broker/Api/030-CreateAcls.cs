using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>CreateAcls (key 30), versions 1 to 3: adds access control entries.</summary>
/// <remarks>Errors per entry: SECURITY_DISABLED, always: this broker has no authorizer.</remarks>
internal sealed class CreateAclsHandler : IApiHandler<CreateAclsRequest, CreateAclsResponse>
{
    public ValueTask<CreateAclsResponse?> HandleAsync(RequestContext context, CreateAclsRequest request) =>
        ValueTask.FromResult<CreateAclsResponse?>(new CreateAclsResponse
        {
            Results =
            [
                .. request.Creations.Select(_ => new CreateAclsResponse.AclCreationResult
                {
                    ErrorCode = (short)ErrorCode.SecurityDisabled,
                    ErrorMessage = "No Authorizer is configured.",
                }),
            ],
        });
}
