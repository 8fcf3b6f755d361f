using Ottla.Client.Producing;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.Client;

/// <inheritdoc cref="IProducer{TKey, TValue}"/>
/// <remarks>
/// Opened by <see cref="OttlaClient.CreateProducer{TKey, TValue}"/>. Disposing it sends what was enqueued, as long as
/// <see cref="ProducerOptions.CloseTimeout"/> lets it.
/// </remarks>
public sealed class Producer<TKey, TValue> : IProducer<TKey, TValue>
{
    private readonly OttlaClient _client;
    private readonly ProducerCore _core;
    private readonly ISerializer<TKey> _keys;
    private readonly ISerializer<TValue> _values;

    internal Producer(OttlaClient client, ProducerOptions options, ISerializer<TKey> keys, ISerializer<TValue> values)
    {
        options.Validate(client.Options);
        _client = client;
        _keys = keys;
        _values = values;
        _core = new ProducerCore(client, options);
    }

    /// <inheritdoc/>
    public Task<RecordMetadata> ProduceAsync(ProducerRecord<TKey, TValue> record, CancellationToken cancellation = default)
    {
        var outcome = new TaskCompletionSource<RecordMetadata>(TaskCreationOptions.RunContinuationsAsynchronously);
        ValueTask appending;
        try
        {
            appending = AppendAsync(record, new RecordCallback(outcome), cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return Task.FromCanceled<RecordMetadata>(cancellation);
        }
        catch (Exception e)
        {
            return Task.FromException<RecordMetadata>(e);
        }

        return appending.IsCompletedSuccessfully && !cancellation.CanBeCanceled
            ? outcome.Task
            : AwaitOutcomeAsync(appending, outcome.Task, cancellation);
    }

    /// <summary>Sends a record without headers, with the time of now, and waits until the cluster has it.</summary>
    /// <inheritdoc cref="ProduceAsync(ProducerRecord{TKey, TValue}, CancellationToken)" path="/exception"/>
    public Task<RecordMetadata> ProduceAsync(string topic, TKey? key, TValue? value, CancellationToken cancellation = default) =>
        ProduceAsync(new ProducerRecord<TKey, TValue>(topic, key, value), cancellation);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<DeliveryResult>> ProduceAsync(
        IReadOnlyCollection<ProducerRecord<TKey, TValue>> records, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(records);
        if (records.Count == 0)
            return [];
        var outcomes = new DeliveryOutcomes(records.Count);
        var slot = 0;
        foreach (var record in records)
        {
            try
            {
                await AppendAsync(record, new RecordCallback(outcomes, slot), cancellation);
            }
            catch (KafkaException e) when (e is not FatalProducerException)
            {
                outcomes.Set(slot, new DeliveryResult(
                    new RecordMetadata(
                        record.Topic, record.Partition ?? -1, -1, record.Timestamp ?? _client.Options.TimeProvider.GetUtcNow()),
                    e)); // this one was not taken
            }

            slot++;
        }

        return await outcomes.All.UntilCanceled(cancellation);
    }

    /// <inheritdoc/>
    public ValueTask EnqueueAsync(
        ProducerRecord<TKey, TValue> record, Action<DeliveryResult>? onDelivery = null, CancellationToken cancellation = default) =>
        AppendAsync(record, new RecordCallback(onDelivery), cancellation);

    /// <inheritdoc/>
    public bool TryEnqueue(ProducerRecord<TKey, TValue> record, Action<DeliveryResult>? onDelivery = null)
    {
        using var scratch = RecordScratch.Take();
        return TryAppend(record, scratch, new RecordCallback(onDelivery), TimestampOf(record));
    }

    /// <inheritdoc/>
    public Task FlushAsync(CancellationToken cancellation = default) => _core.FlushAsync(cancellation);

    /// <summary>
    /// Begins a transaction. The first one asks the cluster for the producer's id, which fences older producers of the same name.
    /// </summary>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>The transaction: what is sent until it is committed or aborted belongs to it.</returns>
    /// <exception cref="InvalidOperationException">The producer has no transactional id, or a transaction is open.</exception>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="KafkaTimeoutException">The time was over; the call may be repeated.</exception>
    public async Task<ProducerTransaction> BeginTransactionAsync(CancellationToken cancellation = default)
    {
        var transactions = _core.Transactions
            ?? throw new InvalidOperationException($"Transactions need {nameof(ProducerOptions.TransactionalId)}.");
        var beganAt = _core.Timestamp;
        await transactions.BeginAsync(cancellation);
        _core.Metrics?.BeginTime.Add(_core.NsSince(beganAt));
        return new ProducerTransaction(transactions, _core);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _core.DisposeAsync();
        _client.Remove(this);
    }

    private static async Task<RecordMetadata> AwaitOutcomeAsync(
        ValueTask appending, Task<RecordMetadata> outcome, CancellationToken cancellation)
    {
        await appending;
        return await outcome.UntilCanceled(cancellation);
    }

    private long TimestampOf(in ProducerRecord<TKey, TValue> record) => record.Timestamp?.ToUnixTimeMilliseconds() ?? _core.NowMs;

    private ValueTask AppendAsync(in ProducerRecord<TKey, TValue> record, RecordCallback callback, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return ClientTelemetry.IsTraced
            ? AppendTracedAsync(record, callback, cancellation)
            : AppendUntracedAsync(record, callback, cancellation);
    }

    /// <summary>The activity ends with the outcome of the record, and at once when there will be none.</summary>
    private async ValueTask AppendTracedAsync(
        ProducerRecord<TKey, TValue> record, RecordCallback callback, CancellationToken cancellation)
    {
        var headers = record.Headers;
        var activity = ClientTelemetry.StartSending(record.Topic, ref headers);
        record = record with { Headers = headers };
        if (activity is not null)
            callback = new RecordCallback(new TracedDelivery(activity, callback));
        try
        {
            await AppendUntracedAsync(record, callback, cancellation);
        }
        catch (Exception e)
        {
            if (activity is not null)
            {
                ClientTelemetry.EndSending(
                    activity, new RecordMetadata(record.Topic, record.Partition ?? -1, -1, default),
                    e as KafkaException ?? new KafkaException(ErrorCode.UnknownServerError, e.Message, e));
            }

            throw;
        }
    }

    private ValueTask AppendUntracedAsync(
        in ProducerRecord<TKey, TValue> record, RecordCallback callback, CancellationToken cancellation)
    {
        using var scratch = RecordScratch.Take();
        var timestamp = TimestampOf(record);
        if (TryAppend(record, scratch, callback, timestamp))
            return ValueTask.CompletedTask;
        // The scratch is used again by the next record: what waits has bytes of its own.
        return new ValueTask(_core.AppendAsync(
            record.Topic, record.Partition, timestamp, CopyOf(scratch.Key), CopyOf(scratch.Value), record.Headers, callback, cancellation));
    }

    private bool TryAppend(in ProducerRecord<TKey, TValue> record, RecordScratch scratch, RecordCallback callback, long timestamp)
    {
        ArgumentException.ThrowIfNullOrEmpty(record.Topic);
        scratch.Key = Serialize(_keys, record.Key, record.Topic, isKey: true, scratch.KeyBytes);
        scratch.Value = Serialize(_values, record.Value, record.Topic, isKey: false, scratch.ValueBytes);
        return _core.TryAppend(
            record.Topic, record.Partition, timestamp, NullableBytes.From(scratch.Key), NullableBytes.From(scratch.Value),
            record.Headers.Span, callback);
    }

    private static ReadOnlyMemory<byte>? Serialize<T>(
        ISerializer<T> serializer, T? value, string topic, bool isKey, PooledBufferWriter output)
    {
        if (value is null)
            return null;
        if (serializer is IBytesView<T> bytes)
            return bytes.View(value);
        output.Clear();
        serializer.Serialize(value, output, new SerializationContext(topic, isKey));
        return output.WrittenMemory;
    }

    private static ReadOnlyMemory<byte>? CopyOf(ReadOnlyMemory<byte>? bytes) =>
        bytes is { } some ? some.ToArray() : (ReadOnlyMemory<byte>?)null;
}
