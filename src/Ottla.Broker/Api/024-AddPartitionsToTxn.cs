using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Transactions;
using TopicResult = Ottla.Protocol.Messages.AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult;
using Transaction = Ottla.Protocol.Messages.AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction;

namespace Ottla.Broker.Api;

/// <summary>
/// AddPartitionsToTxn (key 24), versions 0 to 5: adds partitions to a transaction, or asks whether they are in it. From version 4 on
/// brokers send it, for several transactions.
/// </summary>
/// <remarks>
/// The coordinator adds all partitions that the request names, or none. Errors, for each partition: UNKNOWN_TOPIC_OR_PARTITION,
/// TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED (also an internal topic; both before version 4;
/// OPERATION_NOT_ATTEMPTED for the others), INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (before version 2
/// INVALID_PRODUCER_EPOCH), CONCURRENT_TRANSACTIONS, TRANSACTION_ABORTABLE (verify only), NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS,
/// COORDINATOR_NOT_AVAILABLE.
/// </remarks>
internal sealed class AddPartitionsToTxnHandler(
    CoordinatorHost<TransactionCommand> transactions, ClusterView cluster, Authorizer authorizer)
    : IApiHandler<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>
{
    private const short FirstVersionWithProducerFenced = 2;
    private const short FirstVersionOfBrokers = 4;

    public async ValueTask<AddPartitionsToTxnResponse?> HandleAsync(RequestContext context, AddPartitionsToTxnRequest request)
    {
        if (context.ApiVersion < FirstVersionOfBrokers)
        {
            return new AddPartitionsToTxnResponse
            {
                ResultsByTopicV3AndBelow = await AnswerAsync(context, new Transaction
                {
                    TransactionalId = request.V3AndBelowTransactionalId,
                    ProducerId = request.V3AndBelowProducerId,
                    ProducerEpoch = request.V3AndBelowProducerEpoch,
                    Topics = request.V3AndBelowTopics,
                }),
            };
        }

        authorizer.RequireOnCluster(context, AclOperation.ClusterAction);
        var results = new AddPartitionsToTxnResponse.AddPartitionsToTxnResult[request.Transactions.Length];
        for (var i = 0; i < results.Length; i++)
        {
            results[i] = new AddPartitionsToTxnResponse.AddPartitionsToTxnResult
            {
                TransactionalId = request.Transactions[i].TransactionalId,
                TopicResults = await AnswerAsync(context, request.Transactions[i]),
            };
        }

        return new AddPartitionsToTxnResponse { ResultsByTransaction = results };
    }

    private Task<TopicResult[]> AnswerAsync(RequestContext context, Transaction transaction) => AddAsync(context, transaction).OrFailed(
        error => Results(transaction, _ => TransactionErrors.ForVersion(error.Code, context.ApiVersion, FirstVersionWithProducerFenced)));

    /// <summary>Adds the partitions, or asks whether the transaction has them.</summary>
    /// <exception cref="ApiException">No partition was added.</exception>
    private async ValueTask<TopicResult[]> AddAsync(RequestContext context, Transaction transaction)
    {
        var version = context.ApiVersion;
        if (version < FirstVersionOfBrokers)
            authorizer.Require(context, AclOperation.Write, ResourceType.TransactionalId, transaction.TransactionalId);
        var partitions = transaction.Topics.SelectMany(topic => topic.Partitions.Select(index => new TopicPartition(topic.Name, index)))
            .ToHashSet();
        var errorOf = partitions.ToDictionary(partition => partition, partition => Check(context, partition));
        if (errorOf.Values.Any(error => error != ErrorCode.None))
        {
            return Results(
                transaction,
                partition => errorOf[partition] is not ErrorCode.None and var error ? error : ErrorCode.OperationNotAttempted);
        }

        var producer = new ProducerIdAndEpoch(transaction.ProducerId, transaction.ProducerEpoch);
        if (transaction.VerifyOnly)
        {
            var errors = await transactions.SubmitAsync(
                transaction.TransactionalId, new VerifyPartitionsCommand(transaction.TransactionalId, producer, partitions));
            return Results(transaction, partition => errors[partition]);
        }

        var clientTransactionVersion = version >= FirstVersionOfBrokers ? TransactionMetadata.EpochBumpingVersion : (short)0;
        await transactions.SubmitAsync(
            transaction.TransactionalId,
            new AddPartitionsCommand(transaction.TransactionalId, producer, partitions, clientTransactionVersion));
        return Results(transaction, _ => ErrorCode.None);
    }

    /// <summary>
    /// Whether a transaction may have a partition. Only brokers may add internal topics: clients do that by AddOffsetsToTxn.
    /// </summary>
    private ErrorCode Check(in RequestContext context, TopicPartition partition) =>
        context.ApiVersion < FirstVersionOfBrokers
            && (TopicNames.IsInternal(partition.Topic)
                || !authorizer.Allows(context, AclOperation.Write, ResourceType.Topic, partition.Topic))
            ? ErrorCode.TopicAuthorizationFailed
        : cluster.Image.Topics.Partition(partition) is null ? ErrorCode.UnknownTopicOrPartition
        : ErrorCode.None;

    private static TopicResult[] Results(Transaction transaction, Func<TopicPartition, ErrorCode> errorOf) =>
    [
        .. transaction.Topics.Select(topic => new TopicResult
        {
            Name = topic.Name,
            ResultsByPartition =
            [
                .. topic.Partitions.Select(index => new AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult
                {
                    PartitionIndex = index,
                    PartitionErrorCode = (short)errorOf(new TopicPartition(topic.Name, index)),
                }),
            ],
        }),
    ];
}
