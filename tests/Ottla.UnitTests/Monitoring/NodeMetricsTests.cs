using System.Text.RegularExpressions;
using Ottla.Broker.Monitoring;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Monitoring;

/// <summary>What a node tells of itself.</summary>
public sealed partial class NodeMetricsTests
{
    private const string Topics = "kafka_server_brokertopicmetrics_";

    [Fact]
    public async Task Records_in_and_out_are_counted_by_topic_and_in_all()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        await client.ProduceAsync("t", Batch(2));
        var fetched = await client.FetchAsync("t", 0);
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(5, metrics[$"{Topics}messagesin_total", "t"]);
        Assert.Equal(5, metrics[$"{Topics}messagesin_total"]);
        Assert.Equal(2, metrics[$"{Topics}totalproducerequests_total", "t"]);
        Assert.Equal(node.Replica("t").Log.SizeInBytes, metrics[$"{Topics}bytesin_total", "t"]);
        Assert.Equal(fetched.Records.Length, metrics[$"{Topics}bytesout_total", "t"]);
        Assert.Equal(2, metrics["kafka_network_requestmetrics_requests_total", "Produce"]);
        Assert.Equal(1, metrics["kafka_network_requestmetrics_totaltimems", "FetchConsumer"]);
        Assert.Equal(2, metrics["kafka_network_requestmetrics_errors_total", "Produce", "NONE"]);
        Assert.Equal(5, metrics["kafka_log_log_logendoffset", "t", "0"]);
    }

    /// <summary>A series for each name would let any client fill the memory of the node and of who collects its metrics.</summary>
    [Fact]
    public async Task Names_that_clients_choose_make_no_series()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await AskAsync(0);
        var before = (await CollectedMetrics.OfAsync(node.Node.Metrics)).SeriesCount;
        for (var i = 1; i <= 100; i++)
            await AskAsync(i);
        Assert.Equal(before, (await CollectedMetrics.OfAsync(node.Node.Metrics)).SeriesCount);

        async Task AskAsync(int number)
        {
            var name = $"{new string('x', 30_000)}{number}";
            await using var other = await node.ConnectAsync();
            var versions = new ApiVersionsRequest { ClientSoftwareName = $"a{number}", ClientSoftwareVersion = "1" };
            await other.SendFrameAsync(TestConnection.Encode(ApiKey.ApiVersions, 3, 1, versions, name));
            Assert.NotNull(await other.ReceiveFrameAsync());
            var group = new DescribeGroupsRequest { Groups = [name] };
            await other.SendFrameAsync(TestConnection.Encode(ApiKey.DescribeGroups, 5, 2, group, name));
            Assert.NotNull(await other.ReceiveFrameAsync());
            var topics = new MetadataRequest { Topics = [new() { Name = $"unknown-{number}" }], AllowAutoTopicCreation = false };
            await other.SendFrameAsync(TestConnection.Encode(ApiKey.Metadata, 12, 3, topics, name));
            Assert.NotNull(await other.ReceiveFrameAsync());
        }
    }

    [Fact]
    public async Task A_topic_that_is_deleted_stays_in_the_sum_of_all()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsRequest { Topics = [new() { Name = "t" }] });
        await Waiting.UntilAsync(() => node.Node.Topics.Find("t") is null);
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(3, metrics[$"{Topics}messagesin_total"]);
        Assert.False(metrics.Has($"{Topics}messagesin_total", "t"));
    }

    [Fact]
    public async Task A_combined_node_tells_of_its_roles()
    {
        var (node, _, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(1, metrics["kafka_controller_kafkacontroller_activecontrollercount"]);
        Assert.Equal(1, metrics["kafka_controller_kafkacontroller_globaltopiccount"]);
        Assert.Equal(0, metrics["kafka_controller_kafkacontroller_offlinepartitionscount"]);
        Assert.Equal(1, metrics["kafka_server_replicamanager_leadercount"]);
        Assert.Equal(1, metrics["kafka_server_raft_metrics_current_state", "leader"]);
        Assert.Equal(1, metrics["kafka_server_socket_server_metrics_connection_count", "PLAINTEXT"]);
        Assert.Empty(node.Node.Complaints);
    }

    [Fact]
    public async Task The_lag_of_a_group_is_what_it_has_not_committed()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(10));
        await client.FindCoordinatorAsync("g");
        Assert.Equal(ErrorCode.None, await client.CommitAsync("g", "t", 4));
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(6, metrics["kafka_consumergroup_lag", "g", "t", "0"]);
        Assert.Equal(6, metrics["kafka_consumergroup_lag_sum", "g", "t"]);
        Assert.Equal(4, metrics["kafka_consumergroup_current_offset_sum", "g", "t"]);
        Assert.Equal(1, metrics["kafka_server_group_coordinator_metrics_group_count", "classic"]);
    }

    [Fact]
    public async Task Families_have_names_of_Prometheus_and_are_all_named_beforehand()
    {
        var (node, _, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        var named = node.Node.Metrics.Families;
        Assert.Equal(named.Count, named.Select(family => family.Name).Distinct().Count());
        foreach (var family in named)
        {
            Assert.Matches(Name(), family.Name);
            Assert.EndsWith(".", family.Help, StringComparison.Ordinal);
            Assert.Equal(family.Kind == MetricKind.Counter, family.Name.EndsWith("_total", StringComparison.Ordinal));
        }

        var detailed = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(named, detailed.Families);
        var brief = await CollectedMetrics.OfAsync(node.Node.Metrics, isDetailed: false);
        Assert.Equal(named.Where(family => !family.IsDetailed), brief.Families);
    }

    [GeneratedRegex("^[a-z][a-z0-9_]*$")]
    private static partial Regex Name();
}
