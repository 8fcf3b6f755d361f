using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Transactions;

namespace Ottla.Broker.Api;

/// <summary>
/// EndTxn (key 26), versions 0 to 5: commits or aborts a transaction. From version 5 on (transaction version 2) the answer has the producer
/// id and epoch for the next transaction.
/// </summary>
/// <remarks>
/// The answer comes when the outcome is committed. The coordinator writes the markers afterwards. Errors:
/// TRANSACTIONAL_ID_AUTHORIZATION_FAILED, INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (before version 2
/// INVALID_PRODUCER_EPOCH), CONCURRENT_TRANSACTIONS while the previous transaction completes, INVALID_TXN_STATE, those of coordinators.
/// </remarks>
internal sealed class EndTxnHandler(CoordinatorHost<TransactionCommand> transactions, Authorizer authorizer)
    : IApiHandler<EndTxnRequest, EndTxnResponse>
{
    private const short FirstVersionWithProducerFenced = 2;
    private const short FirstVersionThatBumpsEpoch = 5;

    public async ValueTask<EndTxnResponse?> HandleAsync(RequestContext context, EndTxnRequest request)
    {
        authorizer.Require(context, AclOperation.Write, ResourceType.TransactionalId, request.TransactionalId);
        var producer = new ProducerIdAndEpoch(request.ProducerId, request.ProducerEpoch);
        var clientTransactionVersion =
            context.ApiVersion >= FirstVersionThatBumpsEpoch ? TransactionMetadata.EpochBumpingVersion : (short)0;
        var next = await transactions.SubmitAsync(
            request.TransactionalId,
            new EndTransactionCommand(request.TransactionalId, producer, request.Committed, clientTransactionVersion));
        return new EndTxnResponse { ProducerId = next.Id, ProducerEpoch = next.Epoch };
    }

    /// <inheritdoc/>
    public ErrorCode ErrorFor(short version, ErrorCode error) =>
        TransactionErrors.ForVersion(error, version, FirstVersionWithProducerFenced);
}
