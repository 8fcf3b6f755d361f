using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using Ottla.Broker;
using Ottla.Broker.Monitoring;
using Ottla.Broker.Telemetry;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Requests;

namespace Ottla.Cli.Monitoring.Otlp;

/// <summary>
/// Pushes the metrics of the node, and those that its clients pushed to it, to an OpenTelemetry collector: OTLP over HTTP, in protobuf.
/// </summary>
/// <remarks>
/// Nothing of the broker waits for the collector. The node's metrics are collected anew for each push, so one that fails loses nothing but
/// its moment. Pushes of clients wait in a <see cref="PushQueue"/> of <see cref="QueuedBytesMax"/> while the collector is away or slow. It
/// works on the thread pool; lives as long as its command.
/// </remarks>
internal sealed partial class OtlpExporter : MetricSource, IClientMetricsSink, IAsyncDisposable
{
    /// <summary>The most bytes of clients' metrics that wait for the collector.</summary>
    public const int QueuedBytesMax = 16 * 1024 * 1024;

    private const int BatchBytes = OtlpOutput.RequestBytes;
    private const int SamplesMax = 10_000;
    private const long NanosecondsPerTick = 100;

    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetryMax = TimeSpan.FromMinutes(1);

    private static readonly MetricFamily Requests = MetricFamily.Counter(
        "ottla_otlp_requests_total", "Requests to the OpenTelemetry collector, by how they ended.", "outcome");
    private static readonly MetricFamily QueuedBytes =
        MetricFamily.Gauge("ottla_otlp_queued_bytes", "Bytes of clients' metrics that wait for the collector.");
    private static readonly MetricFamily DroppedPushes = MetricFamily.Counter(
        "ottla_otlp_dropped_pushes_total", "Pushes of clients that were dropped: the collector was away for too long, or refused them.");

    private readonly Uri _endpoint;
    private readonly BrokerConfig _config;
    private readonly string _version;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly HttpClient _http;
    private readonly PushQueue _queue = new(QueuedBytesMax);
    private readonly CancellationTokenSource _stopping = new();
    private readonly ulong _startNs;
    private readonly Task _clients;
    private Task _own = Task.CompletedTask;
    private long _taken;
    private long _failed;
    private long _refusedPushes;
    private volatile bool _isFailing;

    private OtlpExporter(BrokerConfig config, Uri endpoint, string version, TimeProvider time, ILogger logger)
    {
        _config = config;
        _version = version;
        _endpoint = endpoint;
        _time = time;
        _logger = logger;
        _startNs = NowNs();
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan, // each request has its own
        };
        _clients = HandOnAsync();
    }

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } = [Requests, QueuedBytes, DroppedPushes];

    /// <summary>Begins, where <c>ottla.otlp.endpoint</c> names a collector.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="version">The version of Ottla.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log.</param>
    /// <returns>Null where it names none.</returns>
    public static OtlpExporter? Start(BrokerConfig config, string version, TimeProvider time, ILogger logger) =>
        config.OtlpEndpoint is { } endpoint ? new OtlpExporter(config, endpoint, version, time, logger) : null;

    /// <summary>The node has started: its metrics are pushed from now on.</summary>
    public void Serve(BrokerNode node)
    {
        node.Metrics.Add(this);
        _own = PushOwnAsync(node.Metrics);
        LogStarted(_logger, _endpoint, _config.OtlpIntervalMs);
    }

    /// <inheritdoc/>
    public void Take(byte[] resourceMetrics) => _queue.Add(resourceMetrics);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _stopping.Cancel();
        await Task.WhenAll(_own, _clients);
        _http.Dispose();
        _stopping.Dispose();
    }

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        output.Begin(Requests);
        output.Add(Interlocked.Read(ref _taken), "taken");
        output.Add(Interlocked.Read(ref _failed), "failed");
        Give(output, QueuedBytes, _queue.Bytes);
        Give(output, DroppedPushes, _queue.Dropped + Interlocked.Read(ref _refusedPushes));
    }

    private ulong NowNs() => (ulong)((_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * NanosecondsPerTick);

    private async Task PushOwnAsync(MetricRegistry metrics)
    {
        KeyValuePair<string, string>[] resource =
        [
            new("service.name", "ottla"),
            new("service.version", _version),
            new("service.instance.id", _config.NodeId.ToString(CultureInfo.InvariantCulture)),
            new("host.name", Environment.MachineName),
        ];
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(_config.OtlpIntervalMs), _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                var output = new OtlpOutput(resource, _startNs, NowNs(), SamplesMax);
                await metrics.CollectAsync(output, isDetailed: false, _stopping.Token);
                foreach (var request in output.End())
                    await SendAsync(request);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The node stops.
        }
        catch (Exception e) // what it is has to be seen, and must not end the process
        {
            LogEnded(_logger, e);
        }
    }

    private async Task HandOnAsync()
    {
        var backoff = new ExponentialBackoff(RetryMin, RetryMax, jitter: 0, new Prng(0));
        try
        {
            while (true)
            {
                var batch = await _queue.TakeAsync(BatchBytes, _stopping.Token);
                var outcome = await SendAsync(Join(batch));
                for (var failures = 1; outcome == SendOutcome.Later; failures++)
                {
                    await Task.Delay(backoff.DelayAfter(failures), _time, _stopping.Token);
                    outcome = await SendAsync(Join(batch));
                }

                if (outcome == SendOutcome.Refused)
                    await SendSinglyAsync(batch);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The node stops.
        }
        catch (Exception e) // what it is has to be seen, and must not end the process
        {
            LogEnded(_logger, e);
        }
    }

    /// <summary>One push that the collector cannot read must not take the others with it.</summary>
    private async Task SendSinglyAsync(List<byte[]> refused)
    {
        foreach (var push in refused)
        {
            if (refused.Count == 1 || await SendAsync(push) != SendOutcome.Taken)
                Interlocked.Increment(ref _refusedPushes);
        }
    }

    /// <summary>Messages behind one another are one message of all of them.</summary>
    private static byte[] Join(List<byte[]> batch)
    {
        if (batch.Count == 1)
            return batch[0];
        var joined = new byte[batch.Sum(each => each.Length)];
        var at = 0;
        foreach (var each in batch)
        {
            each.CopyTo(joined, at);
            at += each.Length;
        }

        return joined;
    }

    /// <exception cref="OperationCanceledException">The node stops.</exception>
    private async Task<SendOutcome> SendAsync(byte[] request)
    {
        try
        {
            using var deadline = new CancellationTokenSource(RequestTimeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _stopping.Token);
            using var message = new HttpRequestMessage(HttpMethod.Post, _endpoint) { Content = ContentOf(request) };
            foreach (var (name, value) in _config.OtlpHeaders)
                message.Headers.TryAddWithoutValidation(name, value);
            using var answer = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either.Token);
            if (answer.IsSuccessStatusCode)
            {
                Note(null);
                return SendOutcome.Taken;
            }

            Note($"it answers {(int)answer.StatusCode}");
            return answer.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable
                or HttpStatusCode.GatewayTimeout or HttpStatusCode.RequestTimeout ? SendOutcome.Later : SendOutcome.Refused;
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            Note(e.Message);
            return SendOutcome.Later;
        }
        catch (OperationCanceledException) when (!_stopping.IsCancellationRequested)
        {
            Note($"it does not answer within {RequestTimeout.TotalSeconds} s");
            return SendOutcome.Later;
        }
    }

    /// <summary>Counts how a request ended. Says so in the log when it is another end than the one before.</summary>
    private void Note(string? failure)
    {
        Interlocked.Increment(ref failure is null ? ref _taken : ref _failed);
        var wasFailing = _isFailing;
        _isFailing = failure is not null;
        if (failure is not null && !wasFailing)
            LogFailing(_logger, _endpoint, failure);
        else if (failure is null && wasFailing)
            LogWorking(_logger, _endpoint);
    }

    private static ByteArrayContent ContentOf(byte[] request)
    {
        using var compressed = new MemoryStream(request.Length / 4);
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(request);
        var content = new ByteArrayContent(compressed.GetBuffer(), 0, (int)compressed.Length);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/x-protobuf");
        content.Headers.ContentEncoding.Add("gzip");
        return content;
    }

    private enum SendOutcome
    {
        Taken,

        /// <summary>The collector cannot take it now.</summary>
        Later,

        /// <summary>The collector will never take it.</summary>
        Refused,
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Metrics are pushed to {Endpoint} every {IntervalMs} ms")]
    private static partial void LogStarted(ILogger logger, Uri endpoint, int intervalMs);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Metrics do not reach the collector {Endpoint}: {Reason}")]
    private static partial void LogFailing(ILogger logger, Uri endpoint, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Metrics reach the collector {Endpoint} again")]
    private static partial void LogWorking(ILogger logger, Uri endpoint);

    [LoggerMessage(Level = LogLevel.Error, Message = "Metrics are not pushed any more, until the next start")]
    private static partial void LogEnded(ILogger logger, Exception failure);
}
