using Ottla.Client;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Faults;
using Ottla.UnitTests.Client.Errors;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Client.Push;

/// <summary>What producers and consumers push to nodes that take it, on the clock of a simulated cluster.</summary>
public sealed class MetricsPushTests
{
    private const string Topic = "pushed";
    private const string Prefix = "org.apache.kafka.";

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);
    private static readonly Dictionary<string, GoldenMetric> s_golden = ReadGolden();

    /// <summary>Those that KIP-714 requires of every client.</summary>
    private static readonly string[] s_requiredOfProducers =
    [
        "connection.creation.rate", "connection.creation.total", "node.request.latency.avg", "node.request.latency.max",
        "produce.throttle.time.avg", "produce.throttle.time.max", "record.queue.time.avg", "record.queue.time.max",
    ];

    private static readonly string[] s_requiredOfConsumers =
    [
        "connection.creation.rate", "connection.creation.total", "node.request.latency.avg", "node.request.latency.max",
        "poll.idle.ratio.avg", "coordinator.commit.latency.avg", "coordinator.commit.latency.max", "coordinator.assigned.partitions",
        "coordinator.rebalance.latency.avg", "coordinator.rebalance.latency.max", "coordinator.rebalance.latency.total",
        "fetch.manager.fetch.latency.avg", "fetch.manager.fetch.latency.max",
    ];

    [Fact]
    public void The_decoder_of_these_tests_reads_what_the_Java_client_has_pushed()
    {
        var text = File.ReadAllText(RepositoryFiles.Path("tests/golden/metrics/java-consumer-push.base64"));
        var metrics = OtlpMetricsReader.Read(Convert.FromBase64String(text.ReplaceLineEndings("")));
        Assert.Equal(9, metrics.Count);
        foreach (var metric in metrics)
            Assert.Equal(s_golden[metric.Name].Kind, metric.Kind);
        Assert.Contains(metrics, metric => metric.Name.EndsWith("node.request.latency.avg", StringComparison.Ordinal)
            && metric.Labels["node_id"] == "node--1");
    }

    [Fact]
    public void A_producer_pushes_metrics_of_the_Java_client_with_its_kinds_and_labels()
    {
        var pushes = Push("*", async (run, node) =>
        {
            await using var producer = run.Client.CreateProducer<string, string>();
            for (var i = 0; i < 3; i++)
                await producer.ProduceAsync(Topic, null, "v");
            await UntilAsync(run, () => node.Pushes.Count >= 1);
            await producer.ProduceAsync(Topic, null, "v");
            await UntilAsync(run, () => node.Pushes.Count >= 2);
        });
        AssertKnown("producer", pushes, s_requiredOfProducers);
        Assert.Equal([3.0, 1.0], pushes.Take(2).Select(push => ValueOf(push, "producer.record.send.total")));
        Assert.Equal([3.0, 1.0], pushes.Take(2).Select(push => ValueOf(push, "producer.topic.record.send.total")));
        Assert.Equal(0, ValueOf(pushes[1], "producer.connection.creation.total"));
        var total = Named(pushes[1], "producer.record.send.total").Single();
        Assert.Equal(Named(pushes[0], "producer.record.send.total").Single().TimeNs, total.StartNs); // it begins where the last one ended
        Assert.Equal(1 / ((total.TimeNs - total.StartNs) / 1e9), ValueOf(pushes[1], "producer.record.send.rate"), 6);
    }

    [Fact]
    public void A_producer_pushes_the_times_of_its_transactions_and_its_transactional_id()
    {
        var pushes = Push("org.apache.kafka.producer.txn", async (run, node) =>
        {
            await using var producer = run.Client.CreateProducer<string, string>(new ProducerOptions { TransactionalId = "t" });
            await using (var transaction = await producer.BeginTransactionAsync())
            {
                await producer.EnqueueAsync(new(Topic, null, "v"));
                await transaction.CommitAsync();
            }

            await UntilAsync(run, () => node.Pushes.Count >= 1);
        }, options => options with { ClientRack = "r1" });
        AssertKnown("producer", pushes, ["txn.commit.time.ns.total"]);
        Assert.True(ValueOf(pushes[0], "producer.txn.commit.time.ns.total") > 0);
        Assert.All(pushes[0].Metrics, metric =>
        {
            Assert.StartsWith(Prefix + "producer.txn.", metric.Name, StringComparison.Ordinal);
            Assert.Equal(("t", "r1"), (metric.Resource["transactional_id"], metric.Resource["client_rack"]));
        });
    }

    [Theory]
    [InlineData(GroupProtocol.Consumer)]
    [InlineData(GroupProtocol.Classic)]
    public void A_consumer_pushes_metrics_of_the_Java_client_with_its_kinds_and_labels(GroupProtocol protocol)
    {
        var pushes = Push("*", async (run, node) =>
        {
            await FillAsync(run, 5);
            await using var consumer = run.Client.CreateConsumer<string, string>(new ConsumerOptions
            {
                GroupId = "g",
                GroupProtocol = protocol,
                OffsetReset = OffsetReset.Earliest,
                EnableAutoCommit = false,
            });
            consumer.Subscribe([Topic]);
            for (var i = 0; i < 4; i++)
                Assert.NotNull(await consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)));
            await consumer.CommitAsync();
            await UntilAsync(run, () => ByConsumer(node).Count >= 1);
        });
        pushes = [.. pushes.Where(push => push.Metrics[0].Resource.ContainsKey("group_id"))];
        AssertKnown("consumer", pushes, s_requiredOfConsumers);
        Assert.Equal((4, 5), (ValueOf(pushes[0], "consumer.fetch.manager.records.consumed.total"),
            ValueOf(pushes[0], "consumer.fetch.manager.records.lead.min") + ValueOf(pushes[0], "consumer.fetch.manager.records.lag.max")));
        Assert.Equal((1, 1), (ValueOf(pushes[0], "consumer.coordinator.assigned.partitions"),
            ValueOf(pushes[0], "consumer.coordinator.rebalance.total")));
        Assert.All(pushes[^1].Metrics, metric => Assert.Equal(["group_id", "group_member_id"], metric.Resource.Keys.Order()));
    }

    [Fact]
    public void Sums_of_a_push_that_was_refused_come_with_the_next_one()
    {
        var pushes = Push("*", async (run, node) =>
        {
            node.Errors.Enqueue(ErrorCode.TelemetryTooLarge);
            await using var producer = run.Client.CreateProducer<string, string>();
            await producer.ProduceAsync(Topic, null, "v");
            await UntilAsync(run, () => node.Pushes.Count >= 1);
            await producer.ProduceAsync(Topic, null, "v");
            await UntilAsync(run, () => node.Pushes.Count >= 2);
            Assert.Equal([0UL, TelemetryNode.Instance.Low], node.Subscribed.Select(each => each.Request.ClientInstanceId.Low));
        });
        Assert.Equal([1.0, 2.0], pushes.Take(2).Select(push => ValueOf(push, "producer.record.send.total")));
        Assert.Equal([101, 102], pushes.Take(2).Select(push => push.Request.SubscriptionId));
    }

    [Fact]
    public void Sums_are_those_since_the_start_where_the_cluster_wants_them_so()
    {
        var pushes = Push("*", async (run, node) =>
        {
            node.Subscription.DeltaTemporality = false;
            await using var producer = run.Client.CreateProducer<string, string>();
            for (var round = 1; round <= 2; round++)
            {
                await producer.ProduceAsync(Topic, null, "v");
                await UntilAsync(run, () => node.Pushes.Count >= round);
            }
        });
        var totals = pushes.Take(2).Select(push => Named(push, "producer.record.send.total").Single()).ToList();
        Assert.Equal([1.0, 2.0], totals.Select(total => total.Value));
        Assert.Equal(totals[0].StartNs, totals[1].StartNs);
        Assert.All(totals, total => Assert.Equal("sum monotonic cumulative", total.Kind));
    }

    [Theory]
    [InlineData(CompressionType.Gzip)]
    [InlineData(CompressionType.Snappy)]
    [InlineData(CompressionType.Lz4)]
    [InlineData(CompressionType.Zstd)]
    public void Metrics_are_compressed_as_the_cluster_likes_it_best(CompressionType type)
    {
        var pushes = Push("*", async (run, node) =>
        {
            node.Subscription.AcceptedCompressionTypes = [(sbyte)type, (sbyte)CompressionType.None];
            await SendAndWaitAsync(run, node);
        });
        Assert.Equal((sbyte)type, pushes[0].Request.CompressionType);
        AssertKnown("producer", pushes, s_requiredOfProducers);
    }

    [Fact]
    public void A_push_has_no_more_bytes_than_the_cluster_takes()
    {
        const int bytesMax = 1_500;
        var pushes = Push("*", async (run, node) =>
        {
            node.Subscription.TelemetryMaxBytes = bytesMax;
            await SendAndWaitAsync(run, node);
        });
        Assert.InRange(pushes[0].Request.Metrics.Length, bytesMax / 2, bytesMax);
        Assert.Contains(pushes[0].Metrics, metric => metric.Name == Prefix + "producer.connection.creation.total");
    }

    [Fact]
    public void A_client_that_is_closed_pushes_for_the_last_time_and_waits_a_second_at_most()
    {
        var pushes = Push("*", SendAndWaitAsync);
        Assert.Equal([false, true], pushes.Select(push => push.Request.Terminating));

        var isClosedInTime = false;
        Push("*", async (run, node) =>
        {
            var producer = run.Client.CreateProducer<string, string>();
            await producer.ProduceAsync(Topic, null, "v");
            await UntilAsync(run, () => node.Pushes.Count >= 1);
            node.Fault = new RequestFault.Drop();
            var closedFrom = run.Process.Clock.GetUtcNow();
            await producer.DisposeAsync();
            isClosedInTime = run.Process.Clock.GetUtcNow() - closedFrom <= TimeSpan.FromSeconds(1.1);
        });
        Assert.True(isClosedInTime);
    }

    [Fact]
    public void Nothing_is_asked_where_it_is_turned_off_or_not_offered()
    {
        Push("*", async (run, node) =>
        {
            await using (var producer = run.Client.CreateProducer<string, string>())
                await producer.ProduceAsync(Topic, null, "v");
            Assert.Empty(node.Subscribed);
        }, options => options with { EnableMetricsPush = false });
        Push("*", async (run, node) =>
        {
            node.IsOffered = false;
            await using (var producer = run.Client.CreateProducer<string, string>())
            {
                await producer.ProduceAsync(Topic, null, "v");
                await run.Process.Delay(TimeSpan.FromMinutes(20));
            }

            Assert.DoesNotContain(run.Faults.Seen, request => request.Key is ApiKey.GetTelemetrySubscriptions or ApiKey.PushTelemetry);
        });
    }

    [Fact]
    public void A_client_goes_on_when_requests_about_metrics_fail()
    {
        var pushes = Push("*", async (run, node) =>
        {
            node.Fault = new RequestFault.Cut();
            await using var producer = run.Client.CreateProducer<string, string>();
            await producer.ProduceAsync(Topic, null, "v");
            await run.Process.Delay(s_interval);
            Assert.Empty(node.Subscribed);
            node.Fault = null;
            await UntilAsync(run, () => node.Pushes.Count >= 1);
            await producer.ProduceAsync(Topic, null, "v");
        });
        Assert.Equal(1, ValueOf(pushes[0], "producer.record.send.total"));
    }

    private static async Task SendAndWaitAsync(ClientRun run, TelemetryNode node)
    {
        await using var producer = run.Client.CreateProducer<string, string>();
        await producer.ProduceAsync(Topic, null, "v");
        await UntilAsync(run, () => node.Pushes.Count >= 1);
    }

    private static async Task FillAsync(ClientRun run, int records)
    {
        await using var producer = run.Client.CreateProducer<string, string>();
        for (var i = 0; i < records; i++)
            await producer.ProduceAsync(Topic, null, "v");
    }

    private static List<ReceivedPush> ByConsumer(TelemetryNode node) =>
        [.. node.Pushes.Where(push => push.Metrics[0].Resource.ContainsKey("group_id"))];

    private static async Task UntilAsync(ClientRun run, Func<bool> condition)
    {
        var end = run.Process.Clock.GetUtcNow() + TimeSpan.FromMinutes(30);
        while (!condition())
        {
            Assert.True(run.Process.Clock.GetUtcNow() < end, "what is waited for does not happen");
            await run.Process.Delay(TimeSpan.FromMilliseconds(100));
        }
    }

    /// <summary>Runs a client beside a cluster that takes metrics, and returns what it has pushed.</summary>
    private static List<ReceivedPush> Push(
        string wanted, Func<ClientRun, TelemetryNode, Task> body, Func<OttlaClientOptions, OttlaClientOptions>? change = null)
    {
        List<ReceivedPush> pushes = [];
        ClientWorld.Run(1, async (world, director) => await world.WithClientAsync(
            async run =>
            {
                var node = new TelemetryNode(run.Faults, run.Process.Clock) { Subscription = { RequestedMetrics = [wanted] } };
                pushes = node.Pushes;
                await body(run, node);
            },
            options =>
            {
                options = options with { AllowAutoCreateTopics = true, RequestTimeout = TimeSpan.FromSeconds(5) };
                return change is null ? options : change(options);
            }));
        return pushes;
    }

    /// <summary>Every metric is one that the Java client pushes, with its kind and labels; and the required ones are there.</summary>
    private static void AssertKnown(string kind, List<ReceivedPush> pushes, string[] required)
    {
        foreach (var metric in pushes.SelectMany(push => push.Metrics))
        {
            Assert.True(s_golden.TryGetValue(metric.Name, out var golden), $"the Java client has no {metric.Name}");
            Assert.Equal(golden.Kind, metric.Kind);
            Assert.Contains(string.Join(',', metric.Labels.Keys.Order()), golden.Labels);
            Assert.False(double.IsNaN(metric.Value), metric.Name);
            Assert.Equal(metric.Kind.StartsWith("sum", StringComparison.Ordinal), metric.StartNs != 0);
            Assert.True(metric.StartNs <= metric.TimeNs);
        }

        var names = pushes[0].Metrics.Select(metric => metric.Name).ToHashSet();
        Assert.All(required, name => Assert.Contains($"{Prefix}{kind}.{name}", names));
    }

    private static IEnumerable<ReadMetric> Named(ReceivedPush push, string name) =>
        push.Metrics.Where(metric => metric.Name == Prefix + name);

    private static double ValueOf(ReceivedPush push, string name) =>
        Named(push, name).OrderBy(metric => metric.Labels.Count).First().Value;

    private static Dictionary<string, GoldenMetric> ReadGolden() =>
        File.ReadLines(RepositoryFiles.Path("tests/golden/metrics/telemetry.tsv")).Skip(1).Select(line => line.Split('\t')).ToDictionary(
            cells => cells[0],
            cells => new GoldenMetric(
                cells[1], [.. cells[3].Split('|').Select(labels => string.Join(',', labels.Trim().Split(',').Order()))]));

    private sealed record GoldenMetric(string Kind, string[] Labels);
}
