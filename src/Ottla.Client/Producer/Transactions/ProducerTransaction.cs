using Ottla.Client.Producing;

namespace Ottla.Client;

/// <summary>
/// An open transaction: what its producer sends, and the offsets that it commits, are visible to readers of committed records together, or
/// not at all.
/// </summary>
/// <remarks>
/// Opened by <see cref="Producer{TKey, TValue}.BeginTransactionAsync"/>; a producer has one at a time. Disposing it aborts it unless it was
/// committed. Not for calls at the same time.
/// </remarks>
public sealed class ProducerTransaction : IAsyncDisposable
{
    private readonly TransactionManager _manager;
    private readonly ProducerCore _core;
    private bool _isOver;

    internal ProducerTransaction(TransactionManager manager, ProducerCore core)
    {
        _manager = manager;
        _core = core;
    }

    /// <summary>Commits offsets of a group with the transaction.</summary>
    /// <param name="offsets">By partition, where the group goes on.</param>
    /// <param name="group">
    /// The member that has read the records, from its consumer: a member that has lost its partitions meanwhile is refused.
    /// </param>
    /// <param name="cancellation">Ends the wait; the offsets may be committed all the same.</param>
    /// <exception cref="AbortableTransactionException">The transaction has to be aborted.</exception>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="KafkaTimeoutException">The time was over; the transaction has to be aborted.</exception>
    public async Task SendOffsetsAsync(
        IEnumerable<PartitionOffset> offsets, ConsumerGroupMetadata group, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(offsets);
        ArgumentNullException.ThrowIfNull(group);
        ThrowIfOver();
        var beganAt = _core.Timestamp;
        await _manager.SendOffsetsAsync([.. offsets], group, cancellation);
        _core.Metrics?.SendOffsetsTime.Add(_core.NsSince(beganAt));
    }

    /// <summary>Waits until all that was sent is written, and commits.</summary>
    /// <param name="cancellation">Ends the wait; call again to learn the outcome.</param>
    /// <exception cref="AbortableTransactionException">A record was not written: the transaction has to be aborted.</exception>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="KafkaTimeoutException">The time was over; it may be committed. Call again to learn the outcome.</exception>
    public async Task CommitAsync(CancellationToken cancellation = default)
    {
        ThrowIfOver();
        var beganAt = _core.Timestamp;
        await _manager.CommitAsync(cancellation);
        _core.Metrics?.CommitTime.Add(_core.NsSince(beganAt));
        _isOver = true;
    }

    /// <summary>Gives up what was not sent yet, and aborts.</summary>
    /// <param name="cancellation">Ends the wait; call again.</param>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="KafkaTimeoutException">
    /// The time was over. Call again; otherwise the cluster aborts it when its time is over.
    /// </exception>
    public async Task AbortAsync(CancellationToken cancellation = default)
    {
        ThrowIfOver();
        var beganAt = _core.Timestamp;
        await _manager.AbortAsync(cancellation);
        _core.Metrics?.AbortTime.Add(_core.NsSince(beganAt));
        _isOver = true;
    }

    /// <summary>Aborts, unless the transaction is over or its producer cannot go on.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_isOver || _manager.IsUnusable)
            return;
        await AbortAsync();
    }

    private void ThrowIfOver()
    {
        if (_isOver)
            throw new InvalidOperationException("The transaction is over.");
    }
}
