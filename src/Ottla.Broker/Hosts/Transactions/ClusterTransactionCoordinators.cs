using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Peers;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Hosts.Transactions;

/// <summary>
/// The transaction coordinators of the cluster. Calls those of this broker directly, and the others by AddPartitionsToTxn.
/// </summary>
/// <remarks>Used by all connections; lives as long as the broker.</remarks>
/// <param name="nodeId">This broker.</param>
/// <param name="local">The coordinators of this broker.</param>
/// <param name="peers">The channels to other brokers.</param>
/// <param name="image">The metadata, with the leaders of <c>__transaction_state</c>.</param>
internal sealed class ClusterTransactionCoordinators(
    int nodeId, ITransactionCoordinators local, BrokerChannels peers, Func<MetadataImage> image)
    : ITransactionCoordinators
{
    /// <inheritdoc/>
    public async ValueTask AddPartitionsAsync(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions)
    {
        var coordinator = CoordinatorOf(transactionalId);
        if (coordinator == nodeId)
        {
            await local.AddPartitionsAsync(transactionalId, producer, partitions);
            return;
        }

        var errors = await AskAsync(coordinator, transactionalId, producer, partitions, verifyOnly: false);
        if (errors.Values.FirstOrDefault(
            error => error is not (ErrorCode.None or ErrorCode.OperationNotAttempted)) is not ErrorCode.None and var error)
            throw new ApiException(error, $"The transaction coordinator, broker {coordinator}, did not add the partitions.");
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> VerifyPartitionsAsync(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions)
    {
        var coordinator = CoordinatorOf(transactionalId);
        return coordinator == nodeId
            ? local.VerifyPartitionsAsync(transactionalId, producer, partitions)
            : AskAsync(coordinator, transactionalId, producer, partitions, verifyOnly: true);
    }

    /// <exception cref="ApiException">COORDINATOR_NOT_AVAILABLE: there is no coordinator now.</exception>
    private int CoordinatorOf(string transactionalId)
    {
        var partitions = image().Topics.Find(TopicNames.TransactionState)?.Partitions ?? [];
        return !partitions.IsDefaultOrEmpty
            && partitions[CoordinatorKeys.PartitionOf(transactionalId, partitions.Length)].Leader is >= 0 and var leader
            ? leader
            : throw new ApiException(ErrorCode.CoordinatorNotAvailable, "There is no transaction coordinator now.");
    }

    private async ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> AskAsync(
        int coordinator, string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions,
        bool verifyOnly)
    {
        if (peers.Find(coordinator) is not { } channel)
            throw new ApiException(
                ErrorCode.CoordinatorNotAvailable, $"This broker has no address of the transaction coordinator, broker {coordinator}.");
        AddPartitionsToTxnResponse answer;
        try
        {
            answer = await channel.SendAsync<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(
                RequestOf(transactionalId, producer, partitions, verifyOnly));
        }
        catch (RequestFailedException e) when (e.Kind == RequestFailureKind.UnsupportedVersion && verifyOnly)
        {
            return partitions.ToDictionary(partition => partition, _ => ErrorCode.None); // an old coordinator verifies nothing
        }
        catch (RequestFailedException e)
        {
            throw new ApiException(
                ErrorCode.NetworkException, $"The transaction coordinator, broker {coordinator}, did not answer: {e.Message}");
        }

        if (answer.ErrorCode != (short)ErrorCode.None)
            throw new ApiException(
                Known((ErrorCode)answer.ErrorCode), $"The transaction coordinator, broker {coordinator}, refused the request.");
        var errors = answer.ResultsByTransaction.Where(result => result.TransactionalId == transactionalId)
            .SelectMany(result => result.TopicResults)
            .SelectMany(
                topic => topic.ResultsByPartition.Select(
                    partition => (Partition: new TopicPartition(topic.Name, partition.PartitionIndex), partition.PartitionErrorCode)))
            .ToDictionary(each => each.Partition, each => (ErrorCode)each.PartitionErrorCode);
        return partitions.ToDictionary(
            partition => partition, partition => errors.GetValueOrDefault(partition, ErrorCode.UnknownServerError));
    }

    /// <summary>Hides from producers that brokers do not trust each other.</summary>
    private static ErrorCode Known(ErrorCode error) => error == ErrorCode.ClusterAuthorizationFailed ? ErrorCode.InvalidTxnState : error;

    private static AddPartitionsToTxnRequest RequestOf(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions, bool verifyOnly) => new()
        {
            Transactions =
        [
            new AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
            {
                TransactionalId = transactionalId,
                ProducerId = producer.Id,
                ProducerEpoch = producer.Epoch,
                VerifyOnly = verifyOnly,
                Topics =
                [
                    .. partitions.GroupBy(partition => partition.Topic, StringComparer.Ordinal)
                        .Select(topic => new AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
                    {
                        Name = topic.Key,
                        Partitions = [.. topic.Select(partition => partition.Partition)],
                    }),
                ],
            },
        ],
        };
}
