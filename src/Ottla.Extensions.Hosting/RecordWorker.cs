using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Ottla.Client;
using Ottla.Protocol.Batches;

namespace Ottla.Extensions.Hosting;

/// <summary>Reads topics in a group, has each record handled, and puts those that are not handled elsewhere.</summary>
/// <remarks>
/// A record counts as processed when it was handled, or is written to the next topic by all in-sync replicas: so it is handled at least
/// once, and never skipped. Records in other topics carry headers that say where they came from and why
/// (<c>ottla-origin-topic</c>, <c>ottla-origin-partition</c>, <c>ottla-origin-offset</c>, <c>ottla-attempts</c>, <c>ottla-error</c>).
/// When something fails that is not the record's (no cluster, no right to write), the worker logs it and begins again after a pause.
/// </remarks>
/// <typeparam name="TKey">The type of keys.</typeparam>
/// <typeparam name="TValue">The type of values.</typeparam>
public sealed class RecordWorker<TKey, TValue> : BackgroundService
{
    private const string OriginTopic = "ottla-origin-topic";
    private const string OriginPartition = "ottla-origin-partition";
    private const string OriginOffset = "ottla-origin-offset";
    private const string Attempts = "ottla-attempts";
    private const string Error = "ottla-error";

    private static readonly string[] OwnHeaders = [OriginTopic, OriginPartition, OriginOffset, Attempts, Error];
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(5);

    private readonly OttlaClient _client;
    private readonly ConsumerOptions _consumerOptions;
    private readonly RecordWorkerOptions _options;
    private readonly IDeserializer<TKey> _keys;
    private readonly IDeserializer<TValue> _values;
    private readonly Func<HandledRecord<TKey, TValue>, CancellationToken, ValueTask> _handler;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, int> _retryIndex;
    private Producer<ReadOnlyMemory<byte>?, ReadOnlyMemory<byte>?>? _producer;

    /// <param name="client">The client.</param>
    /// <param name="consumerOptions">How records are read; with a group.</param>
    /// <param name="options">The topics, and what becomes of records that are not handled.</param>
    /// <param name="keys">Reads keys.</param>
    /// <param name="values">Reads values.</param>
    /// <param name="handler">Handles a record.</param>
    /// <param name="logger">The log.</param>
    /// <exception cref="ArgumentException">An option is wrong.</exception>
    public RecordWorker(
        OttlaClient client, ConsumerOptions consumerOptions, RecordWorkerOptions options, IDeserializer<TKey> keys,
        IDeserializer<TValue> values, Func<HandledRecord<TKey, TValue>, CancellationToken, ValueTask> handler, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(consumerOptions);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (consumerOptions.GroupId is null)
            throw new ArgumentException($"A worker needs a group: set {nameof(ConsumerOptions.GroupId)}, or group.id.");
        if (!consumerOptions.EnableAutoCommit)
            throw new ArgumentException($"A worker commits by itself: leave {nameof(ConsumerOptions.EnableAutoCommit)} on.");
        if (options.RetryTopics.FirstOrDefault(retry => retry.Delay > consumerOptions.MaxPollInterval / 2) is { } late)
        {
            throw new ArgumentException(
                $"Records of {late.Topic} wait for {late.Delay}, which must be at most half of {nameof(ConsumerOptions.MaxPollInterval)} "
                    + $"({consumerOptions.MaxPollInterval}).");
        }

        _client = client;
        _consumerOptions = consumerOptions;
        _options = options;
        _keys = keys;
        _values = values;
        _handler = handler;
        _logger = logger;
        _time = client.Options.TimeProvider;
        _retryIndex = options.RetryTopics.Select((retry, index) => (retry.Topic, index)).ToDictionary(
            each => each.Topic, each => each.index, StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await RunAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (KafkaException e)
            {
                HostingLog.WorkerFailed(_logger, _consumerOptions.GroupId!, e);
                await PauseAsync(stoppingToken);
            }
        }
    }

    private async Task RunAsync(CancellationToken stopping)
    {
        await using var consumer = _client.CreateConsumer<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>(_consumerOptions);
        consumer.Subscribe([.. _options.Topics, .. _options.RetryTopics.Select(retry => retry.Topic)]);
        if (_options.DeadLetterTopic is not null)
            _producer ??= _client.CreateProducer<ReadOnlyMemory<byte>?, ReadOnlyMemory<byte>?>();
        await consumer.ProcessAsync(
            async (record, lost) =>
            {
                using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, lost);
                await HandleAsync(record, either.Token);
            },
            _options.Processing, stopping);
    }

    private async Task PauseAsync(CancellationToken stopping)
    {
        try
        {
            await Task.Delay(PauseAfterFailure, _time, stopping);
        }
        catch (OperationCanceledException)
        {
            // The host stops: the loop ends.
        }
    }

    private async ValueTask HandleAsync(
        ConsumeResult<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> record, CancellationToken cancellation)
    {
        var retried = _retryIndex.TryGetValue(record.Topic, out var index) ? index : -1;
        if (retried >= 0)
            await WaitUntilDueAsync(record, _options.RetryTopics[retried].Delay, cancellation);
        var attempt = record.Headers.TryGetLast(Attempts, out var text) && Utf8Parser.TryParse(text, out int attempts, out _)
            ? attempts + 1 : 1;
        HandledRecord<TKey, TValue> handled;
        try
        {
            handled = Read(record, attempt);
        }
        catch (Exception e) when (_options.DeadLetterTopic is not null)
        {
            HostingLog.Unreadable(_logger, record.TopicPartition.ToString(), record.Offset, _options.DeadLetterTopic, e);
            await MoveAsync(record, _options.DeadLetterTopic, attempt, e, cancellation); // another attempt does not mend it
            return;
        }

        try
        {
            await _handler(handled, cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested && _options.DeadLetterTopic is not null)
        {
            var next = retried + 1 < _options.RetryTopics.Count ? _options.RetryTopics[retried + 1].Topic : _options.DeadLetterTopic;
            HostingLog.NotHandled(_logger, record.TopicPartition.ToString(), record.Offset, attempt, next, e);
            await MoveAsync(record, next, attempt, e, cancellation);
        }
    }

    private HandledRecord<TKey, TValue> Read(ConsumeResult<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> record, int attempt) => new(
        record.HasKey ? _keys.Deserialize(record.Key, new SerializationContext(record.Topic, IsKey: true)) : default,
        record.HasValue ? _values.Deserialize(record.Value, new SerializationContext(record.Topic, IsKey: false)) : default,
        record, attempt);

    private async Task WaitUntilDueAsync(
        ConsumeResult<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> record, TimeSpan delay, CancellationToken cancellation)
    {
        var wait = record.Timestamp + delay - _time.GetUtcNow();
        if (wait > TimeSpan.Zero)
            await Task.Delay(wait < delay ? wait : delay, _time, cancellation); // a clock that is behind does not wait longer
    }

    private async Task MoveAsync(
        ConsumeResult<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> record, string topic, int attempt, Exception error,
        CancellationToken cancellation)
    {
        var known = record.Headers.ToList();
        var headers = known.Where(header => !OwnHeaders.Contains(Encoding.UTF8.GetString(header.Key.Span))).ToList();
        Add(OriginTopic, Known(OriginTopic) ?? record.Topic);
        Add(OriginPartition, Known(OriginPartition) ?? record.Partition.ToString(CultureInfo.InvariantCulture));
        Add(OriginOffset, Known(OriginOffset) ?? record.Offset.ToString(CultureInfo.InvariantCulture));
        Add(Attempts, attempt.ToString(CultureInfo.InvariantCulture));
        Add(Error, $"{error.GetType().FullName}: {error.Message}");
        await _producer!.ProduceAsync(
            new ProducerRecord<ReadOnlyMemory<byte>?, ReadOnlyMemory<byte>?>(
                topic, record.HasKey ? record.Key : null, record.HasValue ? record.Value : null)
            {
                Headers = headers.ToArray(),
            },
            cancellation);

        void Add(string name, string value) => headers.Add(new RecordHeader(name, Encoding.UTF8.GetBytes(value)));

        string? Known(string name) =>
            record.Headers.TryGetLast(name, out var value) ? Encoding.UTF8.GetString(value) : null;
    }
}
