using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>DeleteAcls (key 31), versions 1 to 3: deletes the access control entries that filters match.</summary>
/// <remarks>Errors per filter: SECURITY_DISABLED, always: this broker has no authorizer.</remarks>
internal sealed class DeleteAclsHandler : RefusingHandler<DeleteAclsRequest, DeleteAclsResponse>
{
    protected override ApiError Refuse(RequestContext context) =>
        new(ErrorCode.SecurityDisabled, "No Authorizer is configured.");
}
