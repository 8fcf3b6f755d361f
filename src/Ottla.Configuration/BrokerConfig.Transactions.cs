namespace Ottla.Configuration;

// Transactions and idempotent producers.
public sealed partial class BrokerConfig
{
    /// <summary><c>transaction.state.log.min.isr</c>: In-sync replicas the transaction topic needs to be written.</summary>
    public int TransactionStateLogMinIsr { get; private set; }

    /// <summary><c>transaction.state.log.load.buffer.size</c>: Bytes read at once when transactions are loaded.</summary>
    public int TransactionStateLogLoadBufferSize { get; private set; }

    /// <summary><c>transaction.state.log.replication.factor</c>: Replicas of the transaction topic.</summary>
    public short TransactionStateLogReplicationFactor { get; private set; }

    /// <summary>
    /// <c>transaction.state.log.num.partitions</c>: Partitions of the transaction topic; not to be changed once it exists.
    /// </summary>
    public int TransactionStateLogNumPartitions { get; private set; }

    /// <summary><c>transaction.state.log.segment.bytes</c>: Segment size of the transaction topic.</summary>
    public int TransactionStateLogSegmentBytes { get; private set; }

    /// <summary>
    /// <c>transaction.partition.verification.enable</c>: Whether a transactional write is checked against its transaction before it is
    /// appended.
    /// </summary>
    public bool TransactionPartitionVerificationEnable { get; private set; }

    /// <summary><c>producer.id.expiration.ms</c>: How long a partition remembers an idle producer.</summary>
    public int ProducerIdExpirationMs { get; private set; }

    /// <summary><c>producer.id.expiration.check.interval.ms</c>: Time between checks for expired producers.</summary>
    public int ProducerIdExpirationCheckIntervalMs { get; private set; }

    /// <summary><c>transactional.id.expiration.ms</c>: How long a transactional id is remembered after its last transaction.</summary>
    public int TransactionalIdExpirationMs { get; private set; }

    /// <summary><c>transaction.max.timeout.ms</c>: Longest transaction timeout a producer may ask for.</summary>
    public int TransactionMaxTimeoutMs { get; private set; }

    /// <summary>
    /// <c>transaction.abort.timed.out.transaction.cleanup.interval.ms</c>: Time between checks for transactions that timed out.
    /// </summary>
    public int TransactionAbortTimedOutTransactionCleanupIntervalMs { get; private set; }

    /// <summary>
    /// <c>transaction.remove.expired.transaction.cleanup.interval.ms</c>: Time between checks for transactional ids that expired.
    /// </summary>
    public int TransactionRemoveExpiredTransactionCleanupIntervalMs { get; private set; }

    /// <summary><c>transaction.two.phase.commit.enable</c>: Whether producers may take part in two-phase commits.</summary>
    public bool TransactionTwoPhaseCommitEnable { get; private set; }

    /// <summary>
    /// <c>add.partitions.to.txn.retry.backoff.max.ms</c>: Longest time a broker itself retries to verify a transaction that is still
    /// completing.
    /// </summary>
    public int AddPartitionsToTxnRetryBackoffMaxMs { get; private set; }

    /// <summary><c>add.partitions.to.txn.retry.backoff.ms</c>: Wait between those retries.</summary>
    public int AddPartitionsToTxnRetryBackoffMs { get; private set; }

    private void ReadTransactions()
    {
        TransactionStateLogMinIsr = Int("transaction.state.log.min.isr");
        TransactionStateLogLoadBufferSize = Int("transaction.state.log.load.buffer.size");
        TransactionStateLogReplicationFactor = Short("transaction.state.log.replication.factor");
        TransactionStateLogNumPartitions = Int("transaction.state.log.num.partitions");
        TransactionStateLogSegmentBytes = Int("transaction.state.log.segment.bytes");
        TransactionPartitionVerificationEnable = Boolean("transaction.partition.verification.enable");
        ProducerIdExpirationMs = Int("producer.id.expiration.ms");
        ProducerIdExpirationCheckIntervalMs = Int("producer.id.expiration.check.interval.ms");
        TransactionalIdExpirationMs = Int("transactional.id.expiration.ms");
        TransactionMaxTimeoutMs = Int("transaction.max.timeout.ms");
        TransactionAbortTimedOutTransactionCleanupIntervalMs = Int("transaction.abort.timed.out.transaction.cleanup.interval.ms");
        TransactionRemoveExpiredTransactionCleanupIntervalMs = Int("transaction.remove.expired.transaction.cleanup.interval.ms");
        TransactionTwoPhaseCommitEnable = Boolean("transaction.two.phase.commit.enable");
        AddPartitionsToTxnRetryBackoffMaxMs = Int("add.partitions.to.txn.retry.backoff.max.ms");
        AddPartitionsToTxnRetryBackoffMs = Int("add.partitions.to.txn.retry.backoff.ms");
    }
}
