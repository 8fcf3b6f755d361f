using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>InitProducerId (key 22), versions 0 to 5 (6 is unstable): a fresh producer id with epoch 0 for an idempotent producer.</summary>
/// <remarks>
/// Transactional ids are answered with COORDINATOR_NOT_AVAILABLE: there is no transaction coordinator yet. Errors: INVALID_REQUEST for an empty transactional id
/// or for only one of producer id and epoch; those of the controller when it hands out no ids.
/// </remarks>
internal sealed class InitProducerIdHandler(ProducerIds producerIds) : IApiHandler<InitProducerIdRequest, InitProducerIdResponse>
{
    public async ValueTask<InitProducerIdResponse?> HandleAsync(RequestContext context, InitProducerIdRequest request)
    {
        if (request.TransactionalId is "" || request.ProducerId < 0 != request.ProducerEpoch < 0)
            return Failed(ErrorCode.InvalidRequest);
        if (request.TransactionalId is not null)
            return Failed(ErrorCode.CoordinatorNotAvailable);
        try
        {
            return new InitProducerIdResponse { ProducerId = await producerIds.NextAsync(), ProducerEpoch = 0 };
        }
        catch (ApiException e)
        {
            return Failed(e.Error.Code);
        }
    }

    private static InitProducerIdResponse Failed(ErrorCode error) => new() { ErrorCode = (short)error, ProducerId = -1, ProducerEpoch = -1 };
}
