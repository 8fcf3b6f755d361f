using Ottla.Client;
using Ottla.Protocol.Batches;

namespace Ottla.UnitTests.Client;

/// <summary>Options out of the properties of other clients.</summary>
public sealed class ClientPropertiesTests
{
    [Fact]
    public void Takes_the_names_of_both_clients()
    {
        var read = Read(
            ("bootstrap.servers", "a:1,b:2"), ("client.id", "billing"), ("client.rack", "r1"), ("linger.ms", "0.5"), ("acks", "1"),
            ("compression.codec", "lz4"), ("queue.buffering.max.kbytes", "2048"), ("partitioner", "consistent_random"),
            ("auto.offset.reset", "by_duration:PT2H"), ("partition.assignment.strategy", "roundrobin,cooperative-sticky"),
            ("isolation.level", "read_committed"), ("enable.auto.commit", "false"), ("fetch.wait.max.ms", "100"), ("group.id", "g"));
        Assert.Equal(("a:1,b:2", "billing", "r1"), (read.Client.BootstrapServers, read.Client.ClientId, read.Client.ClientRack));
        Assert.Equal(2048 * 1024, read.Client.MemoryLimitBytes);
        Assert.Equal(
            (Acks.Leader, false, CompressionType.Lz4, KeyPartitioner.Crc32, TimeSpan.FromMilliseconds(0.5)),
            (read.Producer.Acks, read.Producer.Idempotence, read.Producer.Compression, read.Producer.KeyPartitioner, read.Producer.Linger));
        Assert.Equal(OffsetReset.ByDuration(TimeSpan.FromHours(2)), read.Consumer.OffsetReset);
        Assert.Equal(["roundrobin", "cooperative-sticky"], read.Consumer.Assignors);
        Assert.Equal(
            (IsolationLevel.ReadCommitted, false, "g", TimeSpan.FromMilliseconds(100)),
            (read.Consumer.IsolationLevel, read.Consumer.EnableAutoCommit, read.Consumer.GroupId, read.Consumer.FetchMaxWait));
        Assert.Empty(read.Ignored);
        read.Client.Validate();
        read.Producer.Validate(read.Client);
        read.Consumer.Validate();
    }

    [Fact]
    public void Names_what_it_ignores_and_why()
    {
        var read = Read(("bootstrap.servers", "a:1"), ("statistics.interval.ms", "1000"), ("retries", "5"), ("ssl.ca.location", "/no"));
        Assert.Equal(["statistics.interval.ms", "retries", "ssl.ca.location"], read.Ignored.Select(each => each.Name));
        Assert.All(read.Ignored, each => Assert.NotEmpty(each.Reason));
    }

    [Theory]
    [InlineData("acks", "2")]
    [InlineData("linger.ms", "soon")]
    [InlineData("enable.idempotence", "maybe")]
    [InlineData("partitioner", "fnv1a")]
    [InlineData("partitioner.class", "com.example.Mine")]
    [InlineData("auto.offset.reset", "middle")]
    [InlineData("security.protocol", "TLS")]
    public void Refuses_values_that_it_does_not_know(string name, string value)
    {
        var error = Assert.Throws<ArgumentException>(() => Read((name, value)));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Has_the_defaults_of_librdkafka_for_who_wants_them()
    {
        var read = ClientProperties.Read([], PropertyDefaults.Librdkafka);
        Assert.Equal((KeyPartitioner.Crc32, IsolationLevel.ReadCommitted), (read.Producer.KeyPartitioner, read.Consumer.IsolationLevel));
        Assert.Equal(new ProducerOptions(), Read().Producer);
    }

    [Fact]
    public void Reads_logins()
    {
        var jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"a\\\"b\" password=secret;";
        var read = Read(("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", jaas));
        Assert.Equal((false, "SCRAM-SHA-512"), (read.Client.Security!.UseTls, read.Client.Security.Login!.Mechanism));
        read = Read(("security.protocol", "sasl_ssl"), ("sasl.mechanisms", "PLAIN"), ("sasl.username", "a"), ("sasl.password", "b"));
        Assert.Equal((true, "PLAIN"), (read.Client.Security!.UseTls, read.Client.Security.Login!.Mechanism));
        Assert.Throws<ArgumentException>(() => Read(("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")));
        Assert.Throws<ArgumentException>(() => Read(("security.protocol", "SASL_SSL"), ("sasl.mechanism", "GSSAPI")));
    }

    private static ClientProperties Read(params (string Name, string Value)[] properties) =>
        ClientProperties.Read(properties.Select(each => KeyValuePair.Create(each.Name, each.Value)));
}
