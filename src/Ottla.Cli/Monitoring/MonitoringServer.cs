using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using Ottla.Broker;
using Ottla.Broker.Monitoring;
using Ottla.Configuration;

namespace Ottla.Cli.Monitoring;

/// <summary>
/// Answers HTTP requests for the metrics and the health of the node in this process: <c>/metrics</c>, <c>/metrics/detailed</c>,
/// <c>/healthz</c>, <c>/readyz</c>.
/// </summary>
/// <remarks>
/// It begins before the node, so that the health of a node that starts can be asked for, and works on the thread pool, away from the
/// network loops of the broker. A few connections at a time; each may be idle for a minute.
/// </remarks>
internal sealed partial class MonitoringServer : IAsyncDisposable
{
    /// <summary>The metrics are not for crowds: more connections wait in the backlog.</summary>
    private const int ConnectionsMax = 16;

    /// <summary>Most samples of a metric in <c>/metrics</c>.</summary>
    internal const int SamplesMax = 10_000;

    private const string NamesParameter = "names=";

    private static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(1);

    private readonly TcpListener _listener;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _room = new(ConnectionsMax, ConnectionsMax);
    private readonly Task _accepting;
    private volatile BrokerNode? _node;

    private MonitoringServer(TcpListener listener, TimeProvider time, ILogger logger)
    {
        _listener = listener;
        _time = time;
        _logger = logger;
        EndPoint = (IPEndPoint)listener.LocalEndpoint;
        _accepting = AcceptAsync();
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Starts to listen, where <c>ottla.monitoring.listener</c> says.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log.</param>
    /// <returns>Null when the node is to answer none, or the default address is taken: by another node on this machine, mostly.</returns>
    /// <exception cref="NodeStartException">The address that was configured cannot be listened on.</exception>
    public static MonitoringServer? Start(BrokerConfig config, TimeProvider time, ILogger logger)
    {
        if (config.MonitoringListener is not { } address)
            return null;
        try
        {
            var listener = new TcpListener(Resolve(address), address.Port);
            listener.Start();
            LogListening(logger, (IPEndPoint)listener.LocalEndpoint);
            return new MonitoringServer(listener, time, logger);
        }
        catch (SocketException e) when (!config.IsSet(BrokerConfig.MonitoringListenerName))
        {
            LogNotListening(logger, address.Host, address.Port, e.Message);
            return null;
        }
        catch (SocketException e)
        {
            throw new NodeStartException(
                $"Cannot listen on {address.Host}:{address.Port} ({BrokerConfig.MonitoringListenerName}): {e.Message}");
        }
    }

    /// <summary>The node has started, and can be asked.</summary>
    public void Serve(BrokerNode node) => _node = node;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _stopping.Cancel();
        _listener.Stop();
        await _accepting;
        _stopping.Dispose();
    }

    private static IPAddress Resolve(HostPort address) =>
        IPAddress.TryParse(address.Host, out var ip) ? ip : Dns.GetHostAddresses(address.Host)[0];

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                await _room.WaitAsync(_stopping.Token);
                _ = ServeAsync(await _listener.AcceptSocketAsync(_stopping.Token));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            if (!_stopping.IsCancellationRequested)
                LogEnded(_logger, e.Message);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using (socket)
        {
            try
            {
                await AnswerAsync(socket);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The client has gone, or was idle for too long.
            }
            catch (Exception e) // what it is has to be seen, and must not end the process
            {
                LogFailed(_logger, e);
            }
            finally
            {
                _room.Release();
            }
        }
    }

    private async Task AnswerAsync(Socket socket)
    {
        var received = new byte[HttpRequestHead.BytesMax];
        var count = 0;
        while (true)
        {
            using var deadline = new CancellationTokenSource(IdleTimeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _stopping.Token);
            int length;
            while ((length = HttpRequestHead.LengthIn(received.AsSpan(0, count))) < 0)
            {
                if (count == received.Length)
                {
                    var tooLong = Answer.Text(431, "Request Header Fields Too Large", "The request is too long.\n");
                    await SendAsync(socket, tooLong, keepsConnection: false, either.Token);
                    return;
                }

                var read = await socket.ReceiveAsync(received.AsMemory(count), either.Token);
                if (read == 0)
                    return;
                count += read;
            }

            var head = HttpRequestHead.Parse(received.AsSpan(0, length));
            received.AsSpan(length, count - length).CopyTo(received);
            count -= length;
            if (head is null)
            {
                await SendAsync(socket, Answer.Text(400, "Bad Request", "This is no request of HTTP/1.\n"), false, either.Token);
                return;
            }

            await SendAsync(socket, await AnswerAsync(head, either.Token), head.KeepsConnection, either.Token);
            if (!head.KeepsConnection)
                return;
        }
    }

    private async Task<Answer> AnswerAsync(HttpRequestHead head, CancellationToken cancellation)
    {
        var isHead = head.Method == "HEAD";
        if (head.Method != "GET" && !isHead)
            return Answer.Text(405, "Method Not Allowed", "Only GET is answered here.\n");
        var answer = head.Path switch
        {
            "/metrics" => await MetricsAsync(isDetailed: false, head.Query, cancellation),
            "/metrics/detailed" => await MetricsAsync(isDetailed: true, head.Query, cancellation),
            "/healthz" => Health(_node is { Failure.IsCompleted: true } ? ["the node has failed and stops"] : []),
            "/readyz" => Health(_node?.Complaints ?? ["the node starts"]),
            _ => Answer.Text(404, "Not Found", "Here are /metrics, /metrics/detailed, /healthz and /readyz.\n"),
        };
        return answer with { HasBody = !isHead };
    }

    /// <param name="isDetailed">Whether series of single partitions are wanted as well.</param>
    /// <param name="query">Which names the metrics are wanted under: <c>names=</c> and one of <see cref="MetricVocabulary.All"/>.</param>
    /// <param name="cancellation">Ends the wait.</param>
    private async Task<Answer> MetricsAsync(bool isDetailed, string query, CancellationToken cancellation)
    {
        MetricVocabulary? vocabulary = null;
        if (query.Split('&').FirstOrDefault(each => each.StartsWith(NamesParameter, StringComparison.Ordinal)) is { } asked)
        {
            vocabulary = MetricVocabulary.Find(asked[NamesParameter.Length..]);
            if (vocabulary is null)
            {
                var known = string.Join(", ", MetricVocabulary.All.Select(each => each.Name));
                return Answer.Text(400, "Bad Request", $"'names' can be one of: {known}.\n");
            }
        }

        if (_node is not { } node)
            return Answer.Text(503, "Service Unavailable", "The node starts.\n");
        var body = new ArrayBufferWriter<byte>(64 * 1024);
        var text = new PrometheusText(body, isDetailed ? int.MaxValue : SamplesMax);
        await node.Metrics.CollectAsync(vocabulary?.Over(text) ?? text, isDetailed, cancellation);
        text.End();
        return new Answer(200, "OK", PrometheusText.ContentType, body.WrittenMemory);
    }

    private static Answer Health(IReadOnlyList<string> complaints) => complaints.Count == 0
        ? Answer.Text(200, "OK", "ok\n")
        : Answer.Text(503, "Service Unavailable", string.Concat(complaints.Select(complaint => $"{complaint}\n")));

    private static async Task SendAsync(Socket socket, Answer answer, bool keepsConnection, CancellationToken cancellation)
    {
        var head = string.Create(
            CultureInfo.InvariantCulture,
            $"HTTP/1.1 {answer.Status} {answer.Reason}\r\nContent-Type: {answer.ContentType}\r\nContent-Length: {answer.Body.Length}\r\n"
                + $"Cache-Control: no-store\r\nConnection: {(keepsConnection ? "keep-alive" : "close")}\r\n\r\n");
        await SendAllAsync(socket, Encoding.Latin1.GetBytes(head), cancellation);
        if (answer.HasBody)
            await SendAllAsync(socket, answer.Body, cancellation);
        if (!keepsConnection)
            socket.Shutdown(SocketShutdown.Send);
    }

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, cancellation)..];
    }

    private sealed record Answer(int Status, string Reason, string ContentType, ReadOnlyMemory<byte> Body)
    {
        public bool HasBody { get; init; } = true;

        public static Answer Text(int status, string reason, string text) =>
            new(status, reason, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Metrics and health are answered on http://{EndPoint}")]
    private static partial void LogListening(ILogger logger, IPEndPoint endPoint);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Nobody is told of metrics and health: {Host}:{Port} cannot be listened on ({Reason}). Set ottla.monitoring.listener to "
            + "another address, or to nothing")]
    private static partial void LogNotListening(ILogger logger, string host, int port, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Metrics and health are not answered any more, until the next start: {Reason}")]
    private static partial void LogEnded(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "A request for metrics or health failed")]
    private static partial void LogFailed(ILogger logger, Exception failure);
}
