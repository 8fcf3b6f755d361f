using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>SaslAuthenticate (key 36), versions 0 to 2: carries the messages of a mechanism.</summary>
/// <remarks>
/// On listeners with SASL, <see cref="ConnectionLogin"/> answers it; here come requests on listeners without. Errors: ILLEGAL_SASL_STATE;
/// in a login also SASL_AUTHENTICATION_FAILED.
/// </remarks>
internal sealed class SaslAuthenticateHandler : RefusingHandler<SaslAuthenticateRequest, SaslAuthenticateResponse>
{
    protected override ApiError Refuse(RequestContext context) =>
        new(ErrorCode.IllegalSaslState, "SaslAuthenticate request received after successful authentication");
}
