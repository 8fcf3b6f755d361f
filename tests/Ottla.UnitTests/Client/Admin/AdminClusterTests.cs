using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client.Admin;

/// <summary>Admin calls about the cluster and configs, at a whole node.</summary>
public sealed class AdminClusterTests
{
    private const int NodeId = 0;

    [Fact]
    public async Task Administers_by_way_of_a_controller()
    {
        await using var bed = await ClientBed.StartAsync();
        var options = ClientBed.OptionsFor(bed.Node) with
        {
            BootstrapServers = "",
            BootstrapControllers = bed.Node.Node.ControllerEndPoints[0].ToString(),
        };
        var client = new OttlaClient(options);
        await using var admin = client.CreateAdmin();
        var cluster = await bed.RunAsync(admin.DescribeClusterAsync());
        Assert.Equal(bed.Node.Node.ControllerEndPoints[0].Port, Assert.Single(cluster.Brokers).Port);
        var quorum = await bed.RunAsync(admin.DescribeMetadataQuorumAsync());
        Assert.Equal(cluster.ControllerId, quorum.LeaderId);
        Assert.Throws<InvalidOperationException>(() => client.CreateProducer<string, string>());
        Assert.Throws<InvalidOperationException>(() => client.CreateConsumer<string, string>());
        await bed.RunAsync(client.DisposeAsync().AsTask());
    }

    [Fact]
    public async Task Ends_with_its_client_or_before()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        await admin.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => admin.ListTopicsAsync());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => admin.DeleteTopicsAsync(["a"]));
    }

    [Fact]
    public async Task Describes_the_cluster()
    {
        await using var bed = await ClientBed.StartAsync();
        var cluster = await bed.RunAsync(bed.Client.CreateAdmin().DescribeClusterAsync(
            includeFencedBrokers: true, includeAuthorizedOperations: true));
        var broker = Assert.Single(cluster.Brokers);
        Assert.Equal((NodeId, false), (broker.Id, broker.IsFenced));
        Assert.Equal(NodeId, cluster.ControllerId);
        Assert.NotEmpty(cluster.ClusterId);
        Assert.Contains(AclOperation.Alter, cluster.AuthorizedOperations!);
        Assert.Null((await bed.RunAsync(bed.Client.CreateAdmin().DescribeClusterAsync())).AuthorizedOperations);
    }

    [Fact]
    public async Task Describes_and_updates_features()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        var features = await bed.RunAsync(admin.DescribeFeaturesAsync());
        Assert.True(features.FinalizedEpoch >= 0);
        var level = features.Finalized["group.version"].Maximum;
        Assert.True(features.Supported["group.version"].Maximum >= level);
        var lowered = new FeatureUpdate((short)(level - 1), FeatureUpgradeType.SafeDowngrade);
        var only = new Dictionary<string, FeatureUpdate> { ["group.version"] = lowered };
        (await bed.RunAsync(admin.UpdateFeaturesAsync(only, validateOnly: true))).ThrowIfFailed();
        Assert.Equal(level, (await bed.RunAsync(admin.DescribeFeaturesAsync())).Finalized["group.version"].Maximum);
        (await bed.RunAsync(admin.UpdateFeaturesAsync(only))).ThrowIfFailed();
        var after = await bed.RunAsync(admin.DescribeFeaturesAsync());
        Assert.Equal(level - 1, after.Finalized.GetValueOrDefault("group.version").Maximum);
        var wrong = await bed.RunAsync(admin.UpdateFeaturesAsync(
            new Dictionary<string, FeatureUpdate> { ["no.such.feature"] = new(1) }));
        Assert.False(wrong["no.such.feature"].IsSuccess);
    }

    [Fact]
    public async Task Describes_the_quorum()
    {
        await using var bed = await ClientBed.StartAsync();
        var quorum = await bed.RunAsync(bed.Client.CreateAdmin().DescribeMetadataQuorumAsync());
        Assert.Equal(NodeId, quorum.LeaderId);
        Assert.True(quorum.HighWatermark > 0);
        var voter = Assert.Single(quorum.Voters);
        Assert.Equal(NodeId, voter.Id);
        Assert.True(voter.LogEndOffset > 0);
    }

    [Fact]
    public async Task Changes_of_voters_and_registrations_tell_why_they_fail()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        var added = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(
            admin.AddRaftVoterAsync(9, new Uuid(1, 2), [new RaftVoterEndpoint("CONTROLLER", "localhost", 9093)], "another-cluster")));
        Assert.Equal(ErrorCode.InconsistentClusterId, added.ErrorCode);
        var removed = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(admin.RemoveRaftVoterAsync(9, new Uuid(1, 2))));
        Assert.True(removed.ErrorCode is ErrorCode.VoterNotFound or ErrorCode.UnsupportedVersion, removed.Message);
        var broker = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(admin.UnregisterBrokerAsync(9)));
        Assert.Equal(ErrorCode.BrokerIdNotRegistered, broker.ErrorCode);
        await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(admin.UnregisterControllerAsync(9)));
        await Assert.ThrowsAsync<ArgumentException>(
            () => admin.AddRaftVoterAsync(9, new Uuid(1, 2), [new RaftVoterEndpoint("CONTROLLER", "localhost", 70000)]));
    }

    [Fact]
    public async Task Describes_and_changes_configs()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var admin = bed.Client.CreateAdmin();
        ConfigResource topic = ConfigResource.Topic("a"), broker = ConfigResource.Broker(NodeId);
        ConfigResource unknown = ConfigResource.Topic("nowhere");
        var changed = await bed.RunAsync(admin.IncrementalAlterConfigsAsync(
            new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>>
            {
                [topic] = [new("retention.ms", "5000"), new("cleanup.policy", "compact", ConfigOperation.Append)],
                [broker] = [new("log.cleaner.threads", "2")],
                [unknown] = [new("retention.ms", "5000")],
            }));
        changed[topic].ThrowIfFailed();
        changed[broker].ThrowIfFailed();
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, changed[unknown].Error);

        var described = await bed.RunAsync(admin.DescribeConfigsAsync(
            [topic, broker, unknown], includeSynonyms: true, includeDocumentation: true));
        var retention = described[topic].Value.Single(config => config.Name == "retention.ms");
        Assert.Equal(("5000", ConfigSource.DynamicTopic, ConfigType.Long), (retention.Value, retention.Source, retention.Type));
        Assert.NotEmpty(retention.Synonyms);
        Assert.NotEmpty(retention.Documentation!);
        Assert.Equal("delete,compact", described[topic].Value.Single(config => config.Name == "cleanup.policy").Value);
        Assert.Equal("2", described[broker].Value.Single(config => config.Name == "log.cleaner.threads").Value);
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, described[unknown].Error);

        var back = new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> { [topic] = [ConfigChange.Delete("retention.ms")] };
        (await bed.RunAsync(admin.IncrementalAlterConfigsAsync(back))).ThrowIfFailed();
        described = await bed.RunAsync(admin.DescribeConfigsAsync([topic]));
        Assert.True(described[topic].Value.Single(config => config.Name == "retention.ms").IsDefault);
        await Assert.ThrowsAsync<ArgumentException>(
            () => admin.DescribeConfigsAsync([new ConfigResource(ConfigResourceType.BrokerLogger, "x")]));
    }

    [Fact]
    public async Task Lists_config_resources()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var admin = bed.Client.CreateAdmin();
        var topics = await bed.RunAsync(admin.ListConfigResourcesAsync([ConfigResourceType.Topic]));
        Assert.Equal([ConfigResource.Topic("a")], topics);
        Assert.Contains(ConfigResource.Broker(NodeId), await bed.RunAsync(admin.ListConfigResourcesAsync()));
    }
}
