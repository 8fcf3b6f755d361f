using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>DescribeAcls (key 29), versions 1 to 3: the access control entries that a filter matches.</summary>
/// <remarks>Errors: SECURITY_DISABLED, always: this broker has no authorizer.</remarks>
internal sealed class DescribeAclsHandler : IApiHandler<DescribeAclsRequest, DescribeAclsResponse>
{
    public ValueTask<DescribeAclsResponse?> HandleAsync(RequestContext context, DescribeAclsRequest request) =>
        ValueTask.FromResult<DescribeAclsResponse?>(new DescribeAclsResponse
        {
            ErrorCode = (short)ErrorCode.SecurityDisabled,
            ErrorMessage = "No Authorizer is configured on the broker",
        });
}
