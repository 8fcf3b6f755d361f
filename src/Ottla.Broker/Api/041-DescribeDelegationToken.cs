using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>DescribeDelegationToken (key 41), versions 1 to 3: the tokens of owners.</summary>
/// <remarks>
/// Errors: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED or DELEGATION_TOKEN_AUTH_DISABLED, always: see <see cref="DelegationTokens"/>.
/// </remarks>
internal sealed class DescribeDelegationTokenHandler(Func<BrokerConfig> config)
    : RefusingHandler<DescribeDelegationTokenRequest, DescribeDelegationTokenResponse>
{
    protected override ApiError Refuse(RequestContext context) => new(DelegationTokens.RefusalOf(context, config()));
}
