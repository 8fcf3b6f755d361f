using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Transactions;

/// <summary>A request to the transaction coordinator. Errors are those of Kafka's newest versions.</summary>
public abstract record TransactionCommand;

/// <inheritdoc/>
/// <typeparam name="TReply">The type of the reply.</typeparam>
public abstract record TransactionCommand<TReply> : TransactionCommand, ICoordinatorCommand<TransactionCommand, TReply>
{
    TransactionCommand ICoordinatorCommand<TransactionCommand, TReply>.Command => this;
}

/// <summary>InitProducerId with a transactional id. The reply is the producer to be.</summary>
public sealed record InitProducerIdCommand(InitProducerIdRequest Request) : TransactionCommand<ProducerIdAndEpoch>;

/// <summary>Adds partitions to a transaction; the first one begins it. The reply is the producer of the transaction.</summary>
/// <param name="TransactionalId">The transactional id.</param>
/// <param name="Producer">The producer that sent the request.</param>
/// <param name="Partitions">The partitions to add.</param>
/// <param name="ClientTransactionVersion">The transaction version that the producer uses.</param>
public sealed record AddPartitionsCommand(
    string TransactionalId, ProducerIdAndEpoch Producer, IReadOnlyCollection<TopicPartition> Partitions, short ClientTransactionVersion)
        : TransactionCommand<ProducerIdAndEpoch>;

/// <summary>Asks whether partitions are in a transaction (KIP-890). The reply has the error of each partition.</summary>
public sealed record VerifyPartitionsCommand(
    string TransactionalId, ProducerIdAndEpoch Producer, IReadOnlyCollection<TopicPartition> Partitions)
        : TransactionCommand<IReadOnlyDictionary<TopicPartition, ErrorCode>>;

/// <summary>
/// EndTxn. The reply is the producer of the next transaction, or <see cref="ProducerIdAndEpoch.None"/> below transaction version 2.
/// </summary>
/// <param name="TransactionalId">The transactional id.</param>
/// <param name="Producer">The producer that sent the request.</param>
/// <param name="IsCommit">Whether to commit; otherwise the transaction is aborted.</param>
/// <param name="ClientTransactionVersion">The transaction version that the producer uses.</param>
public sealed record EndTransactionCommand(
    string TransactionalId, ProducerIdAndEpoch Producer, bool IsCommit, short ClientTransactionVersion)
        : TransactionCommand<ProducerIdAndEpoch>;

/// <summary>
/// Aborts a transaction that timed out, and fences its producer. The machine sends this command to itself; nobody waits for a reply.
/// </summary>
internal sealed record FenceTransactionCommand(string TransactionalId, ProducerIdAndEpoch Producer)
    : TransactionCommand<ProducerIdAndEpoch>;

/// <summary>DescribeTransactions of one id.</summary>
public sealed record DescribeTransactionCommand(string TransactionalId)
    : TransactionCommand<DescribeTransactionsResponse.TransactionStateData>;

/// <summary>ListTransactions of the ids of one partition.</summary>
/// <param name="States">The states to list; null for all.</param>
/// <param name="ProducerIds">The producer ids to list; empty for all.</param>
/// <param name="DurationMs">Lists only transactions that began longer ago than this; negative for all.</param>
/// <param name="Pattern">A pattern that must match the whole id; null for all.</param>
public sealed record ListTransactionsCommand(
    IReadOnlySet<TransactionState>? States, IReadOnlySet<long> ProducerIds, long DurationMs, TransactionalIdPattern? Pattern)
        : TransactionCommand<IReadOnlyList<ListTransactionsResponse.TransactionStateData>>;

/// <summary>Counts the ids of one partition, for the metrics.</summary>
public sealed record CountTransactionsCommand : TransactionCommand<TransactionCounts>;

/// <summary>The transactional ids of a coordinator.</summary>
/// <param name="ByState">How many there are in each state that occurs.</param>
/// <param name="OldestStart">When the oldest transaction began that is open, or whose markers are not all written; null for none.</param>
public sealed record TransactionCounts(IReadOnlyDictionary<TransactionState, int> ByState, Instant? OldestStart);

/// <summary>The results of a <see cref="WriteMarkersOutput"/>. The reply is the output's producer.</summary>
/// <param name="Markers">The markers that were to be written.</param>
/// <param name="Results">The result for each partition.</param>
public sealed record MarkersWrittenCommand(WriteMarkersOutput Markers, IReadOnlyDictionary<TopicPartition, ErrorCode> Results)
    : TransactionCommand<ProducerIdAndEpoch>;

/// <summary>The result of an <see cref="AllocateProducerIdOutput"/>. The reply is the id with epoch -1.</summary>
/// <param name="ProducerId">A producer id that was never used; -1 when none could be allocated.</param>
public sealed record ProducerIdAllocatedCommand(long ProducerId) : TransactionCommand<ProducerIdAndEpoch>;

/// <summary>
/// Asks the host for a new producer id. The host answers with a <see cref="ProducerIdAllocatedCommand"/>, also on failure.
/// </summary>
public sealed record AllocateProducerIdOutput : CoordinatorOutput;

/// <summary>
/// Asks the host to write the markers that end a transaction. The host answers with a <see cref="MarkersWrittenCommand"/>.
/// </summary>
/// <param name="TransactionalId">The transactional id.</param>
/// <param name="Producer">The producer id and epoch of the markers.</param>
/// <param name="IsCommit">Whether the transaction commits; otherwise it aborts.</param>
/// <param name="CoordinatorEpoch">The epoch of this coordinator.</param>
/// <param name="TransactionVersion">The transaction version that ends the transaction.</param>
/// <param name="Partitions">The partitions to write to.</param>
public sealed record WriteMarkersOutput(
    string TransactionalId, ProducerIdAndEpoch Producer, bool IsCommit, int CoordinatorEpoch, short TransactionVersion,
        IReadOnlyCollection<TopicPartition> Partitions)
    : CoordinatorOutput;
