using Microsoft.Extensions.Logging;
using Ottla.Client.Calls;
using Ottla.Client.Cluster;
using Ottla.Client.Push;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.Client.Producing;

/// <summary>A producer of bytes: what <see cref="Producer{TKey, TValue}"/> stands on. Thread-safe.</summary>
internal sealed partial class ProducerCore : IAsyncDisposable
{
    private readonly OttlaClient _client;
    private readonly ProducerOptions _options;
    private readonly ProducerContext _context;
    private readonly RecordAccumulator _accumulator;
    private readonly ProducerSender _sender;
    private readonly ConnectionGroup _connections;
    private readonly MetadataInterest _interest;
    private readonly ProducerMetrics? _metrics;
    private readonly TelemetryReporter? _reporter;
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _lock = new();

    /// <summary>
    /// Records that wait for metadata or memory: each ends when its record is in a batch, or is given up. Guarded by the lock.
    /// </summary>
    private readonly HashSet<Task> _waiting = [];
    private int _isClosed;

    /// <param name="client">The client.</param>
    /// <param name="options">The producer's options, which are valid.</param>
    public ProducerCore(OttlaClient client, ProducerOptions options)
    {
        _client = client;
        _options = options;
        if (TelemetryReporter.IsOn(client))
        {
            _metrics = new ProducerMetrics(client, () => _connections!.PendingCount);
            _reporter = new TelemetryReporter(client, _metrics, Labels);
        }

        _context = new ProducerContext(
            options, client.Memory, client.Connections.Buffers, client.Options.TimeProvider, client.LoggerFor<ProducerSender>(),
            options.RackAwarePartitioning ? client.Options.ClientRack : null, _metrics);
        var signal = new SenderSignal(client.Options.TimeProvider);
        _accumulator = new RecordAccumulator(_context, client.NewRandom, signal.Set);
        _connections = client.Connections.OpenGroup(channel => channel with { InFlightMax = options.InFlightMax, Observer = _metrics });
        _interest = client.Metadata.OpenInterest();
        Transactions = options.TransactionalId is null ? null : new TransactionManager(client, options);
        _sender = new ProducerSender(client, _context, _accumulator, _connections, signal, Transactions)
        {
            OnStarted = _reporter is null ? null : _reporter.EnsureStarted,
        };
        if (Transactions is null)
            return;
        Transactions.FlushAsync = FlushOpenAsync;
        Transactions.Wake = signal.Set;
        Transactions.Fail = _sender.Fail;
    }

    /// <summary>The transactions; null without a transactional id.</summary>
    public TransactionManager? Transactions { get; }

    /// <summary>What is measured for the cluster; null when nothing is pushed.</summary>
    public ProducerMetrics? Metrics => _metrics;

    /// <summary>The time, in milliseconds since the epoch.</summary>
    public long NowMs => _context.Time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Appends a record, if the topic is known and there is room.</summary>
    /// <returns>Whether it was appended. If not, the topic's metadata is asked for.</returns>
    /// <exception cref="KafkaException">The record is too large, or the producer cannot go on.</exception>
    public bool TryAppend(
        string topic, int? partition, long timestamp, NullableBytes key, NullableBytes value, ReadOnlySpan<RecordHeader> headers,
        RecordCallback callback)
    {
        ThrowIfUnusable();
        var entry = _accumulator.Entry(topic);
        if (entry.HasWaiting)
            return false;
        if (entry.Queues is not { } queues)
        {
            _interest.Add(topic);
            if (_client.Metadata.Current.Topic(topic) is not { Error: ErrorCode.None, Partitions.Length: > 0 } known)
            {
                _client.Metadata.RequestUpdateOf(topic);
                return false;
            }

            queues = _accumulator.Update(entry, known, _client.Metadata.Current.RackOf);
        }

        _sender.EnsureStarted();
        var takenBytes = 0L;
        try
        {
            return _accumulator.Append(queues, partition, timestamp, key, value, headers, callback, ref takenBytes) == 0;
        }
        catch (KafkaException e)
        {
            Transactions?.OnRecordRefused(Transactions.Number, e);
            throw;
        }
    }

    /// <summary>Appends a record, and waits as long as <see cref="ProducerOptions.MaxBlock"/> for what it takes.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="partition">The partition; null to have it chosen.</param>
    /// <param name="timestamp">The timestamp, in milliseconds since the epoch.</param>
    /// <param name="key">The key; its memory is not changed meanwhile.</param>
    /// <param name="value">The value; its memory is not changed meanwhile.</param>
    /// <param name="headers">The headers.</param>
    /// <param name="callback">Who wants to know the outcome.</param>
    /// <param name="cancellation">Ends the wait; the record is not sent then.</param>
    /// <exception cref="KafkaException">The topic cannot be used, or the producer cannot go on.</exception>
    public async Task AppendAsync(
        string topic, int? partition, long timestamp, ReadOnlyMemory<byte>? key, ReadOnlyMemory<byte>? value,
        ReadOnlyMemory<RecordHeader> headers, RecordCallback callback, CancellationToken cancellation)
    {
        ThrowIfUnusable();
        var (transaction, aborted) = Transactions?.Open() ?? (null, CancellationToken.None);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
            _waiting.Add(ended.Task);
        try
        {
            await AppendInTurnAsync(topic, partition, timestamp, key, value, headers, callback, transaction, aborted, cancellation);
        }
        catch (OperationCanceledException) when (aborted.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            ThrowIfUnusable(transaction);
            throw;
        }
        catch (KafkaException e)
        {
            Transactions?.OnRecordRefused(transaction!.Value, e);
            throw;
        }
        finally
        {
            lock (_lock)
                _waiting.Remove(ended.Task);
            ended.SetResult();
        }
    }

    private async Task AppendInTurnAsync(
        string topic, int? partition, long timestamp, ReadOnlyMemory<byte>? key, ReadOnlyMemory<byte>? value,
        ReadOnlyMemory<RecordHeader> headers, RecordCallback callback, long? transaction, CancellationToken aborted,
        CancellationToken cancellation)
    {
        using var deadline = new CallDeadline(_options.MaxBlock, _context.Time, cancellation);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _closing.Token, aborted);
        var entry = _accumulator.Entry(topic);
        var isTurn = false;
        var takenBytes = 0L;
        try
        {
            _interest.Add(topic);
            await entry.BeginAsync(either.Token);
            isTurn = true;
            var queues = entry.Queues ?? _accumulator.Update(
                entry, await _client.Metadata.TopicAsync(topic, either.Token), _client.Metadata.Current.RackOf);
            while (true)
            {
                ThrowIfUnusable(transaction);
                _sender.EnsureStarted();
                var missingBytes = _accumulator.Append(
                    queues, partition, timestamp, NullableBytes.From(key), NullableBytes.From(value), headers.Span, callback,
                    ref takenBytes);
                if (missingBytes == 0)
                    return;
                GiveBack();
                await _client.Memory.TakeAsync(missingBytes, either.Token);
                takenBytes = missingBytes;
            }
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            throw new ObjectDisposedException("The producer was closed while a record waited for room.", (Exception?)null);
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            throw entry.Queues is null
                ? deadline.TimedOut($"Waiting for the metadata of topic {topic}", ReasonOf(topic), null)
                : deadline.TimedOut(
                    "Waiting for memory", $"{_client.Memory.TakenBytes} bytes are taken by records that are not sent yet", null);
        }
        finally
        {
            GiveBack();
            if (isTurn)
                entry.End();
        }

        void GiveBack()
        {
            if (takenBytes > 0)
                _client.Memory.Return(takenBytes);
            takenBytes = 0;
        }
    }

    /// <summary>See <see cref="IProducer{TKey, TValue}.FlushAsync"/>.</summary>
    public async Task FlushAsync(CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_isClosed != 0, typeof(Producer<,>));
        var beganAt = Timestamp;
        await FlushOpenAsync(cancellation);
        _metrics?.FlushTime.Add(NsSince(beganAt));
    }

    /// <summary>A timestamp of the clock, for <see cref="NsSince"/>.</summary>
    public long Timestamp => _context.Time.GetTimestamp();

    /// <summary>The ns since a timestamp of the clock.</summary>
    public long NsSince(long timestamp)
    {
        const int nsPerTick = 100;
        return _context.Time.GetElapsedTime(timestamp).Ticks * nsPerTick;
    }

    /// <summary>Sends what it can within <see cref="ProducerOptions.CloseTimeout"/>, and closes.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
            return;
        _closing.Cancel();
        using (var deadline = new CancellationTokenSource(_options.CloseTimeout, _context.Time))
        {
            try
            {
                await FlushOpenAsync(deadline.Token);
            }
            catch (OperationCanceledException)
            {
                LogNotFlushed(_context.Logger, _accumulator.Incomplete().Count, (long)_options.CloseTimeout.TotalMilliseconds);
            }
        }

        await _sender.StopAsync(new KafkaException(ErrorCode.NetworkException, "The producer was closed before the record was written"));
        if (_reporter is not null)
            await _reporter.DisposeAsync();
        _interest.Dispose();
        await _connections.DisposeAsync();
        Transactions?.Dispose();
        _closing.Dispose();
    }

    private async Task FlushOpenAsync(CancellationToken cancellation)
    {
        Task[] waiting;
        lock (_lock)
            waiting = [.. _waiting];
        _sender.BeginFlush();
        try
        {
            foreach (var record in waiting)
                await record.UntilCanceled(cancellation);
            foreach (var batch in _accumulator.Incomplete())
                await batch.DoneAsync().UntilCanceled(cancellation);
        }
        finally
        {
            _sender.EndFlush();
        }
    }

    private IEnumerable<MetricLabel> Labels()
    {
        if (_options.TransactionalId is { } id)
            yield return new MetricLabel("transactional_id", id);
        if (_client.Options.ClientRack is { } rack)
            yield return new MetricLabel("client_rack", rack);
    }

    private string? ReasonOf(string topic) =>
        _client.Metadata.Current.Topic(topic) is { } known ? $"it is {known.Error.ToKafkaName()}" : _client.Metadata.LastFailure;

    /// <param name="transaction">The transaction that a record was given to; null for the open one.</param>
    private void ThrowIfUnusable(long? transaction = null)
    {
        ObjectDisposedException.ThrowIf(_isClosed != 0, typeof(Producer<,>));
        if (_sender.Fatal is { } fatal)
            throw new FatalProducerException(fatal.ErrorCode, "The producer cannot go on", fatal);
        Transactions?.ThrowIfNotOpen(transaction);
    }

    [LoggerMessage(
        EventId = 113, Level = LogLevel.Warning,
        Message = "{Batches} batches were not written within the {TimeoutMs} ms that closing may take")]
    private static partial void LogNotFlushed(ILogger logger, int batches, long timeoutMs);
}
