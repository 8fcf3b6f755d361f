using System.Collections.Frozen;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Transactions;

/// <summary>What the transaction log says of a transactional id. Immutable: a transition makes another one.</summary>
public sealed record TransactionMetadata
{
    /// <summary>The transaction version from which on every end of a transaction bumps the epoch (KIP-890).</summary>
    public const short EpochBumpingVersion = 2;

    /// <summary>The last epoch that a producer is given: one more must be left to fence it with.</summary>
    public const short LastUsableEpoch = short.MaxValue - 1;

    /// <summary>The version of the log's values that knows more than one producer id.</summary>
    private const short TaggedValueVersion = 1;

    private static readonly FrozenSet<TopicPartition> NoPartitions = FrozenSet<TopicPartition>.Empty;

    /// <summary>The transactional id.</summary>
    public required string TransactionalId { get; init; }

    /// <summary>The producer id in use.</summary>
    public required long ProducerId { get; init; }

    /// <summary>The producer id before the last transition; -1 when it is not known.</summary>
    public long PreviousProducerId { get; init; } = -1;

    /// <summary>The producer id to go on with when the transaction has ended, because the epochs of this one are used up; or -1.</summary>
    public long NextProducerId { get; init; } = -1;

    /// <summary>The epoch in use.</summary>
    public required short ProducerEpoch { get; init; }

    /// <summary>How long a transaction may take; <see cref="int.MaxValue"/> for ever (two-phase commit).</summary>
    public required int TimeoutMs { get; init; }

    /// <summary>Where it stands.</summary>
    public TransactionState State { get; init; } = TransactionState.Empty;

    /// <summary>The partitions of the transaction.</summary>
    public IReadOnlySet<TopicPartition> Partitions { get; init; } = NoPartitions;

    /// <summary>When it last changed.</summary>
    public required long LastUpdateMs { get; init; }

    /// <summary>When the transaction began; -1 before the first.</summary>
    public long StartMs { get; init; } = -1;

    /// <summary>The transaction version of the last request that changed it.</summary>
    public short ClientTransactionVersion { get; init; }

    /// <summary>The producer in use.</summary>
    public ProducerIdAndEpoch Producer => new(ProducerId, ProducerEpoch);

    /// <summary>Whether no producer may be given another epoch of the producer id.</summary>
    public bool IsEpochExhausted => ProducerEpoch >= LastUsableEpoch;

    /// <summary>A transactional id that was never used.</summary>
    public static TransactionMetadata Create(string transactionalId, long producerId, int timeoutMs, Instant now) => new()
    {
        TransactionalId = transactionalId,
        ProducerId = producerId,
        PreviousProducerId = producerId,
        ProducerEpoch = 0,
        TimeoutMs = timeoutMs,
        LastUpdateMs = now.UnixMilliseconds,
    };

    /// <summary>A producer begins anew: no transaction, and another epoch (or the same again, for a retry).</summary>
    public TransactionMetadata Initialize(ProducerIdAndEpoch producer, int timeoutMs, Instant now) => Next(TransactionState.Empty, now) with
    {
        ProducerId = producer.Id,
        ProducerEpoch = producer.Epoch,
        TimeoutMs = timeoutMs,
        Partitions = NoPartitions,
        StartMs = -1,
    };

    /// <summary>Partitions join the transaction.</summary>
    public TransactionMetadata Add(IReadOnlyCollection<TopicPartition> partitions, short clientTransactionVersion, Instant now) => Next(TransactionState.Ongoing, now) with
    {
        Partitions = new HashSet<TopicPartition>([.. Partitions, .. partitions]),
        StartMs = State == TransactionState.Ongoing ? StartMs : now.UnixMilliseconds,
        ClientTransactionVersion = clientTransactionVersion,
    };

    /// <summary>The outcome is decided.</summary>
    /// <param name="isCommit">Which.</param>
    /// <param name="producerEpoch">The epoch that the markers are written with.</param>
    /// <param name="nextProducerId">The producer id to go on with, when the epochs are used up.</param>
    /// <param name="clientTransactionVersion">The transaction version to end by.</param>
    /// <param name="now">The time.</param>
    public TransactionMetadata Prepare(bool isCommit, short producerEpoch, long nextProducerId, short clientTransactionVersion, Instant now) =>
        Next(isCommit ? TransactionState.PrepareCommit : TransactionState.PrepareAbort, now) with
        {
            ProducerEpoch = producerEpoch,
            NextProducerId = nextProducerId,
            StartMs = State == TransactionState.Ongoing ? StartMs : now.UnixMilliseconds,
            ClientTransactionVersion = clientTransactionVersion,
        };

    /// <summary>All markers are written.</summary>
    public TransactionMetadata Complete(Instant now) =>
        Next(State == TransactionState.PrepareCommit ? TransactionState.CompleteCommit : TransactionState.CompleteAbort, now) with
        {
            ProducerId = NextProducerId >= 0 ? NextProducerId : ProducerId,
            ProducerEpoch = NextProducerId >= 0 ? (short)0 : ProducerEpoch,
            NextProducerId = -1,
            Partitions = NoPartitions,
        };

    /// <summary>The record of it.</summary>
    /// <param name="transactionVersion">The finalized transaction version. Version 0 writes the old format, as long as that can say everything.</param>
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
                : [.. Partitions.GroupBy(partition => partition.Topic, StringComparer.Ordinal).OrderBy(topic => topic.Key, StringComparer.Ordinal).Select(topic =>
                    new TransactionLogValue.PartitionsSchema { Topic = topic.Key, PartitionIds = [.. topic.Select(partition => partition.Partition).Order()] })],
            TransactionLastUpdateTimestampMs = LastUpdateMs,
            TransactionStartTimestampMs = StartMs,
            ClientTransactionVersion = ClientTransactionVersion,
        };
        return new CoordinatorRecord(KeyOf(TransactionalId), value, version);
    }

    /// <summary>The record that deletes it.</summary>
    public CoordinatorRecord ToTombstone() => CoordinatorRecord.Tombstone(KeyOf(TransactionalId));

    /// <summary>Reads a record.</summary>
    /// <exception cref="InvalidDataException">It has a state that there is not.</exception>
    public static TransactionMetadata FromRecord(TransactionLogKey key, TransactionLogValue value) => new()
    {
        TransactionalId = key.TransactionalId,
        ProducerId = value.ProducerId,
        PreviousProducerId = value.PreviousProducerId,
        NextProducerId = value.NextProducerId,
        ProducerEpoch = value.ProducerEpoch,
        TimeoutMs = value.TransactionTimeoutMs,
        State = StateOf(value.TransactionStatus, key.TransactionalId),
        Partitions = (value.TransactionPartitions ?? []).SelectMany(topic => topic.PartitionIds.Select(index => new TopicPartition(topic.Topic, index))).ToHashSet(),
        LastUpdateMs = value.TransactionLastUpdateTimestampMs,
        StartMs = value.TransactionStartTimestampMs,
        ClientTransactionVersion = value.ClientTransactionVersion,
    };

    /// <inheritdoc/>
    public bool Equals(TransactionMetadata? other) =>
        other is not null && TransactionalId == other.TransactionalId && Producer == other.Producer && PreviousProducerId == other.PreviousProducerId
        && NextProducerId == other.NextProducerId && TimeoutMs == other.TimeoutMs && State == other.State && Partitions.SetEquals(other.Partitions)
        && LastUpdateMs == other.LastUpdateMs && StartMs == other.StartMs && ClientTransactionVersion == other.ClientTransactionVersion;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(TransactionalId, Producer, State, LastUpdateMs);

    private static TransactionState StateOf(sbyte status, string transactionalId) => Enum.IsDefined((TransactionState)status)
        ? (TransactionState)status
        : throw new InvalidDataException($"The transactional id {transactionalId} has the unknown state {status}.");

    private static TransactionLogKey KeyOf(string transactionalId) => new() { TransactionalId = transactionalId };

    private TransactionMetadata Next(TransactionState state, Instant now) =>
        this with { State = state, PreviousProducerId = ProducerId, LastUpdateMs = Math.Max(LastUpdateMs, now.UnixMilliseconds) };
}
