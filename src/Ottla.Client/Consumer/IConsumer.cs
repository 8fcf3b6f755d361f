using Ottla.Kernel;

namespace Ottla.Client;

/// <summary>Reads records of topics.</summary>
/// <remarks>
/// <para>
/// One caller at a time asks for records; all other methods may be called from anywhere, also meanwhile. What can be mended (a leader that
/// moved, a broken connection) is retried for as long as the caller waits.
/// </para>
/// <para>
/// A record counts as processed when the caller asks for the next one: then its offset is stored, and with
/// <see cref="ConsumerOptions.EnableAutoCommit"/> committed some time later, when the partition is given up, and when the consumer is
/// closed. So a record whose processing throws is read again after a restart.
/// </para>
/// </remarks>
/// <typeparam name="TKey">The type of keys.</typeparam>
/// <typeparam name="TValue">The type of values.</typeparam>
public interface IConsumer<TKey, TValue> : IAsyncDisposable
{
    /// <summary>The partitions that are assigned now.</summary>
    IReadOnlyCollection<TopicPartition> Assignment { get; }

    /// <summary>The partitions that are paused.</summary>
    IReadOnlyCollection<TopicPartition> Paused { get; }

    /// <summary>How the group knows this consumer now, for transactions that commit its offsets; null without a group.</summary>
    ConsumerGroupMetadata? GroupMetadata { get; }

    /// <summary>Subscribes to topics, instead of what was subscribed to. The group is joined when the first record is asked for.</summary>
    /// <param name="topics">The topics. They may not exist yet.</param>
    /// <param name="listener">Is told how partitions come and go; null if nobody wants to know.</param>
    /// <exception cref="InvalidOperationException">There is no group, or partitions are assigned by hand.</exception>
    void Subscribe(IEnumerable<string> topics, IRebalanceListener? listener = null);

    /// <summary>Subscribes to all topics whose whole name matches a regular expression, those of the future too.</summary>
    /// <param name="pattern">
    /// The expression. In the newer protocol the cluster resolves it (RE2), in the classic one this consumer does (.NET's, without
    /// backtracking).
    /// </param>
    /// <param name="listener">Is told how partitions come and go; null if nobody wants to know.</param>
    /// <exception cref="ArgumentException">The expression is none.</exception>
    /// <exception cref="InvalidOperationException">There is no group, or partitions are assigned by hand.</exception>
    void SubscribePattern(string pattern, IRebalanceListener? listener = null);

    /// <summary>
    /// Assigns partitions by hand, instead of those that are. Nobody else is told; a group is used for its offsets alone.
    /// </summary>
    /// <exception cref="InvalidOperationException">The group assigns partitions.</exception>
    void Assign(IEnumerable<TopicPartition> partitions);

    /// <summary>Leaves the group and lets go of all partitions.</summary>
    /// <exception cref="KafkaTimeoutException">The group did not answer in time; the partitions are let go all the same.</exception>
    Task UnsubscribeAsync(CancellationToken cancellation = default);

    /// <summary>Reads records one by one, until the token is cancelled.</summary>
    /// <param name="cancellation">Ends the enumeration with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="KafkaException">
    /// Something failed that the caller has to know: it is not allowed, an offset is gone, a record cannot be read
    /// (<see cref="UnreadableRecordException"/>), another member has this one's instance id. Another enumeration goes on.
    /// </exception>
    IAsyncEnumerable<ConsumeResult<TKey, TValue>> ConsumeAsync(CancellationToken cancellation = default);

    /// <summary>Reads records of one partition at a time, as many as are at hand.</summary>
    /// <inheritdoc cref="ConsumeAsync"/>
    IAsyncEnumerable<ConsumeBatch<TKey, TValue>> ConsumeBatchesAsync(CancellationToken cancellation = default);

    /// <summary>
    /// Reads batches as they are stored, without deserializing anything. A batch is valid until the next one is asked for; it counts as
    /// processed then. With a position inside a batch, the batch has earlier records, which <see cref="RawBatch.TryRead"/> leaves out.
    /// </summary>
    /// <inheritdoc cref="ConsumeAsync"/>
    IAsyncEnumerable<RawBatch> ConsumeRawBatchesAsync(CancellationToken cancellation = default);

    /// <summary>
    /// Processes records side by side until the token is cancelled or a handler throws. With automatic commits, a partition is committed up
    /// to its first record that is not processed. Before a partition is given up, what is processed of it ends.
    /// </summary>
    /// <param name="handler">
    /// Processes a record; called on the thread pool. Its token is cancelled when the record's partition is lost, and others may process
    /// the record again. One that takes longer than <see cref="ConsumerOptions.MaxPollInterval"/> loses the consumer its partitions.
    /// </param>
    /// <param name="options">The order and the bounds; null for the defaults.</param>
    /// <param name="cancellation">Ends it: nothing more is begun, and what runs is waited for.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="Exception">A handler has thrown it: its record, and those behind it, were not committed.</exception>
    Task ProcessAsync(
        Func<ConsumeResult<TKey, TValue>, CancellationToken, ValueTask> handler, ProcessingOptions? options = null,
        CancellationToken cancellation = default);

    /// <summary>Reads one record.</summary>
    /// <param name="timeout">How long to wait for it. Calling the listener back is not interrupted by it.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>The record; null when none came in time.</returns>
    /// <inheritdoc cref="ConsumeAsync" path="/exception"/>
    ValueTask<ConsumeResult<TKey, TValue>?> ConsumeOneAsync(TimeSpan timeout, CancellationToken cancellation = default);

    /// <summary>Has a partition go on at an offset.</summary>
    /// <exception cref="InvalidOperationException">The partition is not assigned.</exception>
    void Seek(TopicPartition partition, long offset);

    /// <summary>Has a partition go on at an offset, and checks that no record before it was lost.</summary>
    /// <exception cref="InvalidOperationException">The partition is not assigned.</exception>
    void Seek(PartitionOffset offset);

    /// <summary>Has partitions go on at their first record, which is looked up when it is needed.</summary>
    /// <exception cref="InvalidOperationException">A partition is not assigned.</exception>
    void SeekToBeginning(IEnumerable<TopicPartition> partitions);

    /// <summary>Has partitions go on at their end, which is looked up when it is needed.</summary>
    /// <exception cref="InvalidOperationException">A partition is not assigned.</exception>
    void SeekToEnd(IEnumerable<TopicPartition> partitions);

    /// <summary>Pauses partitions: no record of them is returned after this, and what was fetched is kept.</summary>
    /// <exception cref="InvalidOperationException">A partition is not assigned.</exception>
    void Pause(IEnumerable<TopicPartition> partitions);

    /// <summary>Has paused partitions go on.</summary>
    /// <exception cref="InvalidOperationException">A partition is not assigned.</exception>
    void Resume(IEnumerable<TopicPartition> partitions);

    /// <summary>The offset of the next record that will be returned; null while it is not known.</summary>
    /// <exception cref="InvalidOperationException">The partition is not assigned.</exception>
    long? Position(TopicPartition partition);

    /// <summary>As <see cref="Position"/>, but waits until it is known.</summary>
    Task<long> PositionAsync(TopicPartition partition, CancellationToken cancellation = default);

    /// <summary>
    /// How many offsets lie between the position and the end, as of the last answer; with
    /// <see cref="IsolationLevel.ReadCommitted"/> the end of decided transactions. Null while it is not known.
    /// </summary>
    /// <exception cref="InvalidOperationException">The partition is not assigned.</exception>
    long? Lag(TopicPartition partition);

    /// <summary>Commits the positions of all partitions: of all records that were returned so far.</summary>
    /// <exception cref="CommitFailedException">Others may have the partitions already.</exception>
    /// <exception cref="KafkaException">It failed; the code says why.</exception>
    Task CommitAsync(CancellationToken cancellation = default);

    /// <summary>Commits offsets.</summary>
    /// <param name="offsets">The offsets of the next records to process: <see cref="ConsumeResult{TKey, TValue}.Next"/>.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <inheritdoc cref="CommitAsync(CancellationToken)" path="/exception"/>
    Task CommitAsync(IReadOnlyCollection<PartitionOffset> offsets, CancellationToken cancellation = default);

    /// <summary>Has an offset committed with the next automatic commit, before the next record is asked for.</summary>
    /// <exception cref="InvalidOperationException">The partition is not assigned.</exception>
    void StoreOffset(PartitionOffset offset);

    /// <summary>The offsets that the group has committed; null where there is none.</summary>
    Task<IReadOnlyDictionary<TopicPartition, CommitOffset?>> CommittedAsync(
        IReadOnlyCollection<TopicPartition> partitions, CancellationToken cancellation = default);

    /// <summary>The first offsets whose records are not older than a time; null where there is none.</summary>
    Task<IReadOnlyDictionary<TopicPartition, TimestampedOffset?>> OffsetsForTimesAsync(
        IReadOnlyDictionary<TopicPartition, DateTimeOffset> times, CancellationToken cancellation = default);

    /// <summary>The first offsets of partitions.</summary>
    Task<IReadOnlyDictionary<TopicPartition, long>> BeginningOffsetsAsync(
        IReadOnlyCollection<TopicPartition> partitions, CancellationToken cancellation = default);

    /// <summary>The offsets after the last record of partitions that this consumer could read.</summary>
    Task<IReadOnlyDictionary<TopicPartition, long>> EndOffsetsAsync(
        IReadOnlyCollection<TopicPartition> partitions, CancellationToken cancellation = default);

    /// <summary>
    /// Commits what is processed (with automatic commits), gives the partitions up, leaves the group and closes. It takes no longer than
    /// the time-out, also when nobody answers.
    /// </summary>
    /// <param name="timeout">The time-out; null for <see cref="ConsumerOptions.CloseTimeout"/>.</param>
    /// <param name="leaveGroup">
    /// Whether the group is told (KIP-1092), so that others get the partitions at once. Null for the default: a static member does not tell
    /// a classic group, and tells one of the newer protocol that it comes back.
    /// </param>
    Task CloseAsync(TimeSpan? timeout = null, bool? leaveGroup = null);
}
