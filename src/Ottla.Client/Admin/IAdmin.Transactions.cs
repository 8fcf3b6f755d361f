using Ottla.Kernel;

namespace Ottla.Client;

public partial interface IAdmin
{
    /// <summary>Tells which producers partitions remember (DescribeProducers, KIP-664).</summary>
    /// <param name="partitions">The partitions.</param>
    /// <param name="brokerId">The broker that is asked; null for the leaders.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By partition. Errors: TOPIC_AUTHORIZATION_FAILED, INVALID_TOPIC_EXCEPTION. A topic that is not there is waited for; so is
    /// NOT_LEADER_OR_FOLLOWER, unless a broker is named.</returns>
    Task<AdminResults<TopicPartition, IReadOnlyList<ProducerDescription>>> DescribeProducersAsync(
        IEnumerable<TopicPartition> partitions, int? brokerId = null, CancellationToken cancellation = default);

    /// <summary>Lists the transactional ids of all brokers (ListTransactions, KIP-664).</summary>
    /// <param name="filter">Which ones; null for all.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The cluster refuses this client, or its brokers are not known in time.</exception>
    Task<ClusterListing<ListedTransaction>> ListTransactionsAsync(
        ListTransactionsFilter? filter = null, CancellationToken cancellation = default);

    /// <summary>Describes transactional ids, at their coordinators (DescribeTransactions, KIP-664).</summary>
    /// <returns>By id. Errors: TRANSACTIONAL_ID_NOT_FOUND, TRANSACTIONAL_ID_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string, TransactionDescription>> DescribeTransactionsAsync(
        IEnumerable<string> transactionalIds, CancellationToken cancellation = default);

    /// <summary>Aborts a transaction that hangs in a partition, at its leader (WriteTxnMarkers, KIP-664).</summary>
    /// <exception cref="KafkaException">INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, CLUSTER_AUTHORIZATION_FAILED, or no
    /// answer in time.</exception>
    Task AbortTransactionAsync(HangingTransaction transaction, CancellationToken cancellation = default);

    /// <summary>Ends the open transaction of an id and fences its producer, also a prepared one (InitProducerId, KIP-939).</summary>
    /// <exception cref="KafkaException">TRANSACTIONAL_ID_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task ForceTerminateTransactionAsync(string transactionalId, CancellationToken cancellation = default);

    /// <summary>Fences the producers of transactional ids: their open transactions are aborted (InitProducerId, KIP-664).</summary>
    /// <returns>By id, the producer that took over. Errors: TRANSACTIONAL_ID_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string, FencedProducer>> FenceProducersAsync(
        IEnumerable<string> transactionalIds, CancellationToken cancellation = default);
}
