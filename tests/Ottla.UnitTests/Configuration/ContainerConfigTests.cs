using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

/// <summary>The configuration of a node in a container: what overrides what.</summary>
public sealed class ContainerConfigTests
{
    private static readonly KeyValuePair<string, string>[] Mounted =
    [
        new("process.roles", "broker,controller"), new("node.id", "7"), new("controller.quorum.voters", "7@node:9093"),
        new("controller.listener.names", "CONTROLLER"), new("listeners", "PLAINTEXT://:19092,CONTROLLER://:9093"),
        new("advertised.listeners", "PLAINTEXT://node:19092"), new("num.partitions", "5"),
    ];

    [Fact]
    public void Without_a_file_a_node_answers_on_all_addresses_and_keeps_its_data_on_the_volume()
    {
        var config = BrokerConfig.LoadInContainer(null, [new("CLUSTER_ID", "HhPIqxNdR0-vSl4KDQNNtQ")]);
        Assert.Equal(["/data/log"], config.LogDirs);
        Assert.Contains(config.BrokerListeners, listener => listener.Port == 9092);
        Assert.Equal(("0.0.0.0", 9404), (config.MonitoringListener!.Host, config.MonitoringListener.Port));
        Assert.Equal("HhPIqxNdR0-vSl4KDQNNtQ", config.ClusterId);
    }

    [Fact]
    public void What_is_mounted_overrides_the_image_and_variables_override_both()
    {
        var config = BrokerConfig.LoadInContainer(
            Mounted, [new("KAFKA_NUM_PARTITIONS", "6"), new("CLUSTER_ID", "HhPIqxNdR0-vSl4KDQNNtQ")]);
        Assert.Equal((7, "6"), (config.NodeId, config.Original("num.partitions")));
        Assert.Equal(19092, Assert.Single(config.BrokerListeners).Port);
        Assert.Equal(["/data/log"], config.LogDirs);
        Assert.Equal("HhPIqxNdR0-vSl4KDQNNtQ", config.ClusterId);

        var elsewhere = BrokerConfig.LoadInContainer([.. Mounted, new("log.dirs", "/mine"), new("ottla.monitoring.listener", "")]);
        Assert.Equal(["/mine"], elsewhere.LogDirs);
        Assert.Null(elsewhere.MonitoringListener);
    }
}
