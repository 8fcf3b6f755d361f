using System.Buffers;
using Microsoft.Extensions.Logging;
using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Push;

/// <summary>The loop that pushes the metrics of one producer or consumer, as long as the cluster wants them (KIP-714).</summary>
/// <remarks>
/// It opens no connection to find out whether the cluster wants them: it looks at what the nodes of open connections offer, whenever the
/// metadata has changed. Lives from the owner's first request until it is disposed.
/// </remarks>
internal sealed partial class TelemetryReporter : IAsyncDisposable
{
    /// <summary>How long the last push may take when its owner is closed.</summary>
    private static readonly TimeSpan LastPushTimeout = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly OttlaClient _client;
    private readonly MetricSet _metrics;
    private readonly Func<IEnumerable<MetricLabel>> _resource;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LoopSignal _signal;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;

    // Guarded by _lock.
    private Task? _loop;
    private volatile bool _isClosing;

    // Owned by the loop.
    private readonly TelemetryMachine _machine;
    private readonly Instant _beganAt;
    private Instant _toldAt;
    private bool _isOffered;

    /// <param name="client">The client.</param>
    /// <param name="metrics">What is pushed.</param>
    /// <param name="resource">Says whose metrics they are.</param>
    public TelemetryReporter(OttlaClient client, MetricSet metrics, Func<IEnumerable<MetricLabel>> resource)
    {
        _client = client;
        _metrics = metrics;
        _resource = resource;
        _time = client.Options.TimeProvider;
        _logger = client.LoggerFor<TelemetryReporter>();
        _signal = new LoopSignal(_time);
        _closed = _closing.Token;
        _beganAt = _toldAt = Instant.Now(_time);
        _machine = new TelemetryMachine(_beganAt);
    }

    /// <summary>Whether the client pushes metrics at all.</summary>
    public static bool IsOn(OttlaClient client) => client.Options.EnableMetricsPush && !client.Options.UsesControllers;

    /// <summary>Starts the loop, once. Any thread may call it.</summary>
    public void EnsureStarted()
    {
        if (Volatile.Read(ref _loop) is not null)
            return;
        lock (_lock)
        {
            if (_loop is not null || _isClosing)
                return;
            _client.Metadata.Changed += OnMetadataChanged;
            _loop = Detached.Start(_client.Options, RunAsync);
        }
    }

    /// <summary>Pushes for the last time, if there is something to push and a node answers soon, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        Task? loop;
        lock (_lock)
        {
            if (_isClosing)
                return;
            _isClosing = true;
            loop = _loop;
        }

        if (loop is not null)
        {
            _client.Metadata.Changed -= OnMetadataChanged;
            _signal.Set();
            using var tooLong = new CancellationTokenSource(LastPushTimeout, _time);
            using (tooLong.Token.UnsafeRegister(static closing => ((CancellationTokenSource)closing!).Cancel(), _closing))
                await loop;
        }

        _closing.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                if (_isClosing)
                    _machine.OnClose();
                _isOffered |= FindNode() is not null;
                var isUnknown = !_isOffered && !_isClosing;
                switch (isUnknown ? TelemetryStep.Wait : _machine.Advance(Instant.Now(_time)))
                {
                    case TelemetryStep.Wait:
                        await _signal.WaitAsync(isUnknown ? null : _machine.NextDeadline, _closed);
                        break;
                    case TelemetryStep.Subscribe:
                        await SubscribeAsync();
                        break;
                    case TelemetryStep.Push:
                        await PushAsync(isLast: false);
                        break;
                    case TelemetryStep.PushLast:
                        await PushAsync(isLast: true);
                        return;
                    case TelemetryStep.End:
                        return;
                }
            }
        }
        catch (OperationCanceledException) when (_closed.IsCancellationRequested)
        {
            // The owner is closed, and its time for this is over.
        }
        catch (ObjectDisposedException)
        {
            // The client is closed.
        }
        catch (Exception e)
        {
            LogFailed(_logger, e); // the owner goes on without
        }
    }

    private async Task SubscribeAsync()
    {
        var channel = FindNode() ?? _client.Calls.AnyNode();
        try
        {
            var answer = await channel.SendAsync<GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse>(
                new GetTelemetrySubscriptionsRequest { ClientInstanceId = _machine.ClientInstanceId }, cancellation: _closed);
            var isNew = _machine.Subscription is null;
            _machine.OnSubscription(Instant.Now(_time), answer);
            if (isNew && _machine.Subscription is { } subscription)
                LogRegistered(_logger, subscription.ClientInstanceId, subscription.IntervalMs);
            LogIfEnded();
        }
        catch (RequestFailedException e)
        {
            OnNoAnswer(e);
        }
    }

    private async Task PushAsync(bool isLast)
    {
        var subscription = _machine.Subscription!;
        var now = Instant.Now(_time);
        var isSent = false;
        try
        {
            var channel = FindNode() ?? _client.Calls.AnyNode();
            if (isLast && !channel.IsConnected)
                return; // nobody waits for a connection then
            var (compression, payload) = Collect(subscription, now);
            isSent = true;
            var answer = await channel.SendAsync<PushTelemetryRequest, PushTelemetryResponse>(
                new PushTelemetryRequest
                {
                    ClientInstanceId = subscription.ClientInstanceId,
                    SubscriptionId = subscription.Id,
                    Terminating = isLast,
                    CompressionType = (sbyte)compression,
                    Metrics = payload,
                },
                cancellation: _closed);
            if (_machine.OnPushed(Instant.Now(_time), (ErrorCode)answer.ErrorCode, answer.ThrottleTimeMs))
                OnTold(now);
            LogIfEnded();
        }
        catch (RequestFailedException e)
        {
            if (isSent && e.MayHaveBeenExecuted)
                OnTold(now); // rather missing in the sums than in them twice
            OnNoAnswer(e);
        }
    }

    /// <summary>What the cluster wants to know now.</summary>
    private (CompressionType Compression, byte[] Payload) Collect(TelemetrySubscription subscription, Instant now)
    {
        var writer = new OtlpMetricsWriter(_resource(), subscription.BytesMax);
        _metrics.Collect(new MetricsCollection(subscription, writer, _beganAt, _toldAt, now));
        if (writer.LeftOut > 0)
            LogLeftOut(_logger, writer.LeftOut, subscription.BytesMax);
        var plain = new ArrayBufferWriter<byte>();
        writer.WriteTo(plain);
        var compression = _machine.Compression;
        if (compression == CompressionType.None)
            return (compression, plain.WrittenSpan.ToArray());
        var compressed = new ArrayBufferWriter<byte>();
        var codec = CompressionCodecs.For(compression);
        codec.Compress(plain.WrittenSpan, codec.Levels.Default, compressed);
        return (compression, compressed.WrittenSpan.ToArray());
    }

    private void OnTold(Instant collectedAt)
    {
        _metrics.OnTold();
        _toldAt = collectedAt;
    }

    private void OnNoAnswer(RequestFailedException failure)
    {
        if (failure.Kind == RequestFailureKind.UnsupportedVersion)
            _machine.OnUnsupported(Instant.Now(_time));
        else
            _machine.OnNoAnswer(Instant.Now(_time));
    }

    /// <summary>A connected node that takes metrics; null when there is none.</summary>
    private RequestChannel? FindNode() =>
        _client.Connections.Shared.FindConnected(static channel => channel.VersionOf(ApiKey.GetTelemetrySubscriptions) is not null);

    private void OnMetadataChanged(ClusterImage before, ClusterImage after) => _signal.Set();

    private void LogIfEnded()
    {
        if (_machine.EndedBy != ErrorCode.None)
            LogEnded(_logger, _machine.EndedBy.ToKafkaName());
    }

    [LoggerMessage(EventId = 130, Level = LogLevel.Information,
        Message = "The cluster takes metrics of this client as {ClientInstanceId}, every {IntervalMs} ms")]
    private static partial void LogRegistered(ILogger logger, Uuid clientInstanceId, int intervalMs);

    [LoggerMessage(EventId = 131, Level = LogLevel.Warning,
        Message = "The cluster refuses this client's metrics ({Error}): no more are pushed")]
    private static partial void LogEnded(ILogger logger, string error);

    [LoggerMessage(EventId = 132, Level = LogLevel.Warning,
        Message = "{Metrics} metrics are not pushed, since the cluster takes {BytesMax} bytes at a time")]
    private static partial void LogLeftOut(ILogger logger, int metrics, int bytesMax);

    [LoggerMessage(EventId = 133, Level = LogLevel.Error, Message = "Metrics are not pushed any more, since collecting them has failed")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
