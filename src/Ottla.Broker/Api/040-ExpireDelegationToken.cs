using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>ExpireDelegationToken (key 40), versions 1 and 2: ends a token, at once or later. The controller decides.</summary>
/// <remarks>
/// A negative period removes it. Only its owner and its renewers may. Errors: as of <see cref="RenewDelegationTokenHandler"/>.
/// </remarks>
internal sealed class ExpireDelegationTokenHandler(
    DelegationTokens tokens, CarryOut<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse> carryOut)
    : IApiHandler<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse>
{
    public ValueTask<ExpireDelegationTokenResponse?> HandleAsync(RequestContext context, ExpireDelegationTokenRequest request)
    {
        tokens.DemandAllowed(context);
        return carryOut(context, request);
    }

    /// <summary>Has this node's controller end a token.</summary>
    public static CarryOut<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse> By(IController controller) =>
        async (context, request) =>
        {
            try
            {
                var requester = DelegationTokens.NameOf(context.Connection.Principal);
                var expiresMs = await controller.SubmitAsync(
                    new ExpireDelegationTokenCommand(requester, request.Hmac, request.ExpiryTimePeriodMs));
                return new ExpireDelegationTokenResponse { ExpiryTimestampMs = expiresMs };
            }
            catch (ApiException e) when (e.Error.Code != ErrorCode.NotController)
            {
                return new ExpireDelegationTokenResponse { ErrorCode = (short)e.Error.Code }; // without a time, as in Kafka
            }
        };
}
