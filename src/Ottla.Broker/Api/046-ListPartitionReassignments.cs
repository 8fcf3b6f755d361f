using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>
/// ListPartitionReassignments (key 46), version 0: the replicas that are on their way to other brokers, as the controller knows them.
/// </summary>
/// <remarks>No topics named (null): all. A topic or partition that does not exist is left out. Errors: NOT_CONTROLLER.</remarks>
internal sealed class ListPartitionReassignmentsHandler(IController controller)
    : IApiHandler<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>
{
    public async ValueTask<ListPartitionReassignmentsResponse?> HandleAsync(
        RequestContext context, ListPartitionReassignmentsRequest request) =>
        await controller.SubmitAsync(new ListPartitionReassignmentsCommand(request));
}
