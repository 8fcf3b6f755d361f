using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>AllocateProducerIds (key 67), version 0: gives a broker a block of producer ids that nobody else gets (KIP-730).</summary>
/// <remarks>Errors: STALE_BROKER_EPOCH, UNKNOWN_SERVER_ERROR (there are no ids left), NOT_CONTROLLER.</remarks>
internal sealed class AllocateProducerIdsHandler(IController controller)
    : IApiHandler<AllocateProducerIdsRequest, AllocateProducerIdsResponse>
{
    public async ValueTask<AllocateProducerIdsResponse?> HandleAsync(RequestContext context, AllocateProducerIdsRequest request)
    {
        var block = await controller.SubmitAsync(new AllocateProducerIdsCommand(request.BrokerId, request.BrokerEpoch));
        return new AllocateProducerIdsResponse { ProducerIdStart = block.First, ProducerIdLen = block.Count };
    }
}
