using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// BrokerRegistration (key 62), versions 0 to 4: a broker registers when it starts, and when its registration changes (KIP-631).
/// </summary>
/// <remarks>
/// Errors: INCONSISTENT_CLUSTER_ID, DUPLICATE_BROKER_REGISTRATION (another process with this id is alive), INVALID_REGISTRATION,
/// BROKER_ID_NOT_REGISTERED (a broker that migrates from ZooKeeper), UNSUPPORTED_VERSION (the broker lacks a finalized feature),
/// NOT_CONTROLLER.
/// </remarks>
internal sealed class BrokerRegistrationHandler(IController controller) : IApiHandler<BrokerRegistrationRequest, BrokerRegistrationResponse>
{
    private const short FirstVersionWithPreviousEpoch = 3;

    public async ValueTask<BrokerRegistrationResponse?> HandleAsync(RequestContext context, BrokerRegistrationRequest request) =>
        await controller.SubmitAsync(new RegisterBrokerCommand(request, context.ApiVersion >= FirstVersionWithPreviousEpoch));
}
