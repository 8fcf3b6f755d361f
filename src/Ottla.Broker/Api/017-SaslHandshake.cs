using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>SaslHandshake (key 17), versions 0 and 1: begins a login. This broker refuses it: its listeners ask for none.</summary>
/// <remarks>Errors: ILLEGAL_SASL_STATE, always.</remarks>
internal sealed class SaslHandshakeHandler : IApiHandler<SaslHandshakeRequest, SaslHandshakeResponse>
{
    public ValueTask<SaslHandshakeResponse?> HandleAsync(RequestContext context, SaslHandshakeRequest request) =>
        ValueTask.FromResult<SaslHandshakeResponse?>(new SaslHandshakeResponse { ErrorCode = (short)ErrorCode.IllegalSaslState });
}
