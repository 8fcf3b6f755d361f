using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// ElectLeaders (key 43), versions 0 to 2: makes preferred replicas the leaders, or elects uncleanly. The controller decides.
/// </summary>
/// <remarks>
/// No partitions named (null): all, and the answer leaves out partitions that need no election. Errors per partition:
/// UNKNOWN_TOPIC_OR_PARTITION, ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE; for all of them:
/// INVALID_REQUEST (an unknown type of election), NOT_CONTROLLER.
/// </remarks>
internal sealed class ElectLeadersHandler(IController controller) : IApiHandler<ElectLeadersRequest, ElectLeadersResponse>
{
    public async ValueTask<ElectLeadersResponse?> HandleAsync(RequestContext context, ElectLeadersRequest request) =>
        await controller.SubmitAsync(new ElectLeadersCommand(request));
}
