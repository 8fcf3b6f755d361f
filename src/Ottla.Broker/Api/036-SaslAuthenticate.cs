using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>SaslAuthenticate (key 36), versions 0 to 2: continues a login. This broker refuses it: its listeners ask for none.</summary>
/// <remarks>Errors: ILLEGAL_SASL_STATE, always.</remarks>
internal sealed class SaslAuthenticateHandler : RefusingHandler<SaslAuthenticateRequest, SaslAuthenticateResponse>
{
    protected override ApiError Refuse(RequestContext context) =>
        new(ErrorCode.IllegalSaslState, "SaslAuthenticate request received after successful authentication");
}
