using Ottla.Kernel;

namespace Ottla.StateMachines.Transactions;

/// <summary>A transactional id as its coordinator has it: what the log says, and what is known beside it until the leadership is lost.</summary>
/// <remarks>Owned by its <see cref="TransactionMachine"/>. Lives from its first record to its tombstone.</remarks>
internal sealed class TransactionalId
{
    private const short NoEpoch = -1;

    public TransactionalId(TransactionMetadata metadata)
    {
        Metadata = metadata;
        Take(metadata);
    }

    /// <summary>What the log says.</summary>
    public TransactionMetadata Metadata { get; private set; }

    /// <summary>The epoch that the producer had before it was given the one in use; -1 when that is another's or not known. A producer that names it repeats itself (KIP-360).</summary>
    public short LastProducerEpoch { get; private set; } = NoEpoch;

    /// <summary>The partitions that still need a marker.</summary>
    public HashSet<TopicPartition> PartitionsWithoutMarker { get; private set; } = [];

    /// <summary>The markers that are being written: an answer about any other is late, and may be about an earlier transaction.</summary>
    public WriteMarkersOutput? MarkersUnderWay { get; set; }

    /// <summary>When to try again to write markers, or the completion; null while nothing is to be tried.</summary>
    public Instant? RetryAt { get; set; }

    /// <summary>Says which epoch a producer comes from, once its new epoch is written.</summary>
    public void RecordEpochBump(short lastEpoch) => LastProducerEpoch = lastEpoch;

    /// <summary>Takes over what was written.</summary>
    public void Take(TransactionMetadata metadata)
    {
        if (EndedByEpochBump(metadata))
            LastProducerEpoch = metadata.ProducerEpoch > 0 ? (short)(metadata.ProducerEpoch - 1) : TransactionMetadata.LastUsableEpoch;
        else if (metadata.Producer != Metadata.Producer)
            LastProducerEpoch = NoEpoch;
        Metadata = metadata;
        PartitionsWithoutMarker = metadata.State.IsCompleting() ? [.. metadata.Partitions] : [];
        RetryAt = null;
    }

    private static bool EndedByEpochBump(TransactionMetadata metadata) =>
        metadata.ClientTransactionVersion >= TransactionMetadata.EpochBumpingVersion && metadata.State is not (TransactionState.Empty or TransactionState.Ongoing);
}
