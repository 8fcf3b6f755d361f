using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>
/// BrokerHeartbeat (key 63), versions 0 to 2: a broker says that it is alive. It may ask to be fenced, to be unfenced, or to shut down
/// (KIP-631).
/// </summary>
/// <remarks>
/// Errors: STALE_BROKER_EPOCH (another process has registered with this id, or an operator has unregistered the broker), NOT_CONTROLLER.
/// </remarks>
internal sealed class BrokerHeartbeatHandler(ControllerHost controller) : IApiHandler<BrokerHeartbeatRequest, BrokerHeartbeatResponse>
{
    public async ValueTask<BrokerHeartbeatResponse?> HandleAsync(RequestContext context, BrokerHeartbeatRequest request)
    {
        var reply = await controller.HeartbeatAsync(request, context.Connection);
        return new BrokerHeartbeatResponse
        {
            IsCaughtUp = reply.IsCaughtUp,
            IsFenced = reply.IsFenced,
            ShouldShutDown = reply.ShouldShutDown,
        };
    }
}
