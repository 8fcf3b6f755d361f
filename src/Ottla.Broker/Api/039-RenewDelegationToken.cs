using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>RenewDelegationToken (key 39), versions 1 and 2: moves the time at which a token expires.</summary>
/// <remarks>
/// Errors: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED or DELEGATION_TOKEN_AUTH_DISABLED, always: see <see cref="DelegationTokens"/>.
/// </remarks>
internal sealed class RenewDelegationTokenHandler(Func<BrokerConfig> config)
    : RefusingHandler<RenewDelegationTokenRequest, RenewDelegationTokenResponse>
{
    protected override ApiError Refuse(RequestContext context) => new(DelegationTokens.RefusalOf(context, config()));
}
