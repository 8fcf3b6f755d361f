using Ottla.Kernel;

namespace Ottla.StateMachines.Transactions;

/// <summary>The coordinator's state of a transactional id: what the log stores, and soft state that is lost with the leadership.</summary>
/// <remarks>Its <see cref="TransactionMachine"/> owns it. It lives from the id's first record to its tombstone.</remarks>
internal sealed class TransactionalId
{
    private const short NoEpoch = -1;

    public TransactionalId(TransactionMetadata metadata)
    {
        Metadata = metadata;
        Apply(metadata);
    }

    /// <summary>The state that is stored in the log.</summary>
    public TransactionMetadata Metadata { get; private set; }

    /// <summary>
    /// The epoch of the producer before the current one; -1 when it belonged to another producer or is unknown. A request with this epoch
    /// is a retry (KIP-360).
    /// </summary>
    public short LastProducerEpoch { get; private set; } = NoEpoch;

    /// <summary>The partitions that still need a marker.</summary>
    public HashSet<TopicPartition> PartitionsWithoutMarker { get; private set; } = [];

    /// <summary>The markers that are being written. Results of other markers are late, perhaps from an earlier transaction.</summary>
    public WriteMarkersOutput? MarkersUnderWay { get; set; }

    /// <summary>The time of the next attempt to write markers or the completion; null when nothing must be retried.</summary>
    public Instant? RetryAt { get; set; }

    /// <summary>Says which epoch a producer comes from, once its new epoch is written.</summary>
    public void RecordEpochBump(short lastEpoch) => LastProducerEpoch = lastEpoch;

    /// <summary>Applies a record that was written.</summary>
    public void Apply(TransactionMetadata metadata)
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
        metadata.ClientTransactionVersion >= TransactionMetadata.EpochBumpingVersion
            && metadata.State is not (TransactionState.Empty or TransactionState.Ongoing);
}
