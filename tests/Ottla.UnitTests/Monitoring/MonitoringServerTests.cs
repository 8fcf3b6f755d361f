using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Broker.Monitoring;
using Ottla.Cli.Monitoring;
using Ottla.Configuration;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Monitoring;

/// <summary>Metrics and health over HTTP, on a port of this machine.</summary>
public sealed class MonitoringServerTests
{
    [Fact]
    public async Task Health_and_metrics_are_answered_when_the_node_is_there()
    {
        await using var server = Start("127.0.0.1:0")!;
        using var client = new HttpClient { BaseAddress = new Uri($"http://{server.EndPoint}") };
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await GetAsync(client, "/healthz"));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "the node starts\n"), await GetAsync(client, "/readyz"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(client, "/metrics")).Status);

        var (node, _, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        node.Node.Metrics.Add(new ProcessMetrics(TimeProvider.System, () => 0));
        server.Serve(node.Node);
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await GetAsync(client, "/readyz"));
        var (status, text) = await GetAsync(client, "/metrics");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Contains("kafka_server_replicamanager_leadercount 1\n", text, StringComparison.Ordinal);
        Assert.Contains("process_cpu_seconds_total ", text, StringComparison.Ordinal);
        Assert.DoesNotContain("kafka_log_log_logendoffset", text, StringComparison.Ordinal);
        var (_, detailed) = await GetAsync(client, "/metrics/detailed");
        Assert.Contains("kafka_log_log_logendoffset{topic=\"t\",partition=\"0\"} 0\n", detailed, StringComparison.Ordinal);
        using var response = await client.GetAsync(new Uri("/metrics", UriKind.Relative));
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
    }

    /// <summary>A thousand groups with a thousand topics each would fill whoever collects the metrics.</summary>
    [Fact]
    public async Task A_metric_has_no_more_series_than_there_is_room_for_and_says_how_many_are_left_out()
    {
        await using var server = Start("127.0.0.1:0")!;
        await using var node = await TestNode.StartAsync();
        node.Node.Metrics.Add(new ManySeries(MonitoringServer.SamplesMax + 7));
        server.Serve(node.Node);
        using var client = new HttpClient { BaseAddress = new Uri($"http://{server.EndPoint}") };
        var (_, text) = await GetAsync(client, "/metrics");
        Assert.Equal(MonitoringServer.SamplesMax, CountOf("many{", text));
        Assert.Contains("ottla_metrics_dropped_samples 7\n", text, StringComparison.Ordinal);
        var (_, detailed) = await GetAsync(client, "/metrics/detailed");
        Assert.Equal(MonitoringServer.SamplesMax + 7, CountOf("many{", detailed));
        Assert.Contains("ottla_metrics_dropped_samples 0\n", detailed, StringComparison.Ordinal);

        static int CountOf(string start, string text) =>
            text.Split('\n').Count(line => line.StartsWith(start, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Metrics_are_given_under_other_names_to_those_who_ask_for_them()
    {
        await using var server = Start("127.0.0.1:0")!;
        var (node, _, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        server.Serve(node.Node);
        using var client = new HttpClient { BaseAddress = new Uri($"http://{server.EndPoint}") };
        Assert.Contains("redpanda_kafka_partitions{redpanda_topic=\"t\"} 1\n", await TextAsync("redpanda"), StringComparison.Ordinal);
        Assert.Contains("kafka_partition_replicas_in_sync{topic=\"t\",partition=\"0\"} 1\n", await TextAsync("opentelemetry"),
            StringComparison.Ordinal);
        Assert.Contains("kafka_server_brokertopicmetrics_messagesinpersec 0\n", await TextAsync("confluent"), StringComparison.Ordinal);
        Assert.Contains("kafka_server_brokertopicmetrics_messagesinpersec_total 0\n", await TextAsync("strimzi"), StringComparison.Ordinal);
        var (status, message) = await GetAsync(client, "/metrics?names=other");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("'names' can be one of: confluent, strimzi, opentelemetry, redpanda.\n", message);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client, "/metrics?collect[]=all")).Status);

        async Task<string> TextAsync(string names) => (await GetAsync(client, $"/metrics/detailed?names={names}")).Text;
    }

    /// <summary>Redpanda's admin API answered anybody who could reach the machine.</summary>
    [Fact]
    public void CVE_2026_82266_HTTP_is_answered_to_this_machine_only_unless_told_otherwise()
    {
        var own = BrokerConfig.LoadDevMode().MonitoringListener!;
        var fromFile = BrokerConfig.Load([
            new("process.roles", "broker,controller"), new("node.id", "1"), new("controller.quorum.voters", "1@node:9093"),
            new("controller.listener.names", "CONTROLLER"), new("listeners", "PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9093"),
            new("advertised.listeners", "PLAINTEXT://node:9092")]).MonitoringListener!;
        Assert.All([own, fromFile], listener => Assert.True(IPAddress.IsLoopback(IPAddress.Parse(listener.Host))));
    }

    /// <summary>Redpanda Connect ran what was sent to it.</summary>
    [Theory]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("PATCH")]
    [InlineData("DELETE")]
    public async Task CVE_2026_123270_nothing_is_taken_over_HTTP(string method)
    {
        await using var server = Start("127.0.0.1:0")!;
        foreach (var path in new[] { "/", "/metrics", "/streams/x", "/connectors", "/v1/config" })
        {
            var request = $"{method} {path} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}";
            Assert.StartsWith("HTTP/1.1 405 ", await SendAsync(server, Encoding.Latin1.GetBytes(request)), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("GET /nothing HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ")]
    [InlineData("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ")]
    [InlineData("\0\0\0\u0012 no HTTP\r\n\r\n", "HTTP/1.1 400 ")]
    public async Task What_is_not_to_be_had_is_refused(string request, string answer)
    {
        await using var server = Start("127.0.0.1:0")!;
        Assert.StartsWith(answer, await SendAsync(server, Encoding.Latin1.GetBytes(request)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_without_end_is_refused()
    {
        await using var server = Start("127.0.0.1:0")!;
        var endless = new byte[HttpRequestHead.BytesMax];
        endless.AsSpan().Fill((byte)'a');
        Assert.StartsWith("HTTP/1.1 431 ", await SendAsync(server, endless), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_taken_is_an_error_when_it_was_configured()
    {
        Assert.Null(Start(""));
        await using var server = Start("127.0.0.1:0")!;
        var error = Assert.Throws<NodeStartException>(() => Start(server.EndPoint.ToString()));
        Assert.Contains("ottla.monitoring.listener", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("9404")]
    [InlineData("host:port")]
    [InlineData("127.0.0.1:70000")]
    public void An_address_that_is_none_is_refused_by_name(string text)
    {
        var error = Assert.Throws<ConfigException>(() => Config(text));
        Assert.Contains("ottla.monitoring.listener", error.Message, StringComparison.Ordinal);
        Assert.Contains(text, error.Message, StringComparison.Ordinal);
    }

    private sealed class ManySeries(int count) : MetricSource
    {
        private static readonly MetricFamily Many = MetricFamily.Gauge("many", "Many.", "number");

        public override IReadOnlyList<MetricFamily> Families { get; } = [Many];

        protected override void Collect(IMetricOutput output, bool isDetailed)
        {
            output.Begin(Many);
            for (var i = 0; i < count; i++)
                output.Add(i, $"{i}");
        }
    }

    private static MonitoringServer? Start(string address) =>
        MonitoringServer.Start(Config(address), TimeProvider.System, NullLogger.Instance);

    private static BrokerConfig Config(string address) =>
        BrokerConfig.LoadDevMode(overrides: [new(BrokerConfig.MonitoringListenerName, address)]);

    private static async Task<(HttpStatusCode Status, string Text)> GetAsync(HttpClient client, string path)
    {
        using var response = await client.GetAsync(new Uri(path, UriKind.Relative));
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    /// <summary>Sends bytes, and reads what comes until the server closes or the first answer is there.</summary>
    private static async Task<string> SendAsync(MonitoringServer server, byte[] bytes)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server.EndPoint);
        await socket.SendAsync(bytes);
        var buffer = new byte[1024];
        var count = await socket.ReceiveAsync(buffer);
        return Encoding.Latin1.GetString(buffer, 0, count);
    }
}
