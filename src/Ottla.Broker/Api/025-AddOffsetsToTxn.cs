using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Transactions;

namespace Ottla.Broker.Api;

/// <summary>
/// AddOffsetsToTxn (key 25), versions 0 to 4: adds the partition of <c>__consumer_offsets</c> that has a group's offsets to a transaction,
/// before TxnOffsetCommit.
/// </summary>
/// <remarks>
/// Errors as AddPartitionsToTxn: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED, INVALID_REQUEST,
/// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (before version 2 INVALID_PRODUCER_EPOCH), CONCURRENT_TRANSACTIONS, those of coordinators.
/// </remarks>
internal sealed class AddOffsetsToTxnHandler(
    CoordinatorHost<TransactionCommand> transactions, CoordinatorHost<GroupCommand> groups, Func<BrokerConfig> config,
    Authorizer authorizer)
    : IApiHandler<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>
{
    private const short FirstVersionWithProducerFenced = 2;

    public async ValueTask<AddOffsetsToTxnResponse?> HandleAsync(RequestContext context, AddOffsetsToTxnRequest request)
    {
        authorizer.Require(context, AclOperation.Write, ResourceType.TransactionalId, request.TransactionalId);
        authorizer.Require(context, AclOperation.Read, ResourceType.Group, request.GroupId);
        var index = groups.PartitionOf(request.GroupId)
            ?? CoordinatorKeys.PartitionOf(request.GroupId, config().OffsetsTopicNumPartitions);
        var producer = new ProducerIdAndEpoch(request.ProducerId, request.ProducerEpoch);
        var partition = new TopicPartition(groups.TopicName, index);
        await transactions.SubmitAsync(
            request.TransactionalId,
            new AddPartitionsCommand(request.TransactionalId, producer, [partition], ClientTransactionVersion: 0));
        return new AddOffsetsToTxnResponse();
    }

    /// <inheritdoc/>
    public ErrorCode ErrorFor(short version, ErrorCode error) =>
        TransactionErrors.ForVersion(error, version, FirstVersionWithProducerFenced);
}
