using Ottla.Client.Consumers;
using Ottla.Client.Consumers.Processing;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <inheritdoc cref="IConsumer{TKey, TValue}"/>
public sealed class Consumer<TKey, TValue> : IConsumer<TKey, TValue>
{
    private readonly OttlaClient _client;
    private readonly ConsumerOptions _options;
    private readonly ConsumerEngine _engine;
    private readonly IDeserializer<TKey> _keys;
    private readonly IDeserializer<TValue> _values;

    private bool _hashesKeys;

    /// <summary>Where a batch is gathered before its size is known. Of whoever asks for one, and empty in between.</summary>
    private TakenRecord[] _batch = [];

    /// <summary>Opens a consumer, which connects on first use.</summary>
    /// <param name="client">The client; it closes the consumer when it is closed.</param>
    /// <param name="options">How it reads.</param>
    /// <param name="keyDeserializer">Reads keys; null for the type's own.</param>
    /// <param name="valueDeserializer">Reads values; null for the type's own.</param>
    /// <exception cref="ArgumentException">An option is wrong, or a type has no deserializer of its own.</exception>
    public Consumer(
        OttlaClient client, ConsumerOptions options, IDeserializer<TKey>? keyDeserializer = null,
        IDeserializer<TValue>? valueDeserializer = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        client.ThrowIfControllersOnly();
        _keys = keyDeserializer ?? Deserializers.For<TKey>();
        _values = valueDeserializer ?? Deserializers.For<TValue>();
        _client = client;
        _options = options;
        _engine = new ConsumerEngine(client, options, keepsBytes: _keys.KeepsBytes || _values.KeepsBytes);
        client.Add(this);
    }

    /// <summary>What is behind it.</summary>
    internal ConsumerEngine Engine => _engine;

    /// <inheritdoc/>
    public IReadOnlyCollection<TopicPartition> Assignment => _engine.Assignment;

    /// <inheritdoc/>
    public IReadOnlyCollection<TopicPartition> Paused => _engine.Paused;

    /// <inheritdoc/>
    public ConsumerGroupMetadata? GroupMetadata => _engine.Identity is { } identity
        ? new ConsumerGroupMetadata(identity.GroupId, identity.GenerationOrEpoch, identity.MemberId, identity.InstanceId)
        : null;

    /// <inheritdoc/>
    public void Subscribe(IEnumerable<string> topics, IRebalanceListener? listener = null)
    {
        string[] names = [.. topics];
        if (names.Length == 0 || names.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException("Name at least one topic, and none that is empty.", nameof(topics));
        _engine.Subscribe(names, null, listener);
    }

    /// <inheritdoc/>
    public void SubscribePattern(string pattern, IRebalanceListener? listener = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(pattern);
        _engine.Subscribe([], pattern, listener);
    }

    /// <inheritdoc/>
    public void Assign(IEnumerable<TopicPartition> partitions) => _engine.Assign([.. partitions]);

    /// <inheritdoc/>
    public Task UnsubscribeAsync(CancellationToken cancellation = default) => _engine.UnsubscribeAsync(cancellation);

    /// <inheritdoc/>
    public IAsyncEnumerable<ConsumeResult<TKey, TValue>> ConsumeAsync(CancellationToken cancellation = default) =>
        new RecordStream<ConsumeResult<TKey, TValue>>(_engine, TryTakeRecord, cancellation);

    /// <inheritdoc/>
    public IAsyncEnumerable<ConsumeBatch<TKey, TValue>> ConsumeBatchesAsync(CancellationToken cancellation = default) =>
        new RecordStream<ConsumeBatch<TKey, TValue>>(_engine, TryTakeBatch, cancellation);

    /// <inheritdoc/>
    public IAsyncEnumerable<RawBatch> ConsumeRawBatchesAsync(CancellationToken cancellation = default) =>
        new RecordStream<RawBatch>(_engine, TryTakeRawBatch, cancellation);

    /// <inheritdoc/>
    public async Task ProcessAsync(
        Func<ConsumeResult<TKey, TValue>, CancellationToken, ValueTask> handler, ProcessingOptions? options = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(handler);
        options ??= new ProcessingOptions();
        options.Validate();
        _hashesKeys = options.Order == ProcessingOrder.Key;
        await new RecordProcessor<TKey, TValue>(
            _engine, TryTakeRecord, handler, options, _client.Options, _options.GroupId, cancellation).RunAsync();
    }

    /// <inheritdoc/>
    public async ValueTask<ConsumeResult<TKey, TValue>?> ConsumeOneAsync(TimeSpan timeout, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        cancellation.ThrowIfCancellationRequested();
        if (TryTakeRecord(out var record))
            return record;
        using var over = new CancellationTokenSource(timeout, _client.Options.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(over.Token, cancellation);
        try
        {
            do
            {
                await _engine.WaitAsync(either.Token, cancellation);
            }
            while (!TryTakeRecord(out record));
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return null;
        }

        return record;
    }

    /// <inheritdoc/>
    public void Seek(TopicPartition partition, long offset) => Seek(new PartitionOffset(partition, new CommitOffset(offset)));

    /// <inheritdoc/>
    public void Seek(PartitionOffset offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset.Offset.Offset, nameof(offset));
        _engine.Seek(offset.Partition, offset.Offset);
    }

    /// <inheritdoc/>
    public void SeekToBeginning(IEnumerable<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
            _engine.Seek(partition, null, OffsetLookup.Earliest);
    }

    /// <inheritdoc/>
    public void SeekToEnd(IEnumerable<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
            _engine.Seek(partition, null, OffsetLookup.Latest);
    }

    /// <inheritdoc/>
    public void Pause(IEnumerable<TopicPartition> partitions) => _engine.SetPaused(partitions, isPaused: true);

    /// <inheritdoc/>
    public void Resume(IEnumerable<TopicPartition> partitions) => _engine.SetPaused(partitions, isPaused: false);

    /// <inheritdoc/>
    public long? Position(TopicPartition partition) =>
        _engine.With(partition, known => known.Position >= 0 ? known.Position : (long?)null);

    /// <inheritdoc/>
    public Task<long> PositionAsync(TopicPartition partition, CancellationToken cancellation = default) =>
        _engine.PositionAsync(partition, _client.Options.ApiTimeout, cancellation);

    /// <inheritdoc/>
    public long? Lag(TopicPartition partition) => _engine.With(partition, known =>
    {
        var end = _options.IsolationLevel == IsolationLevel.ReadCommitted ? known.LastStableOffset : known.HighWatermark;
        return end >= 0 && known.Position >= 0 ? Math.Max(0, end - known.Position) : (long?)null;
    });

    /// <inheritdoc/>
    public Task CommitAsync(CancellationToken cancellation = default) => CommitAsync(_engine.Positions(), cancellation);

    /// <inheritdoc/>
    public Task CommitAsync(IReadOnlyCollection<PartitionOffset> offsets, CancellationToken cancellation = default) =>
        _engine.CommitAsync(offsets, _client.Options.ApiTimeout, cancellation);

    /// <inheritdoc/>
    public void StoreOffset(PartitionOffset offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset.Offset.Offset, nameof(offset));
        _engine.Store(offset);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyDictionary<TopicPartition, CommitOffset?>> CommittedAsync(
        IReadOnlyCollection<TopicPartition> partitions, CancellationToken cancellation = default) =>
        await _engine.CommittedAsync(partitions, _client.Options.ApiTimeout, cancellation);

    /// <inheritdoc/>
    public async Task<IReadOnlyDictionary<TopicPartition, TimestampedOffset?>> OffsetsForTimesAsync(
        IReadOnlyDictionary<TopicPartition, DateTimeOffset> times, CancellationToken cancellation = default)
    {
        var timestamps = times.ToDictionary(each => each.Key, each => each.Value.ToUnixTimeMilliseconds());
        foreach (var (partition, timestamp) in timestamps)
        {
            if (timestamp < 0)
                throw new ArgumentOutOfRangeException(nameof(times), $"The time for {partition} is before 1970.");
        }

        var found = await FindAsync(timestamps, cancellation);
        return found.ToDictionary(each => each.Key, each => each.Value.Offset >= 0 ? each.Value : (TimestampedOffset?)null);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyDictionary<TopicPartition, long>> BeginningOffsetsAsync(
        IReadOnlyCollection<TopicPartition> partitions, CancellationToken cancellation = default) =>
        EdgesAsync(partitions, OffsetLookup.Earliest, cancellation);

    /// <inheritdoc/>
    public Task<IReadOnlyDictionary<TopicPartition, long>> EndOffsetsAsync(
        IReadOnlyCollection<TopicPartition> partitions, CancellationToken cancellation = default) =>
        EdgesAsync(partitions, OffsetLookup.Latest, cancellation);

    /// <inheritdoc/>
    public async Task CloseAsync(TimeSpan? timeout = null, bool? leaveGroup = null)
    {
        if (timeout is { } limit)
            ArgumentOutOfRangeException.ThrowIfLessThan(limit, TimeSpan.Zero, nameof(timeout));
        try
        {
            await _engine.CloseAsync(timeout, leaveGroup);
        }
        finally
        {
            _client.Remove(this);
        }
    }

    /// <summary>As <see cref="CloseAsync"/> with the defaults.</summary>
    public async ValueTask DisposeAsync() => await CloseAsync();

    private Task<Dictionary<TopicPartition, TimestampedOffset>> FindAsync(
        Dictionary<TopicPartition, long> timestamps, CancellationToken cancellation) =>
        new OffsetLookup(_client, _options.IsolationLevel).FindAllAsync(timestamps, _client.Options.ApiTimeout, cancellation);

    private async Task<IReadOnlyDictionary<TopicPartition, long>> EdgesAsync(
        IReadOnlyCollection<TopicPartition> partitions, long mark, CancellationToken cancellation)
    {
        var found = await FindAsync(partitions.Distinct().ToDictionary(partition => partition, _ => mark), cancellation);
        return found.ToDictionary(each => each.Key, each => each.Value.Offset);
    }

    private bool TryTakeRecord(out ConsumeResult<TKey, TValue> result)
    {
        if (!_engine.TryTake(out var taken))
        {
            result = default;
            return false;
        }

        result = ToResult(taken);
        NoteReceived(result);
        return true;
    }

    private bool TryTakeRawBatch(out RawBatch batch)
    {
        if (!_engine.TryTakeRaw(out batch))
            return false;
        if (ClientTelemetry.IsTraced)
            ClientTelemetry.NoteReceived<TKey, TValue>(batch.TopicPartition, _options.GroupId, [], batch.RecordCount, Times());
        return true;
    }

    private void NoteReceived(in ConsumeResult<TKey, TValue> record)
    {
        if (ClientTelemetry.IsTraced)
            ClientTelemetry.NoteReceived<TKey, TValue>(record.TopicPartition, _options.GroupId, new(in record), batchCount: null, Times());
    }

    /// <summary>When the call began that is given records now, and when it ends.</summary>
    private (DateTimeOffset Begin, DateTimeOffset End) Times() => (_engine.TakeBeginning(), _engine.UtcNow);

    private bool TryTakeBatch(out ConsumeBatch<TKey, TValue> batch)
    {
        batch = null!;
        var count = _engine.TakeMany(ref _batch, _options.MaxBatchRecords);
        if (count == 0)
            return false;
        var partition = _batch[0].Partition.Partition;
        var records = new ConsumeResult<TKey, TValue>[count];
        var done = 0;
        try
        {
            for (; done < count; done++)
                records[done] = ToResult(_batch[done], done);
        }
        catch (UnreadableRecordException) when (done > 0)
        {
            Array.Resize(ref records, done); // it is met again as the first of the next batch
        }
        finally
        {
            _batch.AsSpan(0, count).Clear(); // or memory of the answer would be kept
        }

        batch = new ConsumeBatch<TKey, TValue>(partition, records);
        if (ClientTelemetry.IsTraced)
            ClientTelemetry.NoteReceived<TKey, TValue>(partition, _options.GroupId, records, records.Length, Times());
        return true;
    }

    /// <param name="taken">The record.</param>
    /// <param name="place">Its place in the batch, if it is one of a batch.</param>
    private ConsumeResult<TKey, TValue> ToResult(in TakenRecord taken, int place = 0)
    {
        var partition = taken.Partition.Partition;
        try
        {
            return new ConsumeResult<TKey, TValue>(
                partition, taken.Offset, taken.LeaderEpoch, taken.TimestampMs, taken.TimestampType)
            {
                HasKey = taken.HasKey,
                Key = taken.HasKey ? _keys.Deserialize(taken.Key, new SerializationContext(partition.Topic, IsKey: true)) : default,
                HasValue = taken.HasValue,
                Value = taken.HasValue
                    ? _values.Deserialize(taken.Value, new SerializationContext(partition.Topic, IsKey: false)) : default,
                Headers = taken.Headers,
                KeyHash = _hashesKeys && taken.HasKey ? Producing.KeyHash.Murmur2(taken.Key.Span) : 0,
            };
        }
        catch (Exception e)
        {
            _engine.PutBack(taken, place == 0 ? null : new CommitOffset(_batch[place - 1].Offset + 1, _batch[place - 1].LeaderEpoch));
            throw new UnreadableRecordException(
                ErrorCode.InvalidRecord, partition, taken.Offset,
                $"The record at offset {taken.Offset} of {partition} cannot be deserialized: {e.Message}", e);
        }
    }
}
