using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Monitoring;
using Ottla.Broker.Telemetry;
using Ottla.Cli.Monitoring.Otlp;
using Ottla.Configuration;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Repository;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Monitoring;

/// <summary>Metrics that are pushed to a collector, which is real, away, slow or wrong.</summary>
public sealed class OtlpExporterTests
{
    private const long StepMs = 5;

    [Fact]
    public async Task A_node_pushes_what_a_scrape_has_too()
    {
        await using var collector = new OtlpCollector();
        var clock = new TestClock();
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        await using var exporter = Start(collector.Url, clock, ("ottla.otlp.headers", "Authorization=Bearer abc,x-scope=1"))!;
        exporter.Serve(node.Node);
        await clock.AdvanceUntilAsync(Waiting.UntilAsync(() => !collector.Requests.IsEmpty), StepMs);
        Assert.True(collector.Requests.TryDequeue(out var request));
        Assert.Equal("/v1/metrics", request.Path);
        Assert.Equal(("Bearer abc", "1"), (request.Headers["Authorization"], request.Headers["x-scope"]));
        Assert.Equal("application/x-protobuf", request.Headers["Content-Type"]);
        Assert.Equal("ottla", OtlpCollector.ReadResource(request.Body)["service.name"]);
        var series = OtlpCollector.Read(request.Body);
        var counter = series["kafka_server_brokertopicmetrics_messagesin_total(t)"];
        Assert.Equal(("sum", 3.0), (counter.Kind, counter.Value));
        Assert.Equal("gauge", series["kafka_server_replicamanager_leadercount()"].Kind);
        var times = series["kafka_network_requestmetrics_totaltimems(Produce)"];
        Assert.Equal(("summary", 1.0, 6), (times.Kind, times.Value, times.Quantiles.Count));
        var scraped = await CollectedMetrics.OfAsync(node.Node.Metrics, isDetailed: false);
        Assert.All(series.Keys.Where(key => !key.StartsWith("kafka_network", StringComparison.Ordinal)), key =>
            Assert.Contains(scraped.Families, family => key.StartsWith(family.Name, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Pushes_of_clients_reach_the_collector_also_when_it_was_away()
    {
        await using var collector = new OtlpCollector();
        var clock = new TestClock();
        var tries = 0;
        collector.Status = _ => ++tries <= 2 ? 503 : 200;
        await using var exporter = Start(collector.Url, clock)!;
        exporter.Take(JavaPush("a"));
        await clock.AdvanceUntilAsync(Waiting.UntilAsync(() => collector.Requests.Count == 3), StepMs);
        Assert.All(collector.Requests, request => Assert.Equal(JavaPush("a"), request.Body));
        Assert.Equal((1, 2), (await CountAsync(exporter, "taken"), await CountAsync(exporter, "failed")));
    }

    [Fact]
    public async Task A_push_that_the_collector_refuses_does_not_take_others_with_it()
    {
        await using var collector = new OtlpCollector();
        var clock = new TestClock();
        var bad = JavaPush("bad");
        var isClosed = true;
        collector.Status = body => isClosed ? 503 : body.AsSpan().IndexOf(bad) >= 0 ? 400 : 200;
        await using var exporter = Start(collector.Url, clock)!;
        exporter.Take(JavaPush("first"));
        await clock.AdvanceUntilAsync(Waiting.UntilAsync(() => !collector.Requests.IsEmpty), StepMs);
        exporter.Take(bad); // these two wait behind the first one, and go together
        exporter.Take(JavaPush("good"));
        isClosed = false;
        await clock.AdvanceUntilAsync(
            Waiting.UntilAsync(() => collector.Requests.Any(request => request.Body.AsSpan().SequenceEqual(JavaPush("good")))), StepMs);
        Assert.Contains(collector.Requests, request => request.Body.Length == bad.Length + JavaPush("good").Length);
        var metrics = new MetricRegistry();
        metrics.Add(exporter);
        Assert.Equal(1, (await CollectedMetrics.OfAsync(metrics))["ottla_otlp_dropped_pushes_total"]);
    }

    [Fact]
    public async Task A_collector_that_takes_requests_and_never_answers_costs_bounded_memory_and_nobody_waits()
    {
        await using var collector = new OtlpCollector { Status = _ => 0 };
        var clock = new TestClock();
        await using var exporter = Start(collector.Url, clock)!;
        exporter.Take([1]);
        await clock.AdvanceUntilAsync(Waiting.UntilAsync(() => !collector.Requests.IsEmpty), StepMs);
        var push = new byte[1024 * 1024];
        const int pushes = 40;
        for (var i = 0; i < pushes; i++)
            exporter.Take(push);
        var metrics = new MetricRegistry();
        metrics.Add(exporter);
        var collected = await CollectedMetrics.OfAsync(metrics);
        Assert.Equal(OtlpExporter.QueuedBytesMax, collected["ottla_otlp_queued_bytes"]);
        Assert.Equal(pushes - (OtlpExporter.QueuedBytesMax / push.Length), collected["ottla_otlp_dropped_pushes_total"]);
    }

    [Fact]
    public void Metrics_of_many_series_go_in_several_requests_and_have_a_bound()
    {
        var family = MetricFamily.Gauge("g", "A gauge.", "label");
        var output = new OtlpOutput([new("service.name", "x")], 1, 2, samplesMax: 10_000);
        for (var part = 0; part < 3; part++)
        {
            output.Begin(family with { Name = $"g{part}" });
            for (var i = 0; i < 20_000; i++)
                output.Add(i, $"a label that is not too short {i}");
        }

        var requests = output.End();
        Assert.True(requests.Count > 1);
        Assert.Equal(30_000, output.Dropped);
        Assert.All(requests, request => Assert.Equal("x", OtlpCollector.ReadResource(request)["service.name"]));
        Assert.Equal(30_000, requests.Sum(request => OtlpCollector.Read(request).Count));
    }

    [Fact]
    public void There_is_none_without_an_endpoint_and_a_wrong_one_is_refused_without_telling_secrets()
    {
        Assert.Null(Start("", new TestClock()));
        Assert.Contains("ottla.otlp.endpoint", Refusal(("ottla.otlp.endpoint", "collector:4318")), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", Refusal(("ottla.otlp.headers", "secret")), StringComparison.Ordinal);
    }

    private static string Refusal((string Name, string Value) config) =>
        Assert.Throws<ConfigException>(() => BrokerConfig.LoadDevMode(overrides: [new(config.Name, config.Value)])).Message;

    private static async Task<double> CountAsync(OtlpExporter exporter, string outcome)
    {
        var metrics = new MetricRegistry();
        metrics.Add(exporter);
        return (await CollectedMetrics.OfAsync(metrics))["ottla_otlp_requests_total", outcome];
    }

    private static OtlpExporter? Start(string url, TimeProvider clock, params (string Name, string Value)[] configs) => OtlpExporter.Start(
        BrokerConfig.LoadDevMode(
            overrides:
            [
                new("ottla.otlp.endpoint", url), new("ottla.otlp.interval.ms", "1000"),
                .. configs.Select(each => KeyValuePair.Create(each.Name, each.Value)),
            ]),
        "1", clock, NullLogger.Instance);

    private static byte[] JavaPush(string client)
    {
        var text = File.ReadAllText(RepositoryFiles.Path("tests/golden/metrics/java-consumer-push.base64"));
        return OtlpResources.WithLabels(Convert.FromBase64String(text.ReplaceLineEndings("")), [new("client_id", client)]);
    }
}
