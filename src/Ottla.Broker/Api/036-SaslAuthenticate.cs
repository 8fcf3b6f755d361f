using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>SaslAuthenticate (key 36), versions 0 to 2: goes on with a login, which a connection that needs none cannot.</summary>
/// <remarks>Errors: ILLEGAL_SASL_STATE, always: the listener asks for no login, or it is done.</remarks>
internal sealed class SaslAuthenticateHandler : RefusingHandler<SaslAuthenticateRequest, SaslAuthenticateResponse>
{
    protected override ApiError Refuse(RequestContext context) =>
        new(ErrorCode.IllegalSaslState, "SaslAuthenticate request received after successful authentication");
}
