using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class KafkaEnvironmentTests
{
    [Theory]
    [InlineData("KAFKA_NODE_ID", "node.id")]
    [InlineData("KAFKA_LISTENER_NAME_EXTERNAL_SSL_KEYSTORE_LOCATION", "listener.name.external.ssl.keystore.location")]
    [InlineData("KAFKA_SUPER_USERS", "super.users")]
    [InlineData("KAFKA_A__B", "a_b")]
    [InlineData("KAFKA_A___B", "a-b")]
    [InlineData("KAFKA_LOG_DIRS", "log.dirs")]
    [InlineData("KAFKA_HEAP_OPTS", null)]
    [InlineData("KAFKA_OPTS", null)]
    [InlineData("KAFKA_VERSION", null)]
    [InlineData("KAFKA_JVM_PERFORMANCE_OPTS", null)]
    [InlineData("KAFKA_LOG4J_ROOT_LOGLEVEL", null)]
    [InlineData("KAFKA_TOOLS_LOG4J_LOGLEVEL", null)]
    [InlineData("KAFKA_JMX_HOSTNAME", null)]
    [InlineData("KAFKA_GC_LOG_OPTS", null)]
    [InlineData("KAFKA_", null)]
    [InlineData("kafka_node_id", null)]
    [InlineData("PATH", null)]
    public void MapsVariablesAsTheImageDoes(string variable, string? name) => Assert.Equal(name, KafkaEnvironment.ToConfigName(variable));

    [Fact]
    public void KeepsValuesUntouched() =>
        Assert.Equal(
            [new("a.b", " x "), new("node.id", "3")],
            KafkaEnvironment.ToConfigs([new("KAFKA_NODE_ID", "3"), new("HOME", "/root"), new("KAFKA_A_B", " x ")]));
}
