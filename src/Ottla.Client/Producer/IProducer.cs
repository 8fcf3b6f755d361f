namespace Ottla.Client;

/// <summary>Sends records to topics.</summary>
/// <remarks>
/// Thread-safe. Records of one partition are written in the order of the calls. What can be mended (a leader that moved, a broken
/// connection) is retried until <see cref="ProducerOptions.DeliveryTimeout"/> is over.
/// </remarks>
public interface IProducer<TKey, TValue> : IAsyncDisposable
{
    /// <summary>Sends a record and waits until the cluster has it.</summary>
    /// <param name="record">The record.</param>
    /// <param name="cancellation">
    /// Ends the wait for room and for the topic's metadata. Once the record is in a batch it ends the wait for the outcome only: the record
    /// is sent all the same.
    /// </param>
    /// <returns>Where it is.</returns>
    /// <exception cref="KafkaException">It was not written; the code says why.</exception>
    /// <exception cref="KafkaTimeoutException">The time was over; it may have been written.</exception>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    Task<RecordMetadata> ProduceAsync(ProducerRecord<TKey, TValue> record, CancellationToken cancellation = default);

    /// <summary>Sends records in their order and waits until all have an outcome.</summary>
    /// <param name="records">The records. They are not one unit: some may be written and others not; for all or nothing there are
    /// transactions.</param>
    /// <param name="cancellation">As for one record; those that are in a batch by then are sent all the same.</param>
    /// <returns>The outcome of each, good or bad, in the order of the records.</returns>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    Task<IReadOnlyList<DeliveryResult>> ProduceAsync(
        IReadOnlyCollection<ProducerRecord<TKey, TValue>> records, CancellationToken cancellation = default);

    /// <summary>
    /// Puts a record into the batch that is sent next, and waits for nothing but room in memory and, the first time, for the topic's
    /// metadata.
    /// </summary>
    /// <param name="record">The record.</param>
    /// <param name="onDelivery">
    /// Called with the outcome, in the order of a partition's batches; it must neither wait nor block, since nothing is sent meanwhile.
    /// Null if nobody wants to know.
    /// </param>
    /// <param name="cancellation">Ends the wait; the record is not sent then.</param>
    /// <exception cref="KafkaException">The record is too large, or the topic cannot be used.</exception>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    ValueTask EnqueueAsync(
        ProducerRecord<TKey, TValue> record, Action<DeliveryResult>? onDelivery = null, CancellationToken cancellation = default);

    /// <summary>As <see cref="EnqueueAsync"/>, but never waits.</summary>
    /// <returns>False when there is no room, or the topic's metadata is not known yet (it is asked for).</returns>
    bool TryEnqueue(ProducerRecord<TKey, TValue> record, Action<DeliveryResult>? onDelivery = null);

    /// <summary>Sends all that was enqueued before this call, without lingering, and waits for the outcomes, good or bad.</summary>
    /// <param name="cancellation">Ends the wait only.</param>
    Task FlushAsync(CancellationToken cancellation = default);
}
