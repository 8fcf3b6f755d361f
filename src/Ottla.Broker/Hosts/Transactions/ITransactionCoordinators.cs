using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Broker.Hosts.Transactions;

/// <summary>What leaders of partitions ask the coordinators of transactional ids, wherever those are (AddPartitionsToTxn from version 4 on, KIP-890).</summary>
public interface ITransactionCoordinators
{
    /// <summary>Adds partitions to a producer's transaction, which begins with the first.</summary>
    /// <exception cref="ApiException">None was added; CONCURRENT_TRANSACTIONS while the transaction before is completing.</exception>
    ValueTask AddPartitionsAsync(string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions);

    /// <summary>Asks whether partitions are in a producer's transaction.</summary>
    /// <returns>The error for each partition; TRANSACTION_ABORTABLE for one that is not in it.</returns>
    /// <exception cref="ApiException">Nothing can be said of any.</exception>
    ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> VerifyPartitionsAsync(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions);
}
