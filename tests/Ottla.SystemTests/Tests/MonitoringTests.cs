using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Ottla.Client;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>A node that is watched: by a real Prometheus, by a collector, and by nobody at all.</summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed partial class MonitoringTests
{
    private const string Job = "watched";
    private const string NewConfluent = "confluent-dotnet-2.16";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>A node without TLS has no certificate.</summary>
    private static readonly string[] SeriesOfOthers = ["ottla_tls_certificate_expiry_timestamp_seconds"];

    /// <summary>The disk of these tests may be as full as it likes, and the processors as busy.</summary>
    internal static readonly string[] AlertsOfTheMachine = ["KafkaDiskFull", "KafkaThreadsBusy"];

    [PrometheusFact]
    public async Task Every_series_that_rules_and_dashboard_ask_for_is_there_and_nothing_fires_on_a_node_that_is_well()
    {
        var rules = await GenerateAsync("prometheus-rules", "--job", Job);
        using var dashboard = JsonDocument.Parse(await GenerateAsync("grafana"));
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, rules);
            (await ClientTool.RunAsync(PrometheusProcess.Tool, ["check", "rules", file])).OrFail();
        }
        finally
        {
            File.Delete(file);
        }

        var port = BrokerProcess.FindFreePort();
        await using var broker = await BrokerProcess.StartAsync(WithMonitoring(port));
        await UseAsync(broker.Bootstrap);
        await using var prometheus = PrometheusProcess.Start(Job, [$"127.0.0.1:{port}"], rules);
        await Until.TrueAsync(
            "Prometheus has scraped twice", Limit,
            async () => await prometheus.QueryAsync($"count_over_time(up{{job=\"{Job}\"}}[1m]) >= 2") is { Count: 1 });

        var expressions = Expressions(rules, dashboard.RootElement).ToList();
        Assert.True(expressions.Count > 50);
        foreach (var expression in expressions)
            Assert.NotNull(await prometheus.QueryAsync(expression)); // Prometheus takes it
        var missing = new List<string>();
        foreach (var selector in expressions.SelectMany(each => Selector().Matches(each)).Select(match => match.Value).Distinct())
        {
            if (SeriesOfOthers.Any(name => selector.StartsWith(name, StringComparison.Ordinal)))
                continue;
            if (await prometheus.QueryAsync(selector) is not { Count: > 0 })
                missing.Add(selector);
        }

        Assert.Empty(missing);
        Assert.Empty((await prometheus.AlertsAsync()).Except(AlertsOfTheMachine));

        await broker.KillAsync();
        await Until.TrueAsync(
            "an alert tells of the node that is gone", Limit, async () => (await prometheus.AlertsAsync()).Contains("KafkaNodeDown"));
    }

    [ClientFact(NewConfluent)]
    public async Task What_librdkafka_and_the_client_for_NET_push_arrives_at_a_collector()
    {
        await using var collector = new OtlpReceiver();
        await using var broker = await BrokerProcess.StartAsync(new Dictionary<string, string>
        {
            ["ottla.otlp.endpoint"] = collector.Url,
            ["ottla.otlp.interval.ms"] = "500",
        });
        (await ClientTool.RunAsync(RepositoryPaths.BrokerExecutable,
        [
            "kafka-client-metrics", "--bootstrap-server", broker.Bootstrap, "--alter", "--name", "all", "--metrics", "*",
            "--interval", "200",
        ])).OrFail();
        var described = (await ClientTool.RunAsync(RepositoryPaths.BrokerExecutable,
            ["kafka-client-metrics", "--bootstrap-server", broker.Bootstrap, "--describe", "--name", "all"])).OrFail();
        Assert.Contains("interval.ms=200", Encoding.UTF8.GetString(described.Output), StringComparison.Ordinal);

        var topic = BrokerFixture.NewTopicName("pushed");
        var confluent = ClientCatalog.Get(NewConfluent);
        await confluent.CreateTopicAsync(broker.Bootstrap, topic, RecordSets.VariedPartitions);
        await UseAsync(broker.Bootstrap, topic);
        await Until.TrueAsync("the metrics of librdkafka arrive", Limit, async () =>
        {
            await confluent.ProduceAsync(broker.Bootstrap, topic, "none", RecordSets.Varied(ClientLimits.None));
            return collector.Has("org.apache.kafka.producer.", "client_software_name", "confluent-kafka-dotnet");
        });
        await Until.TrueAsync("those of the client for .NET arrive", Limit, async () =>
        {
            await UseAsync(broker.Bootstrap, topic);
            return collector.Has("org.apache.kafka.consumer.", "client_software_name", "ottla");
        });
        await Until.TrueAsync(
            "those of the node arrive", Limit, () => collector.Has("kafka_server_client_metrics_plugin_export_total", "service.name"));
    }

    [Fact]
    public async Task A_log_that_nobody_reads_stops_nobody_and_says_how_much_it_dropped()
    {
        var port = BrokerProcess.FindFreePort();
        await using var broker = await BrokerProcess.StartAsync(
            WithMonitoring(port), conditions: new ProcessConditions(IsOutputRead: false));
        (await ClientTool.RunAsync(RepositoryPaths.BrokerExecutable,
        [
            "kafka-configs", "--bootstrap-server", broker.Bootstrap, "--entity-type", "broker-loggers", "--entity-name", "0", "--alter",
            "--add-config", "BrokerServer=DEBUG",
        ])).OrFail();
        using var http = new HttpClient();
        var metrics = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/metrics"));
        await Until.TrueAsync("lines are dropped", TimeSpan.FromMinutes(2), async () =>
        {
            for (var i = 0; i < 200; i++)
                await BreakOffAsync(broker.Port);
            return DroppedLines().Match(await http.GetStringAsync(metrics)) is { Success: true } match && match.Groups[1].Value != "0";
        });
        Assert.True(await broker.AnswersAsync());
        broker.ReadOutput();
        await Until.TrueAsync(
            "the log says so", Limit, () => broker.Output.Contains("lines of the log were dropped here", StringComparison.Ordinal));
        Assert.Equal(0, await broker.TerminateAsync());
    }

    /// <summary>A connection that ends with a reset, which a node notes for developers.</summary>
    private static async Task BreakOffAsync(int port)
    {
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        await socket.ConnectAsync(System.Net.IPAddress.Loopback, port);
        socket.LingerState = new System.Net.Sockets.LingerOption(true, 0);
    }

    private static Dictionary<string, string> WithMonitoring(int port) => new()
    {
        ["ottla.monitoring.listener"] = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}"),
    };

    /// <summary>What <c>ottla generate</c> prints.</summary>
    internal static async Task<string> GenerateAsync(params string[] arguments) => Encoding.UTF8.GetString(
        (await ClientTool.RunAsync(RepositoryPaths.BrokerExecutable, ["generate", .. arguments])).OrFail().Output);

    /// <summary>What makes a node have all its series: records in and out, a group, a transaction, an error.</summary>
    private static async Task UseAsync(string bootstrap, string topic = "used")
    {
        await using var client = new OttlaClient(new OttlaClientOptions { BootstrapServers = bootstrap, AllowAutoCreateTopics = true });
        await using (var producer = client.CreateProducer<string, string>(new ProducerOptions { TransactionalId = "t" }))
        await using (var transaction = await producer.BeginTransactionAsync())
        {
            await producer.EnqueueAsync(new(topic, null, "v"));
            await transaction.CommitAsync();
        }

        await using (var consumer = client.CreateConsumer<string, string>(
            new ConsumerOptions { GroupId = "g", OffsetReset = OffsetReset.Earliest, EnableAutoCommit = false }))
        {
            consumer.Subscribe([topic]);
            Assert.NotNull(await consumer.ConsumeOneAsync(Limit));
            await consumer.CommitAsync();
        }

        await using var admin = client.CreateAdmin();
        Assert.Single(await admin.DeleteTopicsAsync(["there-is-no-such-topic"]));
    }

    /// <summary>The expressions of the rules, and those of the dashboard as Grafana sends them.</summary>
    private static IEnumerable<string> Expressions(string rules, JsonElement dashboard)
    {
        foreach (Match rule in Rule().Matches(rules))
            yield return JsonSerializer.Deserialize<string>(rule.Groups[1].Value)!;
        foreach (var panel in dashboard.GetProperty("panels").EnumerateArray())
        {
            if (!panel.TryGetProperty("targets", out var targets))
                continue;
            foreach (var target in targets.EnumerateArray())
            {
                yield return target.GetProperty("expr").GetString()!
                    .Replace("$job", Job, StringComparison.Ordinal).Replace("$__rate_interval", "1m", StringComparison.Ordinal);
            }
        }
    }

    [GeneratedRegex(@"^ +expr: (.*)$", RegexOptions.Multiline)]
    private static partial Regex Rule();

    [GeneratedRegex(@"[a-z_:]+\{[^}]*\}")]
    private static partial Regex Selector();

    [GeneratedRegex(@"^ottla_log_dropped_lines_total (\d+)", RegexOptions.Multiline)]
    private static partial Regex DroppedLines();
}

/// <summary>A fact that needs Prometheus. Skipped, with the reason, where it is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PrometheusFactAttribute : FactAttribute
{
    public PrometheusFactAttribute() => Skip = Requirements.MustHaveAll ? null
        : Requirements.Program(PrometheusProcess.Program) ?? Requirements.Program(PrometheusProcess.Tool);
}
