using System.Text.RegularExpressions;
using Ottla.Broker.Monitoring;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
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
        Assert.Equal(3, metrics["kafka_server_kafkaserver_brokerstate"]);
        Assert.Equal(1, metrics["kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent"]);
        Assert.Equal(0, metrics["kafka_network_requestchannel_requestqueuesize"]);
        Assert.Equal(0, metrics["kafka_network_socketserver_expiredconnectionskilledcount"]);
        Assert.Equal(
            metrics["kafka_server_metadataloader_currentmetadataversion"],
            metrics["kafka_server_metadataloader_finalizedlevel", "metadataVersion"]);
        Assert.Equal(1, metrics["kafka_server_metadataloader_finalizedlevel", "groupVersion"]);
        Assert.Equal(0, metrics["kafka_controller_kafkacontroller_timedoutbrokerheartbeatcount"]);
        Assert.Equal(0, metrics["kafka_server_replicamanager_produceridcount"]);
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
    public async Task The_lag_on_partitions_of_other_brokers_is_asked_of_them_between_scrapes()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(("offsets.topic.num.partitions", "1"));
        await using var client = await cluster.Nodes[1].ConnectAsync();
        await client.CreateTopicAsync("t", partitions: 3); // one on each broker
        await client.FindCoordinatorAsync("g");
        var coordinator = 0;
        await Waiting.UntilAsync(() =>
        {
            coordinator = cluster.Brokers.FirstOrDefault(id => cluster.Nodes[id].Node.Coordinators.Count > 0);
            return coordinator > 0 && Enumerable.Range(0, 3).All(partition => LeaderOf(partition) > 0);
        });
        for (var partition = 0; partition < 3; partition++)
        {
            await using var leader = await cluster.Nodes[LeaderOf(partition)].ConnectAsync();
            AssertError(ErrorCode.None, (await leader.ProduceAsync("t", Batch(partition + 2), partition: partition)).ErrorCode);
        }

        await using var committer = await cluster.Nodes[coordinator].ConnectAsync();
        for (var partition = 0; partition < 3; partition++)
        {
            var index = partition;
            await Waiting.UntilAsync(async () => await committer.CommitAsync("g", "t", 1, partition: index) == ErrorCode.None);
        }

        var metrics = cluster.Nodes[coordinator].Node.Metrics;
        await Waiting.UntilAsync(async () =>
            (await CollectedMetrics.OfAsync(metrics))["kafka_consumergroup_lag_unknown_partitions", "g", "t"] == 0);
        var collected = await CollectedMetrics.OfAsync(metrics);
        Assert.Equal(
            [1, 2, 3], Enumerable.Range(0, 3).Select(partition => (int)collected["kafka_consumergroup_lag", "g", "t", $"{partition}"]));
        Assert.Equal(6, collected["kafka_consumergroup_lag_sum", "g", "t"]);

        int LeaderOf(int partition) => cluster.Brokers.FirstOrDefault(
            id => cluster.Nodes[id].Node.Topics.Find("t")?.Find(partition)?.Leadership.IsLeaderHere == true);
    }

    [Fact]
    public async Task A_group_tells_of_its_members_and_its_coordinator()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.FindCoordinatorAsync("g");
        Assert.Equal(ErrorCode.None, await client.CommitAsync("g", "t", 4));
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(0, metrics["kafka_consumergroup_members", "g"]);
        Assert.Equal(1, metrics["kafka_server_group_coordinator_metrics_offset_count"]);
        Assert.True(metrics["kafka_server_group_coordinator_metrics_num_partitions", "active"] > 0);
        Assert.Equal(0, metrics["kafka_server_group_coordinator_metrics_num_partitions", "loading"]);
        Assert.Equal(0, metrics["kafka_server_group_coordinator_metrics_event_queue_size"]);
    }

    [Fact]
    public async Task A_fetch_that_waits_is_told_until_it_is_answered()
    {
        const string waiting = "kafka_server_delayedoperationpurgatory_purgatorysize";
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var consumer = await node.ConnectAsync();
        var fetch = consumer.FetchAsync("t", 0, changeRequest: request => (request.MaxWaitMs, request.SessionEpoch) = (30_000, 0));
        await Waiting.UntilAsync(async () => (await CollectedMetrics.OfAsync(node.Node.Metrics))[waiting, "Fetch"] == 1);
        await client.ProduceAsync("t", Batch());
        Assert.NotEqual(0, (await fetch).Records.Length);
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(0, metrics[waiting, "Fetch"]);
        Assert.Equal(0, metrics["kafka_server_delayedoperationpurgatory_numdelayedoperations", "Produce"]);
        Assert.Equal(1, metrics["kafka_server_fetchsessioncache_numincrementalfetchsessions"]);
        Assert.Equal(1, metrics["kafka_server_fetchsessioncache_numincrementalfetchpartitionscached"]);
        Assert.Equal(0, metrics["kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total"]);
    }

    [Fact]
    public async Task Records_that_are_refused_are_counted_by_what_is_wrong_with_them()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.CreateTopicAsync("compacted", 1, ("cleanup.policy", "compact"));
        var corrupt = Batch();
        corrupt[^1] ^= 1;
        AssertError(ErrorCode.CorruptMessage, (await client.ProduceAsync("t", corrupt)).ErrorCode);
        var old = Batch();
        old[RecordBatchLayout.MagicOffset] = 1;
        AssertError(ErrorCode.InvalidRecord, (await client.ProduceAsync("t", old)).ErrorCode);
        var shifted = Batch(1, new RecordBatchOptions { BaseOffset = 7 });
        AssertError(ErrorCode.InvalidRecord, (await client.ProduceAsync("t", shifted)).ErrorCode);
        using var builder = new RecordBatchBuilder(new RecordBatchOptions());
        for (var i = 0; i < 3; i++)
            builder.Append(StartMs, null, new byte[1]);
        AssertError(ErrorCode.InvalidRecord, (await client.ProduceAsync("compacted", builder.Build())).ErrorCode);
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(1, metrics[$"{Topics}invalidmessagecrcrecords_total"]);
        Assert.Equal(1, metrics[$"{Topics}invalidmagicnumberrecords_total"]);
        Assert.Equal(1, metrics[$"{Topics}invalidoffsetorsequencerecords_total"]);
        Assert.Equal(3, metrics[$"{Topics}nokeycompactedtopicrecords_total"]);
    }

    [Fact]
    public async Task What_exporters_tell_of_a_cluster_its_nodes_tell_together()
    {
        await using var cluster = await TestCluster.StartCombinedAsync();
        await using var client = await cluster.Nodes[1].ConnectAsync();
        await client.CreateTopicAsync("t", partitions: 3); // one on each broker
        await Waiting.UntilAsync(() => cluster.Brokers.All(id => cluster.Nodes[id].Node.Topics.Find("t") is not null));
        var metrics = await Task.WhenAll(cluster.Brokers.Select(id => CollectedMetrics.OfAsync(cluster.Nodes[id].Node.Metrics)));
        Assert.All(metrics, each => Assert.Equal(3, each["kafka_brokers"]));
        Assert.All(metrics, each => Assert.Equal(3, each["kafka_topic_partitions", "t"]));
        foreach (var partition in new[] { "0", "1", "2" })
        {
            var (id, teller) = Assert.Single(
                cluster.Brokers.Zip(metrics), each => each.Second.Has("kafka_topic_partition_leader", "t", partition));
            Assert.Equal(id, teller["kafka_topic_partition_leader", "t", partition]);
            Assert.Equal(1, teller["kafka_topic_partition_leader_is_preferred", "t", partition]);
            Assert.Equal(1, teller["kafka_topic_partition_replicas", "t", partition]);
            Assert.Equal(1, teller["kafka_topic_partition_in_sync_replica", "t", partition]);
            Assert.Equal(0, teller["kafka_topic_partition_under_replicated_partition", "t", partition]);
            Assert.Equal(0, teller["kafka_topic_partition_current_offset", "t", partition]);
            Assert.Equal(0, teller["kafka_topic_partition_oldest_offset", "t", partition]);
        }
    }

    [Fact]
    public async Task The_oldest_open_transaction_is_told_with_its_age()
    {
        await using var node = await TestNode.StartAsync(TransactionCalls.FewPartitions);
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t");
        await client.FindTransactionCoordinatorAsync();
        const string oldest = "kafka_server_transaction_coordinator_metrics_active_transaction_total_time_max";
        const string ids = "kafka_server_transaction_coordinator_metrics_transactional_id_count";
        var producer = await client.BeginAsync();
        Assert.Equal(0, (await CollectedMetrics.OfAsync(node.Node.Metrics))[oldest]);
        Assert.Equal(ErrorCode.None, await client.AddPartitionAsync(producer, "t"));
        node.Clock.AdvanceMs(1234);
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal((1234, 1), (metrics[oldest], metrics[ids, "Ongoing"]));
    }

    [Fact]
    public async Task Times_of_throttling_and_sending_and_disks_are_told()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.CallAsync<AlterClientQuotasRequest, AlterClientQuotasResponse>(new AlterClientQuotasRequest
        {
            Entries =
            [
                new AlterClientQuotasRequest.EntryData
                {
                    Entity = [new AlterClientQuotasRequest.EntityData { EntityType = "client-id", EntityName = null }],
                    Ops = [new AlterClientQuotasRequest.OpData { Key = "producer_byte_rate", Value = 1 }],
                },
            ],
        });
        await Waiting.UntilAsync(() => node.Node.Shared.Quotas.AreOnRequests);
        await client.ProduceAsync("t", Batch(100));
        var metrics = await CollectedMetrics.OfAsync(node.Node.Metrics);
        Assert.Equal(1, metrics["kafka_network_requestmetrics_throttletimems", "Produce"]);
        Assert.True(metrics.SumOf("kafka_network_requestmetrics_throttletimems", "Produce") > 0);
        await Waiting.UntilAsync(async () =>
            (await CollectedMetrics.OfAsync(node.Node.Metrics))["kafka_network_requestmetrics_responsesendtimems", "Produce"] == 1);
        Assert.True(metrics["ottla_log_directory_free_bytes", "/data"] <= metrics["ottla_log_directory_size_bytes", "/data"]);
        Assert.Equal(0, metrics["kafka_log_logcleanermanager_uncleanable_partitions_count"]);
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
