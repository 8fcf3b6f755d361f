using System.Buffers;
using System.Collections.Concurrent;
using Ottla.Broker.Telemetry;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Client;
using Ottla.UnitTests.Client.Push;
using Ottla.UnitTests.Monitoring;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Broker;

/// <summary>KIP-714 over the wire: subscriptions as configs, what clients are asked for, and what becomes of what they push.</summary>
public sealed class TelemetryApiTests
{
    private const sbyte ClientMetricsResource = 16;
    private const sbyte SetValue = 0;
    private const sbyte DeleteValue = 1;

    [Theory]
    [InlineData(CompressionType.None)]
    [InlineData(CompressionType.Gzip)]
    [InlineData(CompressionType.Snappy)]
    [InlineData(CompressionType.Lz4)]
    [InlineData(CompressionType.Zstd)]
    public async Task What_a_client_pushes_is_handed_on_with_its_labels(CompressionType compression)
    {
        var (node, client, sink) = await StartAsync();
        await using var _1 = node;
        await AlterAsync(client, "all", ("metrics", SetValue, "*"), ("interval.ms", SetValue, "1000"));
        var wanted = await AskAsync(client, Uuid.Zero);
        Assert.Equal(["*"], wanted.RequestedMetrics);
        Assert.Equal((1000, 1_048_576, true), (wanted.PushIntervalMs, wanted.TelemetryMaxBytes, wanted.DeltaTemporality));
        Assert.Equal([4, 3, 1, 2], wanted.AcceptedCompressionTypes.Select(type => (int)type));
        var plain = JavaPush();
        Assert.Equal(ErrorCode.None, await PushAsync(client, wanted, Compress(compression, plain), compression));
        var taken = OtlpMetricsReader.Read(Assert.Single(sink.Taken));
        Assert.Equal(OtlpMetricsReader.Read(plain).Select(each => each.Name), taken.Select(each => each.Name));
        Assert.All(taken, each => Assert.Equal(
            (wanted.ClientInstanceId.ToString(), "User:ANONYMOUS", "0"),
            (each.Resource["client_instance_id"], each.Resource["principal"], each.Resource["broker_id"])));
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(1, metrics["kafka_server_client_metrics_instance_count"]);
        Assert.Equal(1, metrics["kafka_server_client_metrics_plugin_export_total"]);
    }

    [Fact]
    public async Task Subscriptions_are_resources_that_are_altered_described_listed_and_removed()
    {
        var (node, client, _) = await StartAsync();
        await using var _1 = node;
        await AlterAsync(client, "b", ("metrics", SetValue, "x.,y."));
        await AlterAsync(client, "a", ("match", SetValue, "client_id=.*"));
        var listed = await client.CallAsync<ListConfigResourcesRequest, ListConfigResourcesResponse>(new ListConfigResourcesRequest(), 0);
        Assert.Equal(["a", "b"], listed.ConfigResources.Select(each => each.ResourceName).Order());
        var described = await client.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(new DescribeConfigsRequest
        {
            Resources = [new() { ResourceType = ClientMetricsResource, ResourceName = "b", ConfigurationKeys = null }],
        });
        Assert.Equal(
            ["interval.ms=300000", "match=", "metrics=x.,y."],
            Assert.Single(described.Results).Configs.Select(config => $"{config.Name}={config.Value}").Order());
        Assert.Equal(["x.", "y."], (await AskAsync(client, Uuid.Zero)).RequestedMetrics.Order());
        await AlterAsync(client, "b", ("metrics", DeleteValue, null));
        Assert.Empty((await AskAsync(client, Uuid.Zero)).RequestedMetrics);
    }

    [Fact]
    public async Task Pushes_that_cannot_be_read_are_refused()
    {
        var (node, client, sink) = await StartAsync(("telemetry.max.bytes", "2000"));
        await using var _1 = node;
        await AlterAsync(client, "all", ("metrics", SetValue, "*"), ("interval.ms", SetValue, "100"));
        var wanted = await AskAsync(client, Uuid.Zero);
        var large = new byte[4000];
        Assert.Equal(ErrorCode.TelemetryTooLarge, await NextAsync(large, CompressionType.None));
        Assert.Equal(ErrorCode.InvalidRecord, await NextAsync(Compress(CompressionType.Zstd, large), CompressionType.Zstd));
        Assert.Equal(ErrorCode.InvalidRecord, await NextAsync([1, 2, 3], CompressionType.Gzip));
        Assert.Equal(ErrorCode.InvalidRecord, await NextAsync([1, 2, 3], CompressionType.None));
        Assert.Equal(ErrorCode.UnsupportedCompressionType, await NextAsync([1, 2, 3], (CompressionType)9));
        Assert.Equal(ErrorCode.None, await NextAsync([], CompressionType.None));
        Assert.Empty(sink.Taken);
        Assert.Equal(3, (await CollectedMetrics.OfAsync(node.Node.Metrics))["kafka_server_client_metrics_plugin_error_total"]);

        async Task<ErrorCode> NextAsync(byte[] metrics, CompressionType compression)
        {
            node.Clock.AdvanceMs(100);
            return await PushAsync(client, wanted, metrics, compression);
        }
    }

    [Fact]
    public async Task A_connection_has_one_client_at_a_time_which_is_forgotten_with_it()
    {
        var (node, client, _) = await StartAsync();
        await using var _1 = node;
        var first = await AskAsync(client, Uuid.Zero);
        var second = await AskAsync(client, Uuid.Zero);
        Assert.NotEqual(first.ClientInstanceId, second.ClientInstanceId);
        Assert.Equal(1, (await CollectedMetrics.OfAsync(node.Node.Metrics))["kafka_server_client_metrics_instance_count"]);
        Assert.Equal(ErrorCode.ThrottlingQuotaExceeded, (ErrorCode)(await AskAsync(client, second.ClientInstanceId)).ErrorCode);
        await client.DisposeAsync();
        await Waiting.UntilAsync(async () =>
            (await CollectedMetrics.OfAsync(node.Node.Metrics))["kafka_server_client_metrics_instance_count"] == 0);
    }

    [Fact]
    public async Task It_is_offered_where_something_takes_the_metrics_and_answered_elsewhere_too()
    {
        Assert.Equal((true, true), (await OffersAsync(ApiKey.GetTelemetrySubscriptions), await OffersAsync(ApiKey.PushTelemetry)));
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var offered = await client.CallAsync<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsRequest(), 0);
        Assert.DoesNotContain(offered.ApiKeys, key => (ApiKey)key.ApiKey is ApiKey.GetTelemetrySubscriptions or ApiKey.PushTelemetry);
        var wanted = await AskAsync(client, Uuid.Zero);
        Assert.Empty(wanted.RequestedMetrics);
        wanted.SubscriptionId++;
        Assert.Equal(ErrorCode.UnknownSubscriptionId, await PushAsync(client, wanted, [], CompressionType.None));
    }

    [Fact]
    public async Task The_client_for_NET_pushes_to_a_node()
    {
        var (node, admin, sink) = await StartAsync();
        await using var _1 = node;
        node.Network.NameHost("localhost", System.Net.IPAddress.Loopback);
        await admin.CreateTopicAsync("t");
        await AlterAsync(
            admin, "producers", ("metrics", SetValue, "org.apache.kafka.producer.record.send"), ("interval.ms", SetValue, "1000"),
            ("match", SetValue, "client_software_name=ottla.*,client_id=pusher"));
        var client = new OttlaClient(ClientBed.OptionsFor(node) with { ClientId = "pusher" });
        var producer = client.CreateProducer<string, string>();
        await node.Clock.AdvanceUntilAsync(producer.ProduceAsync("t", null, "v"), stepMs: 1);
        await node.Clock.AdvanceUntilAsync(Waiting.UntilAsync(() => !sink.Taken.IsEmpty), stepMs: 100);
        var taken = OtlpMetricsReader.Read(sink.Taken.First());
        var total = Assert.Single(taken, each => each.Name.EndsWith("producer.record.send.total", StringComparison.Ordinal));
        Assert.Equal((1, "pusher"), (total.Value, total.Resource["client_id"]));
        Assert.StartsWith("ottla", total.Resource["client_software_name"], StringComparison.Ordinal);
        await node.Clock.AdvanceUntilAsync(producer.DisposeAsync().AsTask(), stepMs: 100);
        await node.Clock.AdvanceUntilAsync(client.DisposeAsync().AsTask(), stepMs: 100);
    }

    private static async Task<bool> OffersAsync(ApiKey key)
    {
        var (node, client, _) = await StartAsync();
        await using var _1 = node;
        var offered = await client.CallAsync<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsRequest(), 0);
        return offered.ApiKeys.Any(each => each.ApiKey == (short)key);
    }

    private static async Task<(TestNode Node, TestConnection Client, CollectingSink Sink)> StartAsync(
        params (string Name, string Value)[] configs)
    {
        var sink = new CollectingSink();
        var node = await TestNode.StartAsync(sink, configs);
        return (node, await node.ConnectAsync(), sink);
    }

    private static async Task AlterAsync(
        TestConnection client, string name, params (string Config, sbyte Operation, string? Value)[] changes)
    {
        var answer = await client.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
            new IncrementalAlterConfigsRequest
            {
                Resources =
                [
                    new()
                    {
                        ResourceType = ClientMetricsResource,
                        ResourceName = name,
                        Configs = [.. changes.Select(change => new IncrementalAlterConfigsRequest.AlterableConfig
                        {
                            Name = change.Config, ConfigOperation = change.Operation, Value = change.Value,
                        })],
                    },
                ],
            });
        Assert.Equal((short)ErrorCode.None, Assert.Single(answer.Responses).ErrorCode);
    }

    private static Task<GetTelemetrySubscriptionsResponse> AskAsync(TestConnection client, Uuid instance) =>
        client.CallAsync<GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse>(
            new GetTelemetrySubscriptionsRequest { ClientInstanceId = instance });

    private static async Task<ErrorCode> PushAsync(
        TestConnection client, GetTelemetrySubscriptionsResponse wanted, byte[] metrics, CompressionType compression) =>
        (ErrorCode)(await client.CallAsync<PushTelemetryRequest, PushTelemetryResponse>(new PushTelemetryRequest
        {
            ClientInstanceId = wanted.ClientInstanceId,
            SubscriptionId = wanted.SubscriptionId,
            CompressionType = (sbyte)compression,
            Metrics = metrics,
        })).ErrorCode;

    private static byte[] Compress(CompressionType compression, byte[] plain)
    {
        if (compression == CompressionType.None)
            return plain;
        var codec = CompressionCodecs.For(compression);
        var output = new ArrayBufferWriter<byte>();
        codec.Compress(plain, codec.Levels.Default, output);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] JavaPush()
    {
        var text = File.ReadAllText(RepositoryFiles.Path("tests/golden/metrics/java-consumer-push.base64"));
        return Convert.FromBase64String(text.ReplaceLineEndings(""));
    }

    private sealed class CollectingSink : IClientMetricsSink
    {
        public ConcurrentQueue<byte[]> Taken { get; } = new();

        public void Take(byte[] resourceMetrics) => Taken.Enqueue(resourceMetrics);
    }
}
