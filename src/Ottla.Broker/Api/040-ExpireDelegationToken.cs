using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>ExpireDelegationToken (key 40), versions 1 and 2: ends a token, now or later.</summary>
/// <remarks>
/// Errors: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED or DELEGATION_TOKEN_AUTH_DISABLED, always: see <see cref="DelegationTokens"/>.
/// </remarks>
internal sealed class ExpireDelegationTokenHandler(Func<BrokerConfig> config)
    : RefusingHandler<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse>
{
    protected override ApiError Refuse(RequestContext context) => new(DelegationTokens.RefusalOf(context, config()));
}
