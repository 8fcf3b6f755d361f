using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using Ottla.UnitTests.Controller;

namespace Ottla.UnitTests.Broker;

/// <summary>What a node begins with, what it says of itself, and what it tells clients of the controller.</summary>
public sealed class NodeStartTests
{
    private const sbyte BrokerResource = 4;

    /// <summary>A value that was set while the node ran counts from its next start on, not only once the metadata is read.</summary>
    [Fact]
    public async Task Node_starts_with_the_dynamic_configs_of_its_newest_snapshot()
    {
        await using var node = await TestNode.StartAsync(("metadata.log.max.record.bytes.between.snapshots", "1"));
        await using var client = await node.ConnectAsync();
        Assert.Equal(ErrorCode.None, await AlterAsync(client, "log.cleaner.backoff.ms", "12345"));
        await Waiting.UntilAsync(() => Snapshot(node).GetValueOrDefault("log.cleaner.backoff.ms") == "12345");
        var config = new EffectiveBrokerConfig(node.Node.Shared.Config, new WarningLogger());
        config.BeginWith(LocalSnapshot.ReadConfigs(node.Disk, "/data"));
        Assert.Equal(12345, config.Current.LogCleanerBackoffMs);

        // What was removed since is gone with the first metadata, although nothing in it says so.
        var delta = MetadataDelta.Between(MetadataImage.Empty, new MetadataImage());
        config.Publish(delta);
        Assert.NotEqual(12345, config.Current.LogCleanerBackoffMs);
    }

    [Fact]
    public void Registration_of_an_old_version_leaves_out_features_that_may_be_at_level_zero()
    {
        var registration = ControllerTestBed.Registration(1);
        Assert.Contains(registration.Features, feature => feature.MinSupportedVersion == 0);
        Assert.Same(registration, NodeIdentity.RegistrationFor(4, registration));
        var old = NodeIdentity.RegistrationFor(3, registration);
        Assert.Equal([MetadataVersion.FeatureName], old.Features.Select(feature => feature.Name));
        Assert.Equal(
            (registration.BrokerId, registration.IncarnationId, registration.ClusterId), (old.BrokerId, old.IncarnationId, old.ClusterId));
        Assert.Equal(registration.LogDirs, old.LogDirs);
        Assert.Equal(registration.Listeners, old.Listeners);
    }

    [Fact]
    public void Any_live_broker_is_told_to_be_the_controller()
    {
        var bed = ControllerTestBed.WithBrokers(3);
        bed.AddBroker(4, unfence: false);
        var cluster = new ClusterView("c", () => bed.Image);
        var told = Enumerable.Range(0, 6).Select(_ => cluster.NextBrokerForController()).ToList();
        Assert.Equal([1, 2, 3, 1, 2, 3], told);
        Assert.Equal(-1, new ClusterView("c", () => MetadataImage.Empty).NextBrokerForController());
    }

    private static System.Collections.Immutable.ImmutableSortedDictionary<string, string> Snapshot(TestNode node) =>
        LocalSnapshot.ReadConfigs(node.Disk, "/data").Of(ConfigResource.DefaultBroker);

    private static async Task<ErrorCode> AlterAsync(TestConnection client, string config, string value)
    {
        var response = await client.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
            new IncrementalAlterConfigsRequest
            {
                Resources =
                [
                    new IncrementalAlterConfigsRequest.AlterConfigsResource
                    {
                        ResourceType = BrokerResource,
                        ResourceName = "",
                        Configs = [new IncrementalAlterConfigsRequest.AlterableConfig { Name = config, Value = value }],
                    },
                ],
            });
        return (ErrorCode)response.Responses[0].ErrorCode;
    }
}
