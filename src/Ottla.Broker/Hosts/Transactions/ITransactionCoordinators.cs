using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Broker.Hosts.Transactions;

/// <summary>
/// The questions that a partition leader asks transaction coordinators, on this node or another (AddPartitionsToTxn from version 4 on,
/// KIP-890).
/// </summary>
public interface ITransactionCoordinators
{
    /// <summary>Adds partitions to a producer's transaction. The first partition starts the transaction.</summary>
    /// <exception cref="ApiException">
    /// No partition was added; CONCURRENT_TRANSACTIONS while the previous transaction is still completing.
    /// </exception>
    ValueTask AddPartitionsAsync(string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions);

    /// <summary>Asks whether partitions are in a producer's transaction.</summary>
    /// <returns>The error for each partition; TRANSACTION_ABORTABLE for one that is not in it.</returns>
    /// <exception cref="ApiException">The coordinator could not answer.</exception>
    ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> VerifyPartitionsAsync(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions);
}
