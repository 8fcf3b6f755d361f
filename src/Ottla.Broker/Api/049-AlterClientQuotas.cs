using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>AlterClientQuotas (key 49), versions 0 and 1: sets and removes client quotas (KIP-546).</summary>
/// <remarks>
/// Errors per entry: UNSUPPORTED_VERSION, always: this version enforces no quotas, and so stores none. It offers the API all the same,
/// because clients guess the version of a broker from its APIs.
/// </remarks>
internal sealed class AlterClientQuotasHandler : RefusingHandler<AlterClientQuotasRequest, AlterClientQuotasResponse>
{
    protected override ApiError Refuse(RequestContext context) =>
        new(ErrorCode.UnsupportedVersion, "This broker does not enforce client quotas.");
}
