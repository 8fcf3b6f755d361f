using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>DeleteAcls (key 31), versions 1 to 3: deletes the access control entries that filters match.</summary>
/// <remarks>Errors per filter: SECURITY_DISABLED, always: this broker has no authorizer.</remarks>
internal sealed class DeleteAclsHandler : IApiHandler<DeleteAclsRequest, DeleteAclsResponse>
{
    public ValueTask<DeleteAclsResponse?> HandleAsync(RequestContext context, DeleteAclsRequest request) =>
        ValueTask.FromResult<DeleteAclsResponse?>(new DeleteAclsResponse
        {
            FilterResults =
            [
                .. request.Filters.Select(_ => new DeleteAclsResponse.DeleteAclsFilterResult
                {
                    ErrorCode = (short)ErrorCode.SecurityDisabled,
                    ErrorMessage = "No Authorizer is configured.",
                }),
            ],
        });
}
