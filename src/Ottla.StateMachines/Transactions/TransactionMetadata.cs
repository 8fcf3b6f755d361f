using System.Collections.Frozen;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Transactions;

/// <summary>The state of a transactional id as stored in the transaction log. Immutable: each transition returns a new object.</summary>
public sealed record TransactionMetadata
{
    /// <summary>The first transaction version in which every end of a transaction raises the epoch (KIP-890).</summary>
    public const short EpochBumpingVersion = 2;

    /// <summary>The last epoch that a producer can get. One more must remain to fence it.</summary>
    public const short LastUsableEpoch = short.MaxValue - 1;

    /// <summary>The first version of the log's values that has the previous and the next producer id.</summary>
    private const short TaggedValueVersion = 1;

    private static readonly FrozenSet<TopicPartition> NoPartitions = FrozenSet<TopicPartition>.Empty;

    /// <summary>The transactional id.</summary>
    public required string TransactionalId { get; init; }

    /// <summary>The current producer id.</summary>
    public required long ProducerId { get; init; }

    /// <summary>The producer id before the last transition; -1 when unknown.</summary>
    public long PreviousProducerId { get; init; } = -1;

    /// <summary>The producer id for the next transaction when this one has no epochs left; otherwise -1.</summary>
    public long NextProducerId { get; init; } = -1;

    /// <summary>The current epoch.</summary>
    public required short ProducerEpoch { get; init; }

    /// <summary>The transaction timeout; <see cref="int.MaxValue"/> means none (two-phase commit).</summary>
    public required int TimeoutMs { get; init; }

    /// <summary>The state of the transaction.</summary>
    public TransactionState State { get; init; } = TransactionState.Empty;

    /// <summary>The partitions of the transaction.</summary>
    public IReadOnlySet<TopicPartition> Partitions { get; init; } = NoPartitions;

    /// <summary>The time of the last change.</summary>
    public required long LastUpdateMs { get; init; }

    /// <summary>The time at which the transaction began; -1 before the first.</summary>
    public long StartMs { get; init; } = -1;

    /// <summary>The transaction version of the last request that changed the transaction.</summary>
    public short ClientTransactionVersion { get; init; }

    /// <summary>The current producer.</summary>
    public ProducerIdAndEpoch Producer => new(ProducerId, ProducerEpoch);

    /// <summary>Whether the producer id has no epoch left for another producer.</summary>
    public bool IsEpochExhausted => ProducerEpoch >= LastUsableEpoch;

    /// <summary>Makes the state of a new transactional id.</summary>
    public static TransactionMetadata Create(string transactionalId, long producerId, int timeoutMs, Instant now) => new()
    {
        TransactionalId = transactionalId,
        ProducerId = producerId,
        PreviousProducerId = producerId,
        ProducerEpoch = 0,
        TimeoutMs = timeoutMs,
        LastUpdateMs = now.UnixMilliseconds,
    };

    /// <summary>A producer initializes: there is no transaction, and the epoch is new (or the same, for a retry).</summary>
    public TransactionMetadata Initialize(ProducerIdAndEpoch producer, int timeoutMs, Instant now) => Next(TransactionState.Empty, now) with
    {
        ProducerId = producer.Id,
        ProducerEpoch = producer.Epoch,
        TimeoutMs = timeoutMs,
        Partitions = NoPartitions,
        StartMs = -1,
    };

    /// <summary>Adds partitions to the transaction.</summary>
    public TransactionMetadata Add(IReadOnlyCollection<TopicPartition> partitions, short clientTransactionVersion, Instant now) =>
        Next(TransactionState.Ongoing, now) with
        {
            Partitions = new HashSet<TopicPartition>([.. Partitions, .. partitions]),
            StartMs = State == TransactionState.Ongoing ? StartMs : now.UnixMilliseconds,
            ClientTransactionVersion = clientTransactionVersion,
        };

    /// <summary>Decides the outcome.</summary>
    /// <param name="isCommit">Whether to commit; otherwise the transaction is aborted.</param>
    /// <param name="producerEpoch">The epoch of the markers.</param>
    /// <param name="nextProducerId">The next producer id when no epochs are left; otherwise -1.</param>
    /// <param name="clientTransactionVersion">The transaction version that ends the transaction.</param>
    /// <param name="now">The time.</param>
    public TransactionMetadata Prepare(
        bool isCommit, short producerEpoch, long nextProducerId, short clientTransactionVersion, Instant now) =>
        Next(isCommit ? TransactionState.PrepareCommit : TransactionState.PrepareAbort, now) with
        {
            ProducerEpoch = producerEpoch,
            NextProducerId = nextProducerId,
            StartMs = State == TransactionState.Ongoing ? StartMs : now.UnixMilliseconds,
            ClientTransactionVersion = clientTransactionVersion,
        };

    /// <summary>Ends the transaction after all markers are written.</summary>
    public TransactionMetadata Complete(Instant now) =>
        Next(State == TransactionState.PrepareCommit ? TransactionState.CompleteCommit : TransactionState.CompleteAbort, now) with
        {
            ProducerId = NextProducerId >= 0 ? NextProducerId : ProducerId,
            ProducerEpoch = NextProducerId >= 0 ? (short)0 : ProducerEpoch,
            NextProducerId = -1,
            Partitions = NoPartitions,
        };

    /// <summary>The record of this state.</summary>
    /// <param name="transactionVersion">
    /// The finalized transaction version. Version 0 writes the old format as long as it can hold all fields.
    /// </param>
    public CoordinatorRecord ToRecord(short transactionVersion)
    {
        var version = transactionVersion > 0 || ClientTransactionVersion > 0 || NextProducerId >= 0 ? TaggedValueVersion : (short)0;
        var value = new TransactionLogValue
        {
            ProducerId = ProducerId,
            PreviousProducerId = version >= TaggedValueVersion ? PreviousProducerId : -1,
            NextProducerId = NextProducerId,
            ProducerEpoch = ProducerEpoch,
            TransactionTimeoutMs = TimeoutMs,
            TransactionStatus = (sbyte)State,
            TransactionPartitions = State == TransactionState.Empty ? null
                : [.. Partitions.GroupBy(partition => partition.Topic, StringComparer.Ordinal)
                    .OrderBy(topic => topic.Key, StringComparer.Ordinal).Select(topic =>
                    new TransactionLogValue.PartitionsSchema { Topic = topic.Key,
                        PartitionIds = [.. topic.Select(partition => partition.Partition).Order()] })],
            TransactionLastUpdateTimestampMs = LastUpdateMs,
            TransactionStartTimestampMs = StartMs,
            ClientTransactionVersion = ClientTransactionVersion,
        };
        return new CoordinatorRecord(KeyOf(TransactionalId), value, version);
    }

    /// <summary>The record that deletes the id.</summary>
    public CoordinatorRecord ToTombstone() => CoordinatorRecord.Tombstone(KeyOf(TransactionalId));

    /// <summary>Reads a record.</summary>
    /// <exception cref="InvalidDataException">The record has an unknown state.</exception>
    public static TransactionMetadata FromRecord(TransactionLogKey key, TransactionLogValue value) => new()
    {
        TransactionalId = key.TransactionalId,
        ProducerId = value.ProducerId,
        PreviousProducerId = value.PreviousProducerId,
        NextProducerId = value.NextProducerId,
        ProducerEpoch = value.ProducerEpoch,
        TimeoutMs = value.TransactionTimeoutMs,
        State = StateOf(value.TransactionStatus, key.TransactionalId),
        Partitions = (value.TransactionPartitions ?? [])
            .SelectMany(topic => topic.PartitionIds.Select(index => new TopicPartition(topic.Topic, index))).ToHashSet(),
        LastUpdateMs = value.TransactionLastUpdateTimestampMs,
        StartMs = value.TransactionStartTimestampMs,
        ClientTransactionVersion = value.ClientTransactionVersion,
    };

    /// <inheritdoc/>
    public bool Equals(TransactionMetadata? other) =>
        other is not null && TransactionalId == other.TransactionalId && Producer == other.Producer
            && PreviousProducerId == other.PreviousProducerId
        && NextProducerId == other.NextProducerId && TimeoutMs == other.TimeoutMs && State == other.State
            && Partitions.SetEquals(other.Partitions)
        && LastUpdateMs == other.LastUpdateMs && StartMs == other.StartMs && ClientTransactionVersion == other.ClientTransactionVersion;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(TransactionalId, Producer, State, LastUpdateMs);

    private static TransactionState StateOf(sbyte status, string transactionalId) => Enum.IsDefined((TransactionState)status)
        ? (TransactionState)status
        : throw new InvalidDataException($"The transaction log has the unknown state {status} for transactional id {transactionalId}.");

    private static TransactionLogKey KeyOf(string transactionalId) => new() { TransactionalId = transactionalId };

    private TransactionMetadata Next(TransactionState state, Instant now) =>
        this with { State = state, PreviousProducerId = ProducerId, LastUpdateMs = Math.Max(LastUpdateMs, now.UnixMilliseconds) };
}
