using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>CreateAcls (key 30), versions 1 to 3: adds access control entries.</summary>
/// <remarks>Errors per entry: SECURITY_DISABLED, always: this broker has no authorizer.</remarks>
internal sealed class CreateAclsHandler : RefusingHandler<CreateAclsRequest, CreateAclsResponse>
{
    protected override ApiError Refuse(RequestContext context) =>
        new(ErrorCode.SecurityDisabled, "No Authorizer is configured.");
}
