using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// ControllerRegistration (key 70), version 0: a controller tells the active one its endpoints and its supported features (KIP-919).
/// </summary>
/// <remarks>Errors: UNSUPPORTED_VERSION (the metadata version is too old), NOT_CONTROLLER.</remarks>
internal sealed class ControllerRegistrationHandler(IController controller)
    : IApiHandler<ControllerRegistrationRequest, ControllerRegistrationResponse>
{
    public async ValueTask<ControllerRegistrationResponse?> HandleAsync(RequestContext context, ControllerRegistrationRequest request)
    {
        await controller.SubmitAsync(new RegisterControllerCommand(request));
        return new ControllerRegistrationResponse();
    }
}
