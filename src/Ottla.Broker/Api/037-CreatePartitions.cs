using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>CreatePartitions (key 37), versions 0 to 3: adds partitions to topics.</summary>
/// <remarks>
/// Errors per topic: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR,
/// INVALID_REQUEST, NOT_CONTROLLER.
/// </remarks>
internal sealed class CreatePartitionsHandler(IController controller) : IApiHandler<CreatePartitionsRequest, CreatePartitionsResponse>
{
    public async ValueTask<CreatePartitionsResponse?> HandleAsync(RequestContext context, CreatePartitionsRequest request) =>
        await controller.SubmitAsync(new CreatePartitionsCommand(request));
}
