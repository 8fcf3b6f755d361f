using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// UnregisterController (key 94), version 0: forgets a controller that will not come back (KIP-1312). The active controller decides.
/// </summary>
/// <remarks>Errors: CONTROLLER_ID_NOT_REGISTERED, UNSUPPORTED_VERSION (the metadata version is too old), NOT_CONTROLLER.</remarks>
internal sealed class UnregisterControllerHandler(IController controller)
    : IApiHandler<UnregisterControllerRequest, UnregisterControllerResponse>
{
    public async ValueTask<UnregisterControllerResponse?> HandleAsync(RequestContext context, UnregisterControllerRequest request)
    {
        await controller.SubmitAsync(new UnregisterControllerCommand(request.ControllerId));
        return new UnregisterControllerResponse();
    }
}
