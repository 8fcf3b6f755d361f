using Ottla.Kernel;

namespace Ottla.Client;

/// <summary>A producer that a partition remembers (DescribeProducers, KIP-664).</summary>
/// <param name="ProducerId">Its id.</param>
/// <param name="ProducerEpoch">Its epoch.</param>
/// <param name="LastSequence">The sequence of its last record; -1 when there is none.</param>
/// <param name="LastTimestamp">The timestamp of its last batch; null when there is none.</param>
/// <param name="CoordinatorEpoch">The epoch of the coordinator that wrote its last marker; -1 when none did.</param>
/// <param name="CurrentTransactionStartOffset">Where its open transaction begins; null when none is open.</param>
public sealed record ProducerDescription(
    long ProducerId, int ProducerEpoch, int LastSequence, DateTimeOffset? LastTimestamp, int CoordinatorEpoch,
    long? CurrentTransactionStartOffset);

/// <summary>Which transactions are listed. Nothing at all for all of them.</summary>
public sealed record ListTransactionsFilter
{
    /// <summary>Those in one of these states: <c>Ongoing</c>, <c>PrepareAbort</c>; empty for all.</summary>
    public IReadOnlyCollection<string> States { get; init; } = [];

    /// <summary>Those of one of these producers; empty for all.</summary>
    public IReadOnlyCollection<long> ProducerIds { get; init; } = [];

    /// <summary>Those that are open for longer (KIP-994); null for all.</summary>
    public TimeSpan? LongerThan { get; init; }

    /// <summary>Those whose transactional id matches this RE2 expression (KIP-1152); null for all.</summary>
    public string? TransactionalIdPattern { get; init; }
}

/// <summary>A transactional id in a list.</summary>
/// <param name="TransactionalId">The id.</param>
/// <param name="ProducerId">Its producer.</param>
/// <param name="State">Its state: <c>Empty</c>, <c>Ongoing</c>, <c>PrepareCommit</c>, <c>PrepareAbort</c>, <c>CompleteCommit</c>,
/// <c>CompleteAbort</c>.</param>
public sealed record ListedTransaction(string TransactionalId, long ProducerId, string State);

/// <summary>A transactional id and its transaction (DescribeTransactions, KIP-664).</summary>
/// <param name="TransactionalId">The id.</param>
/// <param name="State">Its state, as in <see cref="ListedTransaction"/>.</param>
/// <param name="ProducerId">Its producer.</param>
/// <param name="ProducerEpoch">The producer's epoch.</param>
/// <param name="Timeout">How long its transactions may be open.</param>
/// <param name="StartedAt">When the open one began; null when none is open.</param>
/// <param name="Partitions">The partitions of the open one.</param>
public sealed record TransactionDescription(
    string TransactionalId, string State, long ProducerId, short ProducerEpoch, TimeSpan Timeout, DateTimeOffset? StartedAt,
    IReadOnlyList<TopicPartition> Partitions)
{
    /// <summary>The node of its coordinator; null when it has just moved.</summary>
    public int? CoordinatorId { get; init; }
}

/// <summary>A transaction that hangs in a partition, because its coordinator does not know it any more (KIP-664).</summary>
/// <param name="Partition">The partition.</param>
/// <param name="ProducerId">The producer, as <see cref="ProducerDescription"/> tells it.</param>
/// <param name="ProducerEpoch">Its epoch.</param>
/// <param name="CoordinatorEpoch">The epoch of its coordinator; one below zero counts as 0.</param>
public sealed record HangingTransaction(TopicPartition Partition, long ProducerId, short ProducerEpoch, int CoordinatorEpoch);

/// <summary>The producer that fenced the others of a transactional id.</summary>
/// <param name="ProducerId">Its id.</param>
/// <param name="ProducerEpoch">Its epoch.</param>
public readonly record struct FencedProducer(long ProducerId, short ProducerEpoch);
