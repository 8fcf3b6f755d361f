using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using DescribedToken = Ottla.Protocol.Messages.DescribeDelegationTokenResponse.DescribedDelegationToken;

namespace Ottla.Broker.Api;

/// <summary>DescribeDelegationToken (key 41), versions 1 to 3: the tokens of owners.</summary>
/// <remarks>
/// No owners named (null): all, an empty list: none. A client sees tokens that are its own or that it may renew, and others that it may
/// describe; the rest is left out. Errors: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED (see <see cref="DelegationTokens"/>),
/// DELEGATION_TOKEN_AUTH_DISABLED.
/// </remarks>
internal sealed class DescribeDelegationTokenHandler(ClusterView cluster, DelegationTokens tokens, Func<DelegationTokenKey?> key)
    : IApiHandler<DescribeDelegationTokenRequest, DescribeDelegationTokenResponse>
{
    private const short FirstVersionWithRequester = 3;

    public ValueTask<DescribeDelegationTokenResponse?> HandleAsync(RequestContext context, DescribeDelegationTokenRequest request)
    {
        tokens.DemandAllowed(context);
        var made = key() ?? throw new ApiException(ErrorCode.DelegationTokenAuthDisabled);
        var owners = request.Owners?.Select(owner => $"{owner.PrincipalType}:{owner.PrincipalName}").ToHashSet(StringComparer.Ordinal);
        var self = DelegationTokens.NameOf(context.Connection.Principal);
        var seen = cluster.Image.DelegationTokens.ById.Values
            .Where(token => owners is null || owners.Any(owner => IsOf(token, owner)))
            .Where(token => IsOf(token, self) || tokens.Sees(context, token.TokenId, token.Owner));
        return ValueTask.FromResult<DescribeDelegationTokenResponse?>(
            new DescribeDelegationTokenResponse { Tokens = [.. seen.Select(token => Describe(context, token, made))] });
    }

    private static bool IsOf(DelegationToken token, string principal) => token.Owner == principal || token.Renewers.Contains(principal);

    private static DescribedToken Describe(in RequestContext context, DelegationToken token, DelegationTokenKey key)
    {
        var (ownerType, ownerName) = Split(token.Owner);
        var described = new DescribedToken
        {
            PrincipalType = ownerType,
            PrincipalName = ownerName,
            IssueTimestamp = token.IssueTimestampMs,
            ExpiryTimestamp = token.ExpirationTimestampMs,
            MaxTimestamp = token.MaxTimestampMs,
            TokenId = token.TokenId,
            Hmac = key.HmacOf(token.TokenId),
            Renewers =
            [
                .. token.Renewers.Select(Split).Select(renewer => new DescribeDelegationTokenResponse.DescribedDelegationTokenRenewer
                {
                    PrincipalType = renewer.Type,
                    PrincipalName = renewer.Name,
                }),
            ],
        };
        if (context.ApiVersion >= FirstVersionWithRequester)
            (described.TokenRequesterPrincipalType, described.TokenRequesterPrincipalName) = Split(token.Requester);
        return described;
    }

    private static (string Type, string Name) Split(string principal)
    {
        var colon = principal.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? ("", principal) : (principal[..colon], principal[(colon + 1)..]);
    }
}
