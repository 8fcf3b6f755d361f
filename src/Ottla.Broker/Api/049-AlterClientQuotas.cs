using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>AlterClientQuotas (key 49), versions 0 and 1: sets and removes client quotas (KIP-546). The controller decides.</summary>
/// <remarks>
/// Entries stand alone. Errors per entity: INVALID_REQUEST (an unknown key or entity, a value that is not above zero, an entity named
/// twice: then its first entry counts); for all of them: POLICY_VIOLATION (too many), NOT_CONTROLLER. An address must be one: names of
/// hosts are refused.
/// </remarks>
internal sealed class AlterClientQuotasHandler(IController controller) : IApiHandler<AlterClientQuotasRequest, AlterClientQuotasResponse>
{
    public async ValueTask<AlterClientQuotasResponse?> HandleAsync(RequestContext context, AlterClientQuotasRequest request) =>
        await controller.SubmitAsync(new AlterClientQuotasCommand(request));
}
