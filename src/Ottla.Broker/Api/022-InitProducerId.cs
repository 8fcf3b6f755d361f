using Ottla.Broker.Hosts;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Transactions;

namespace Ottla.Broker.Api;

/// <summary>
/// InitProducerId (key 22), versions 0 to 5 (6 is unstable): gives a producer its id and epoch. An idempotent producer gets a new id; for a
/// transactional id the new epoch fences all other producers.
/// </summary>
/// <remarks>
/// Errors: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED (without a transactional id, for a client that may write to
/// no topic either), INVALID_REQUEST for an empty transactional id or for only one of producer id and epoch, INVALID_TRANSACTION_TIMEOUT,
/// PRODUCER_FENCED (before version 4 INVALID_PRODUCER_EPOCH), CONCURRENT_TRANSACTIONS while the coordinator aborts or completes a
/// transaction, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE; those of the controller when it hands out no ids.
/// </remarks>
internal sealed class InitProducerIdHandler(
    ProducerIds producerIds, CoordinatorHost<TransactionCommand> transactions, Authorizer authorizer)
    : IApiHandler<InitProducerIdRequest, InitProducerIdResponse>
{
    private const short FirstVersionWithProducerFenced = 4;

    public async ValueTask<InitProducerIdResponse?> HandleAsync(RequestContext context, InitProducerIdRequest request)
    {
        Authorize(context, request);
        if (request.TransactionalId is "" || request.ProducerId == -1 != (request.ProducerEpoch == -1))
            throw new ApiException(ErrorCode.InvalidRequest);
        var producer = request.TransactionalId is { } id
            ? await transactions.SubmitAsync(id, new InitProducerIdCommand(request))
            : new ProducerIdAndEpoch(await producerIds.NextAsync(), 0);
        return new InitProducerIdResponse { ProducerId = producer.Id, ProducerEpoch = producer.Epoch };
    }

    /// <exception cref="ApiException">The client may not have the id.</exception>
    private void Authorize(in RequestContext context, InitProducerIdRequest request)
    {
        if (request.TransactionalId is { } id)
        {
            authorizer.Require(context, AclOperation.Write, ResourceType.TransactionalId, id);
            if (request.Enable2Pc)
                authorizer.Require(context, AclOperation.TwoPhaseCommit, ResourceType.TransactionalId, id);
        }
        else if (!authorizer.Sees(context, AclOperation.IdempotentWrite, ResourceType.Cluster, AclBinding.ClusterName)
            && !authorizer.AllowsOnAny(context, AclOperation.Write, ResourceType.Topic))
        {
            throw Authorizer.Refusal(ResourceType.Cluster);
        }
    }

    /// <inheritdoc/>
    public ErrorCode ErrorFor(short version, ErrorCode error) =>
        TransactionErrors.ForVersion(error, version, FirstVersionWithProducerFenced);
}
