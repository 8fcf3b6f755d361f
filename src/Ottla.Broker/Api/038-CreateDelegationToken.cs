using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>CreateDelegationToken (key 38), versions 1 to 3: makes a token that others can log in with.</summary>
/// <remarks>
/// Errors: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED or DELEGATION_TOKEN_AUTH_DISABLED, always: see <see cref="DelegationTokens"/>.
/// </remarks>
internal sealed class CreateDelegationTokenHandler(Func<BrokerConfig> config)
    : IApiHandler<CreateDelegationTokenRequest, CreateDelegationTokenResponse>
{
    private const short FirstVersionWithRequester = 3;

    public ValueTask<CreateDelegationTokenResponse?> HandleAsync(RequestContext context, CreateDelegationTokenRequest request)
    {
        var hasOwner = !string.IsNullOrEmpty(request.OwnerPrincipalName);
        var response = new CreateDelegationTokenResponse
        {
            ErrorCode = (short)DelegationTokens.RefusalOf(context, config()),
            PrincipalType = hasOwner ? request.OwnerPrincipalType ?? "" : DelegationTokens.UserType,
            PrincipalName = hasOwner ? request.OwnerPrincipalName! : DelegationTokens.AnonymousName,
            IssueTimestampMs = DelegationTokens.NoTimestamp,
            ExpiryTimestampMs = DelegationTokens.NoTimestamp,
            MaxTimestampMs = DelegationTokens.NoTimestamp,
        };
        if (context.ApiVersion >= FirstVersionWithRequester)
            (response.TokenRequesterPrincipalType, response.TokenRequesterPrincipalName) =
                (DelegationTokens.UserType, DelegationTokens.AnonymousName);
        return ValueTask.FromResult<CreateDelegationTokenResponse?>(response);
    }
}
