using static Ottla.Configuration.ConfigRow;
using static Ottla.Configuration.ConfigValidator;

namespace Ottla.Configuration.Definitions;

/// <summary>The broker configs of transactions and idempotent producers.</summary>
internal static class TransactionConfigs
{
    public static readonly ConfigDefinition[] Rows =
    [
        Int("transaction.state.log.min.isr", 2, AtLeast(1), ReadOnly, High,
            "In-sync replicas the transaction topic needs to be written."),
        Int("transaction.state.log.load.buffer.size", 5_242_880, AtLeast(1), ReadOnly, High,
            "Bytes read at once when transactions are loaded."),
        Short("transaction.state.log.replication.factor", 3, AtLeast(1), ReadOnly, High, "Replicas of the transaction topic."),
        Int("transaction.state.log.num.partitions", 50, AtLeast(1), ReadOnly, High,
            "Partitions of the transaction topic; not to be changed once it exists."),
        Int("transaction.state.log.segment.bytes", 104_857_600, AtLeast(1), ReadOnly, High, "Segment size of the transaction topic."),
        Bool("transaction.partition.verification.enable", true, ClusterWide, Low,
            "Whether a transactional write is checked against its transaction before it is appended."),
        Int("producer.id.expiration.ms", 86_400_000, AtLeast(1), ClusterWide, Low, "How long a partition remembers an idle producer."),
        Int("transactional.id.expiration.ms", 604_800_000, AtLeast(1), ReadOnly, High,
            "How long a transactional id is remembered after its last transaction."),
        Int("transaction.max.timeout.ms", 900_000, AtLeast(1), ReadOnly, High, "Longest transaction timeout a producer may ask for."),
        Int("transaction.abort.timed.out.transaction.cleanup.interval.ms", 10_000, AtLeast(1), ReadOnly, Low,
            "Time between checks for transactions that timed out."),
        Int("transaction.remove.expired.transaction.cleanup.interval.ms", 3_600_000, AtLeast(1), ReadOnly, Low,
            "Time between checks for transactional ids that expired."),
        Bool("transaction.two.phase.commit.enable", false, ReadOnly, Low, "Whether producers may take part in two-phase commits."),
        Int("add.partitions.to.txn.retry.backoff.max.ms", 100, AtLeast(0), ReadOnly, High,
            "Longest time a broker itself retries to verify a transaction that is still completing."),
        Int("add.partitions.to.txn.retry.backoff.ms", 20, AtLeast(1), ReadOnly, High, "Wait between those retries."),
    ];
}
