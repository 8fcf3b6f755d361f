using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Transactions;

/// <summary>What is asked of the coordinator of transactions. Each says what it is answered with; errors are Kafka's of the newest versions.</summary>
public abstract record TransactionCommand;

/// <summary>InitProducerId of a transactional id. Answered with the <see cref="ProducerIdAndEpoch"/> to use.</summary>
public sealed record InitProducerIdCommand(InitProducerIdRequest Request) : TransactionCommand;

/// <summary>Adds partitions to a transaction, which begins with the first. Answered with the <see cref="ProducerIdAndEpoch"/> of the transaction.</summary>
/// <param name="TransactionalId">Whose transaction.</param>
/// <param name="Producer">Who says so.</param>
/// <param name="Partitions">What to add.</param>
/// <param name="ClientTransactionVersion">The transaction version that the producer goes by.</param>
public sealed record AddPartitionsCommand(
    string TransactionalId, ProducerIdAndEpoch Producer, IReadOnlyCollection<TopicPartition> Partitions, short ClientTransactionVersion) : TransactionCommand;

/// <summary>Asks whether partitions are in a transaction (KIP-890). Answered with the <see cref="IReadOnlyDictionary{TKey, TValue}"/> of partitions to error codes.</summary>
public sealed record VerifyPartitionsCommand(
    string TransactionalId, ProducerIdAndEpoch Producer, IReadOnlyCollection<TopicPartition> Partitions) : TransactionCommand;

/// <summary>EndTxn. Answered with the <see cref="ProducerIdAndEpoch"/> to go on with, which is <see cref="ProducerIdAndEpoch.None"/> below transaction version 2.</summary>
/// <param name="TransactionalId">Whose transaction.</param>
/// <param name="Producer">Who says so.</param>
/// <param name="IsCommit">Committed, else aborted.</param>
/// <param name="ClientTransactionVersion">The transaction version that the producer goes by.</param>
public sealed record EndTransactionCommand(string TransactionalId, ProducerIdAndEpoch Producer, bool IsCommit, short ClientTransactionVersion) : TransactionCommand;

/// <summary>Aborts a transaction that took too long, and fences its producer. The machine asks itself.</summary>
internal sealed record FenceTransactionCommand(string TransactionalId, ProducerIdAndEpoch Producer) : TransactionCommand;

/// <summary>DescribeTransactions of one id. Answered with a <see cref="DescribeTransactionsResponse.TransactionStateData"/>.</summary>
public sealed record DescribeTransactionCommand(string TransactionalId) : TransactionCommand;

/// <summary>ListTransactions of the ids of one partition. Answered with a list of <see cref="ListTransactionsResponse.TransactionStateData"/>.</summary>
/// <param name="States">The states to list; null for all.</param>
/// <param name="ProducerIds">The producer ids to list; empty for all.</param>
/// <param name="DurationMs">Lists only those whose transaction began longer ago; negative for all.</param>
/// <param name="Pattern">Matches the whole of the ids to list; null for all.</param>
public sealed record ListTransactionsCommand(
    IReadOnlySet<TransactionState>? States, IReadOnlySet<long> ProducerIds, long DurationMs, TransactionalIdPattern? Pattern) : TransactionCommand;

/// <summary>What came of a <see cref="WriteMarkersOutput"/>. Answered with the output's producer.</summary>
/// <param name="Markers">What was to be written.</param>
/// <param name="Results">What came of it, for each partition.</param>
public sealed record MarkersWrittenCommand(WriteMarkersOutput Markers, IReadOnlyDictionary<TopicPartition, ErrorCode> Results) : TransactionCommand;

/// <summary>What came of an <see cref="AllocateProducerIdOutput"/>. Answered with the id and epoch -1.</summary>
/// <param name="ProducerId">An id that nobody was ever given; -1 when there is none.</param>
public sealed record ProducerIdAllocatedCommand(long ProducerId) : TransactionCommand;

/// <summary>A producer id is needed: fetch one, and say so with a <see cref="ProducerIdAllocatedCommand"/>, also when there is none.</summary>
public sealed record AllocateProducerIdOutput : CoordinatorOutput;

/// <summary>A transaction ends: write markers to its partitions, and say with a <see cref="MarkersWrittenCommand"/> what came of each.</summary>
/// <param name="TransactionalId">Whose transaction.</param>
/// <param name="Producer">The producer id and epoch of the markers.</param>
/// <param name="IsCommit">Committed, else aborted.</param>
/// <param name="CoordinatorEpoch">The epoch of this coordinator.</param>
/// <param name="TransactionVersion">The transaction version that the transaction ends by.</param>
/// <param name="Partitions">Where to.</param>
public sealed record WriteMarkersOutput(
    string TransactionalId, ProducerIdAndEpoch Producer, bool IsCommit, int CoordinatorEpoch, short TransactionVersion, IReadOnlyCollection<TopicPartition> Partitions)
    : CoordinatorOutput;
