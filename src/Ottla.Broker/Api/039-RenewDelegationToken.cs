using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>RenewDelegationToken (key 39), versions 1 and 2: moves the time at which a token expires. The controller decides.</summary>
/// <remarks>
/// Only its owner and its renewers may. Errors: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED (see <see cref="DelegationTokens"/>),
/// DELEGATION_TOKEN_NOT_FOUND, DELEGATION_TOKEN_EXPIRED, DELEGATION_TOKEN_OWNER_MISMATCH, DELEGATION_TOKEN_AUTH_DISABLED,
/// UNSUPPORTED_VERSION (metadata.version is too low), NOT_CONTROLLER.
/// </remarks>
internal sealed class RenewDelegationTokenHandler(
    DelegationTokens tokens, CarryOut<RenewDelegationTokenRequest, RenewDelegationTokenResponse> carryOut)
    : IApiHandler<RenewDelegationTokenRequest, RenewDelegationTokenResponse>
{
    public ValueTask<RenewDelegationTokenResponse?> HandleAsync(RequestContext context, RenewDelegationTokenRequest request)
    {
        tokens.DemandAllowed(context);
        return carryOut(context, request);
    }

    /// <summary>Has this node's controller renew a token.</summary>
    public static CarryOut<RenewDelegationTokenRequest, RenewDelegationTokenResponse> By(IController controller) =>
        async (context, request) =>
        {
            try
            {
                var requester = DelegationTokens.NameOf(context.Connection.Principal);
                var expiresMs = await controller.SubmitAsync(
                    new RenewDelegationTokenCommand(requester, request.Hmac, request.RenewPeriodMs));
                return new RenewDelegationTokenResponse { ExpiryTimestampMs = expiresMs };
            }
            catch (ApiException e) when (e.Error.Code != ErrorCode.NotController)
            {
                return new RenewDelegationTokenResponse { ErrorCode = (short)e.Error.Code }; // without a time, as in Kafka
            }
        };
}
