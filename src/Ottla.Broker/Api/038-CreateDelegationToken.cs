using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>CreateDelegationToken (key 38), versions 1 to 3: makes a token that others can log in with. The controller decides.</summary>
/// <remarks>
/// From version 3 on it may be for another user. Errors: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED (see <see cref="DelegationTokens"/>),
/// DELEGATION_TOKEN_AUTHORIZATION_FAILED, INVALID_PRINCIPAL_TYPE (a renewer that is no user, or an owner without a type),
/// DELEGATION_TOKEN_AUTH_DISABLED (no delegation.token.secret.key), UNSUPPORTED_VERSION (metadata.version is too low), NOT_CONTROLLER.
/// </remarks>
internal sealed class CreateDelegationTokenHandler(
    DelegationTokens tokens, CarryOut<CreateDelegationTokenRequest, CreateDelegationTokenResponse> carryOut)
    : IApiHandler<CreateDelegationTokenRequest, CreateDelegationTokenResponse>
{
    public ValueTask<CreateDelegationTokenResponse?> HandleAsync(RequestContext context, CreateDelegationTokenRequest request)
    {
        var owner = OwnerOf(context, request);
        var refusal = owner is null ? ErrorCode.InvalidPrincipalType
            : tokens.RefusalOf(context, owner, request.Renewers.Select(renewer => renewer.PrincipalType));
        return refusal == ErrorCode.None
            ? carryOut(context, request)
            : ValueTask.FromResult<CreateDelegationTokenResponse?>(Answer(context, owner ?? context.Connection.Principal, refusal));
    }

    /// <summary>Has this node's controller make a token.</summary>
    /// <param name="controller">The controller.</param>
    /// <param name="key">Makes what the holder of the token knows.</param>
    public static CarryOut<CreateDelegationTokenRequest, CreateDelegationTokenResponse> By(
        IController controller, Func<DelegationTokenKey?> key) => async (context, request) =>
    {
        var owner = OwnerOf(context, request)!;
        try
        {
            var token = await controller.SubmitAsync(new CreateDelegationTokenCommand(
                DelegationTokens.NameOf(owner),
                DelegationTokens.NameOf(context.Connection.Principal),
                [.. request.Renewers.Select(renewer => $"{renewer.PrincipalType}:{renewer.PrincipalName}")],
                request.MaxLifetimeMs));
            var answer = Answer(context, owner, ErrorCode.None);
            (answer.IssueTimestampMs, answer.ExpiryTimestampMs, answer.MaxTimestampMs) =
                (token.IssueTimestampMs, token.ExpirationTimestampMs, token.MaxTimestampMs);
            (answer.TokenId, answer.Hmac) = (token.TokenId, key()!.HmacOf(token.TokenId));
            return answer;
        }
        catch (ApiException e) when (e.Error.Code != ErrorCode.NotController)
        {
            return Answer(context, owner, e.Error.Code);
        }
    };

    /// <summary>Whose token is asked for; null when the request names somebody without saying of what type.</summary>
    private static ClientPrincipal? OwnerOf(in RequestContext context, CreateDelegationTokenRequest request) =>
        string.IsNullOrEmpty(request.OwnerPrincipalName) ? context.Connection.Principal
        : request.OwnerPrincipalType is { } type ? new ClientPrincipal(type, request.OwnerPrincipalName, false)
        : null;

    private static CreateDelegationTokenResponse Answer(in RequestContext context, ClientPrincipal owner, ErrorCode error)
    {
        const short firstVersionWithRequester = 3;
        var answer = new CreateDelegationTokenResponse
        {
            ErrorCode = (short)error,
            PrincipalType = owner.Type,
            PrincipalName = owner.Name,
            IssueTimestampMs = DelegationTokens.NoTimestamp,
            ExpiryTimestampMs = DelegationTokens.NoTimestamp,
            MaxTimestampMs = DelegationTokens.NoTimestamp,
        };
        if (context.ApiVersion >= firstVersionWithRequester)
        {
            var requester = context.Connection.Principal;
            (answer.TokenRequesterPrincipalType, answer.TokenRequesterPrincipalName) = (requester.Type, requester.Name);
        }

        return answer;
    }
}
