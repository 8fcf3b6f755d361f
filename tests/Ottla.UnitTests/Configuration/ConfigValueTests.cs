using CsCheck;
using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class ConfigValueTests
{
    [Theory]
    [InlineData("num.partitions", " 7 ", "7")]
    [InlineData("num.partitions", "+7", "7")]
    [InlineData("auto.create.topics.enable", " TRUE", "true")]
    [InlineData("auto.create.topics.enable", "False", "false")]
    [InlineData("log.cleaner.min.cleanable.ratio", "0.50", "0.5")]
    [InlineData("log.cleaner.min.cleanable.ratio", "1", "1.0")]
    [InlineData("log.cleaner.min.cleanable.ratio", "1e-4", "1.0E-4")]
    [InlineData("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308", "1.7976931348623157E308")]
    [InlineData("log.cleaner.io.max.bytes.per.second", "12345678", "1.2345678E7")]
    [InlineData("log.dirs", " a , b,a ", "a,b")]
    [InlineData("log.cleanup.policy", "", "")]
    [InlineData("broker.rack", "  r1 ", "r1")]
    [InlineData("broker.rack", "\u00a0r1", "\u00a0r1")]
    [InlineData("sasl.oauthbearer.assertion.algorithm", "es256", "es256")]
    [InlineData("compression.gzip.level", "-1", "-1")]
    public void ParsesAsKafkaDoes(string name, string text, string expected) =>
        Assert.Equal(expected, ConfigRegistry.Broker[name].Parse(text).ToText());

    [Theory]
    [InlineData("num.partitions", "x", "Invalid value x for configuration num.partitions: Not a number of type INT")]
    [InlineData("num.partitions", "", "Invalid value  for configuration num.partitions: Not a number of type INT")]
    [InlineData("num.partitions", "2147483648", "Invalid value 2147483648 for configuration num.partitions: Not a number of type INT")]
    [InlineData("num.partitions", "0", "Invalid value 0 for configuration num.partitions: Value must be at least 1")]
    [InlineData(
        "offsets.topic.replication.factor", "40000",
            "Invalid value 40000 for configuration offsets.topic.replication.factor: Not a number of type SHORT")]
    [InlineData(
        "auto.create.topics.enable", "yes",
            "Invalid value yes for configuration auto.create.topics.enable: Expected value to be either true or false")]
    [InlineData(
        "log.cleaner.min.cleanable.ratio", "1.01",
            "Invalid value 1.01 for configuration log.cleaner.min.cleanable.ratio: Value must be no more than 1")]
    [InlineData(
        "log.cleaner.min.cleanable.ratio", "NaN",
            "Invalid value NaN for configuration log.cleaner.min.cleanable.ratio: Value must be at least 0")]
    [InlineData(
        "compression.type", "br",
            "Invalid value br for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer")]
    [InlineData(
        "compression.gzip.level", "0",
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1")]
    [InlineData(
        "compression.gzip.level", "10",
            "Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1")]
    [InlineData("log.cleanup.policy", "delete,", "Configuration 'log.cleanup.policy' values must not be empty.")]
    [InlineData("process.roles", "", "Configuration 'process.roles' must not be empty. Valid values include: [broker, controller]")]
    [InlineData("listeners", "", "Configuration 'listeners' must not be empty. Valid values include: any non-empty value")]
    [InlineData(
        "group.consumer.migration.policy", "x",
            "Invalid value x for configuration group.consumer.migration.policy: String must be one of (case insensitive): disabled, "
                + "downgrade, upgrade, bidirectional")]
    [InlineData(
        "remote.log.storage.manager.impl.prefix", " ",
            "Invalid value  for configuration remote.log.storage.manager.impl.prefix: String must be non-empty")]
    [InlineData(
        "controller.quorum.voters", "1@h",
            "Invalid value 1@h for configuration controller.quorum.voters: Each entry should be in the form {id}@{host}:{port}, and 1@h "
                + "is not")]
    [InlineData(
        "controller.quorum.bootstrap.servers", "h:70000",
            "Invalid value h:70000 for configuration controller.quorum.bootstrap.servers: Each entry should be in the form {host}:{port}, "
                + "and h:70000 is not")]
    public void RefusesNamingKeyValueAndWhatIsAllowed(string name, string text, string message) =>
        Assert.Equal(message, Assert.Throws<ConfigException>(() => ConfigRegistry.Broker[name].Parse(text)).Message);

    [Fact]
    public void NullIsRefusedWhereANumberIsBounded()
    {
        var error = Assert.Throws<ConfigException>(() => ConfigRegistry.Broker["num.partitions"].Parse(null));
        Assert.Equal("Invalid value null for configuration num.partitions: Value must be non-null", error.Message);
        Assert.True(ConfigRegistry.Broker["log.dirs"].Parse(null).IsNull);
    }

    [Fact]
    public void PasswordsAreNeverShown()
    {
        var value = ConfigRegistry.Broker["ssl.key.password"].Parse(" s3cret ");
        Assert.Equal("s3cret", value.Secret);
        Assert.Equal("[hidden]", value.ToText());
        Assert.Equal("[hidden]", $"{value}");
    }

    [Fact]
    public void AnotherTypeIsNotReadable()
    {
        var value = ConfigRegistry.Broker["num.partitions"].Parse("3");
        Assert.Throws<InvalidOperationException>(() => value.AsBoolean);
        Assert.Throws<InvalidOperationException>(() => value.AsString);
        Assert.Throws<InvalidOperationException>(() => value.Secret);
        Assert.Equal(3, value.AsLong);
    }

    [Theory]
    [InlineData("1:2,3:4", true)]
    [InlineData("*", true)]
    [InlineData("", true)]
    [InlineData("1:2,*", false)]
    [InlineData("1", false)]
    public void ThrottledReplicas(string text, bool allowed) =>
        AssertAllowed(allowed, ConfigRegistry.Topic["leader.replication.throttled.replicas"], text);

    [Theory]
    [InlineData("latest", true)]
    [InlineData("earliest", true)]
    [InlineData("by_duration:PT1H", true)]
    [InlineData("by_duration:P1DT2H3M4.5S", true)]
    [InlineData("by_duration:P", false)]
    [InlineData("by_duration:1h", false)]
    [InlineData("none", false)]
    public void ShareAutoOffsetReset(string text, bool allowed) =>
        AssertAllowed(allowed, ConfigRegistry.Group["share.auto.offset.reset"], text);

    [Theory]
    [InlineData("client_id=app.*", true)]
    [InlineData("client_id=a,client_software_name=b", true)]
    [InlineData("client=app", false)]
    [InlineData("client_id", false)]
    [InlineData("client_id=(", false)]
    public void ClientMatch(string text, bool allowed) => AssertAllowed(allowed, ConfigRegistry.ClientMetrics["match"], text);

    /// <summary>The texts of Java's <c>Double.toString</c>.</summary>
    [Theory]
    [InlineData(1e-77, "1.0E-77")] // its exact value is a little less
    [InlineData(-1e-5, "-1.0E-5")]
    [InlineData(0.00012, "1.2E-4")]
    [InlineData(12345678, "1.2345678E7")]
    [InlineData(1e7, "1.0E7")]
    [InlineData(1.5e300, "1.5E300")]
    [InlineData(0.5, "0.5")]
    public void DoublesAreWrittenAsByJava(double value, string text) => Assert.Equal(text, JavaText.FormatDouble(value));

    [Fact]
    public void DoublesReadBackAsThemselves() =>
        Gen.Double.Where(double.IsFinite).Sample(
            value => ConfigRegistry.Broker["log.cleaner.io.max.bytes.per.second"].Parse(JavaText.FormatDouble(value))
            .AsDouble.Equals(value),
            iter: 2000, seed: "0000KxBGwJ0a");

    private static void AssertAllowed(bool allowed, ConfigDefinition config, string text)
    {
        if (allowed)
            Assert.Equal(text, config.Parse(text).ToText());
        else
            Assert.Contains(config.Name, Assert.Throws<ConfigException>(() => config.Parse(text)).Message);
    }
}
