using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>SaslHandshake (key 17), versions 0 and 1: begins a login by a mechanism.</summary>
/// <remarks>
/// On listeners with SASL, <see cref="ConnectionLogin"/> answers it; here come requests on listeners without. Errors: ILLEGAL_SASL_STATE;
/// in a login also UNSUPPORTED_SASL_MECHANISM.
/// </remarks>
internal sealed class SaslHandshakeHandler : IApiHandler<SaslHandshakeRequest, SaslHandshakeResponse>
{
    public ValueTask<SaslHandshakeResponse?> HandleAsync(RequestContext context, SaslHandshakeRequest request) =>
        ValueTask.FromResult<SaslHandshakeResponse?>(new SaslHandshakeResponse { ErrorCode = (short)ErrorCode.IllegalSaslState });
}
