using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>DescribeAcls (key 29), versions 1 to 3: the access control entries that a filter matches.</summary>
/// <remarks>Errors: SECURITY_DISABLED, always: this broker has no authorizer.</remarks>
internal sealed class DescribeAclsHandler : RefusingHandler<DescribeAclsRequest, DescribeAclsResponse>
{
    protected override ApiError Refuse(RequestContext context) =>
        new(ErrorCode.SecurityDisabled, "No Authorizer is configured on the broker");
}
