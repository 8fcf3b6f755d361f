using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class DevModeDefaultsTests
{
    [Fact]
    public void StartsOneNodeForThisMachine()
    {
        var config = BrokerConfig.LoadDevMode();
        Assert.True(config.IsSingleNodeQuorum);
        Assert.Equal(0, config.NodeId);
        Assert.Equal([new Listener("PLAINTEXT", SecurityProtocol.PLAINTEXT, "127.0.0.1", 9092)], config.BrokerListeners);
        Assert.Equal([new Listener("PLAINTEXT", SecurityProtocol.PLAINTEXT, "localhost", 9092)], config.AdvertisedListeners);
        Assert.Equal(["./data"], config.LogDirs);
        Assert.Equal(1, config.OffsetsTopicReplicationFactor);
        Assert.Equal(1, config.TransactionStateLogReplicationFactor);
        Assert.Equal(1, config.TransactionStateLogMinIsr);
        Assert.Equal(1, config.ShareCoordinatorStateTopicReplicationFactor);
        Assert.Equal(1, config.ShareCoordinatorStateTopicMinIsr);
        Assert.Empty(config.Warnings);
    }

    [Theory]
    [InlineData("PLAINTEXT://:9192", "localhost", 9192)]
    [InlineData("PLAINTEXT://0.0.0.0:9192", "localhost", 9192)]
    [InlineData("PLAINTEXT://[::]:9192", "localhost", 9192)]
    [InlineData("PLAINTEXT://10.0.0.7:9192", "10.0.0.7", 9192)]
    public void OtherListenersNeedNoOtherSetting(string listeners, string host, int port)
    {
        var config = BrokerConfig.LoadDevMode(overrides: [new("listeners", listeners)]);
        Assert.Equal([new Listener("PLAINTEXT", SecurityProtocol.PLAINTEXT, host, port)], config.AdvertisedListeners);
        Assert.Equal(0, Assert.Single(config.ControllerListeners).Port); // any free one: several such nodes can run on a machine
        Assert.True(config.IsSingleNodeQuorum);
    }

    [Fact]
    public void OverridesBeatEnvironmentBeatsDefaults()
    {
        var config = BrokerConfig.LoadDevMode(
            [new("KAFKA_NODE_ID", "4"), new("KAFKA_NUM_PARTITIONS", "5"), new("KAFKA_LOG_DIR", "/x")], [new("num.partitions", "6")]);
        Assert.Equal(4, config.NodeId);
        Assert.Equal(6, config.NumPartitions);
        Assert.Equal(["/x"], config.LogDirs);
        Assert.True(config.IsSingleNodeQuorum);
    }

    [Fact]
    public void TheOldNameOfTheNodeIdCounts() =>
        Assert.Equal(7, BrokerConfig.LoadDevMode(overrides: [new("broker.id", "7")]).NodeId);

    [Fact]
    public void AdvertisedListenersGivenStay()
    {
        var config = BrokerConfig.LoadDevMode(
            overrides: [new("listeners", "PLAINTEXT://:9192"), new("advertised.listeners", "PLAINTEXT://h.example:1")]);
        Assert.Equal([new Listener("PLAINTEXT", SecurityProtocol.PLAINTEXT, "h.example", 1)], config.AdvertisedListeners);
    }
}
