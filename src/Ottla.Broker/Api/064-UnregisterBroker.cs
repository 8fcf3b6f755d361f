using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>UnregisterBroker (key 64), version 0: forgets a broker that will not come back. The controller decides.</summary>
/// <remarks>
/// A running broker loses its leaderships, and registers again at its next start. Errors: BROKER_ID_NOT_REGISTERED, NOT_CONTROLLER.
/// </remarks>
internal sealed class UnregisterBrokerHandler(IController controller) : IApiHandler<UnregisterBrokerRequest, UnregisterBrokerResponse>
{
    public async ValueTask<UnregisterBrokerResponse?> HandleAsync(RequestContext context, UnregisterBrokerRequest request)
    {
        await controller.SubmitAsync(new UnregisterBrokerCommand(request.BrokerId));
        return new UnregisterBrokerResponse();
    }
}
