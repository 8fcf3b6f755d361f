using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using ConfigAnswer = Ottla.Protocol.Messages.DescribeConfigsResponse.DescribeConfigsResourceResult;

namespace Ottla.UnitTests.Broker;

public sealed class ConfigApiTests
{
    private const sbyte TopicResource = 2;
    private const sbyte BrokerResource = 4;
    private const sbyte LoggerResource = 8;
    private const sbyte ClientMetricsResource = 16;
    private const sbyte GroupResource = 32;

    private const sbyte SetValue = 0;
    private const sbyte DeleteValue = 1;
    private const sbyte AppendValue = 2;

    private const sbyte SourceTopic = 1;
    private const sbyte SourceDefault = 5;

    [Fact]
    public async Task DescribeConfigs_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 1, ("retention.ms", "1234"));
        foreach (var version in TestConnection.VersionsOf<DescribeConfigsResponse>())
        {
            foreach (var (
                type, name) in new[] { (TopicResource, "t"), (BrokerResource, "0"), (BrokerResource, ""), (GroupResource, "g"),
                (ClientMetricsResource, "m") })
            {
                var request = Describe(type, name);
                (request.IncludeSynonyms, request.IncludeDocumentation) = (true, version >= 3);
                var all = Assert.Single(
                    (await client.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(request, version)).Results);
                AssertError(ErrorCode.None, all.ErrorCode, all.ErrorMessage);
                Assert.Equal((type, name), (all.ResourceType, all.ResourceName));
                Assert.NotEmpty(all.Configs); // of all brokers: the min.insync.replicas that eligible leader replicas come with
                if (version >= 3)
                    Assert.All(all.Configs, config => Assert.True(config.Documentation is not null && config.ConfigType > 0));
            }

            var retention = Assert.Single((await DescribeAsync(client, TopicResource, "t", version, "retention.ms")).Configs);
            Assert.Equal(
                ("retention.ms", "1234", SourceTopic, false),
                (retention.Name, retention.Value, retention.ConfigSource, retention.ReadOnly));
            var nowhere = await DescribeAsync(client, TopicResource, "nowhere", version);
            Assert.Equal((ErrorCode.UnknownTopicOrPartition, ""), ((ErrorCode)nowhere.ErrorCode, nowhere.ErrorMessage));
            AssertError(ErrorCode.InvalidTopicException, (await DescribeAsync(client, TopicResource, "no/topic", version)).ErrorCode);
            AssertError(ErrorCode.InvalidRequest, (await DescribeAsync(client, BrokerResource, "7", version)).ErrorCode);
            AssertError(ErrorCode.InvalidRequest, (await DescribeAsync(client, 99, "x", version)).ErrorCode);
        }
    }

    [Fact]
    public async Task IncrementalAlterConfigs_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var version in TestConnection.VersionsOf<IncrementalAlterConfigsResponse>())
        {
            AssertError(ErrorCode.None, await AlterAsync(client, TopicResource, "t", "max.message.bytes", SetValue, "100", version));
            AssertError(ErrorCode.MessageTooLarge, (await client.ProduceAsync("t", Batch(valueBytes: 200))).ErrorCode); // at once
            AssertError(ErrorCode.None, await AlterAsync(client, TopicResource, "t", "cleanup.policy", AppendValue, "compact", version));
            Assert.Equal("delete,compact", (await ValueOfAsync(client, TopicResource, "t", "cleanup.policy")).Value);
            AssertError(ErrorCode.None, await AlterAsync(client, TopicResource, "t", "cleanup.policy", DeleteValue, null, version));
            AssertError(ErrorCode.None, await AlterAsync(client, TopicResource, "t", "max.message.bytes", DeleteValue, null, version));
            Assert.Equal(SourceDefault, (await ValueOfAsync(client, TopicResource, "t", "max.message.bytes")).ConfigSource);
            AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(valueBytes: 200))).ErrorCode);

            AssertError(ErrorCode.InvalidConfig, await AlterAsync(client, TopicResource, "t", "retention.ms", SetValue, "often", version));
            AssertError(
                ErrorCode.UnknownTopicOrPartition,
                await AlterAsync(client, TopicResource, "nowhere", "retention.ms", SetValue, "1", version));
            AssertError(ErrorCode.InvalidRequest, await AlterAsync(client, 99, "x", "retention.ms", SetValue, "1", version));
        }
    }

    [Fact]
    public async Task Configs_of_the_broker_change_while_it_runs()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        AssertError(ErrorCode.None, await AlterAsync(client, BrokerResource, "", "message.max.bytes", SetValue, "100", 1));
        AssertError(ErrorCode.MessageTooLarge, (await client.ProduceAsync("t", Batch(valueBytes: 200))).ErrorCode);
        AssertError(ErrorCode.None, await AlterAsync(client, BrokerResource, "0", "message.max.bytes", SetValue, "1000", 1));
        AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch(valueBytes: 200))).ErrorCode);
        Assert.Equal("1000", (await ValueOfAsync(client, BrokerResource, "0", "message.max.bytes")).Value);
        Assert.Equal("100", (await ValueOfAsync(client, BrokerResource, "", "message.max.bytes")).Value);
        AssertError(ErrorCode.InvalidRequest, await AlterAsync(client, BrokerResource, "0", "node.id", SetValue, "1", 1));
    }

    [Theory]
    [InlineData("0", "log.roll.ms", "0")]
    [InlineData("0", "num.io.threads", "17")]
    [InlineData("0", "num.io.threads", "3")]
    [InlineData("0", "log.cleaner.threads", "9")]
    [InlineData("", "max.connections.per.ip", "0")]
    [InlineData("0", "listeners", "PLAINTEXT://127.0.0.1:9999,CONTROLLER://127.0.0.1:9093")]
    [InlineData("0", "metric.reporters", "com.example.Reporter")]
    [InlineData("", "log.local.retention.ms", "9223372036854775807")]
    [InlineData("7", "num.io.threads", "9")]
    [InlineData("zero", "num.io.threads", "9")]
    public async Task What_the_broker_could_not_take_over_is_refused_before_it_is_stored(string broker, string config, string value)
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var validateOnly in new[] { true, false })
        {
            var answer = await AlterAllAsync(client, validateOnly, (BrokerResource, broker, config, SetValue, value));
            AssertError(ErrorCode.InvalidRequest, Assert.Single(answer).ErrorCode);
            var resource =
                new AlterConfigsRequest.AlterConfigsResource
                {
                    ResourceType = BrokerResource,
                    ResourceName = broker,
                    Configs = [new AlterConfigsRequest.AlterableConfig { Name = config, Value = value }]
                };
            var legacy = await client.CallAsync<AlterConfigsRequest, AlterConfigsResponse>(
                new AlterConfigsRequest { Resources = [resource], ValidateOnly = validateOnly }, 2);
            AssertError(ErrorCode.InvalidRequest, Assert.Single(legacy.Responses).ErrorCode);
        }

        AssertError(ErrorCode.None, await AlterAsync(client, BrokerResource, "0", "message.max.bytes", SetValue, "1234", 1));
        Assert.Equal("1234", (await ValueOfAsync(client, BrokerResource, "0", "message.max.bytes")).Value);
        await node.RestartAsync();
        await using var again = await node.ConnectAsync();
        Assert.Equal("1234", (await ValueOfAsync(again, BrokerResource, "0", "message.max.bytes")).Value);
        var set = await DescribeAsync(again, BrokerResource, "0", 4);
        Assert.Equal(
            ["message.max.bytes", "min.insync.replicas"],
            set.Configs.Where(entry => entry.ConfigSource is 2 or 3).Select(entry => entry.Name).Order());
    }

    [Fact]
    public async Task A_broker_may_be_named_with_leading_zeros()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        AssertError(ErrorCode.None, await AlterAsync(client, BrokerResource, "00", "message.max.bytes", SetValue, "1234", 1));
        Assert.Equal("1234", (await ValueOfAsync(client, BrokerResource, "0", "message.max.bytes")).Value);
        Assert.Equal("1234", (await ValueOfAsync(client, BrokerResource, "00", "message.max.bytes")).Value);
    }

    [Fact]
    public async Task Every_resource_is_answered_and_the_texts_are_Kafkas()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var answers = await AlterAllAsync(
            client, false,
            (ClientMetricsResource, "m", "interval.ms", SetValue, "x"),
            (ClientMetricsResource, "m", "interval.ms", SetValue, "1000"),
            (GroupResource, "g", "consumer.session.timeout.ms", SetValue, null),
            (BrokerResource, "0", "num.io.threads", SetValue, "17"),
            (99, "x", "a", SetValue, "b"),
            (BrokerResource, "x", "num.io.threads", SetValue, "9"));
        Assert.Equal(
            [
                (42, "Each resource must appear at most once."), (42, "Each resource must appear at most once."),
                (42, "Null value not supported for : consumer.session.timeout.ms"),
                (42, "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed for "
                    + "num.io.threads=17, value should not be greater than double the current value 8 for configuration Invalid dynamic "
                        + "configuration"),
                (42, "Unknown resource type 99"), (42, "Node id must be an integer, but it is: x"),
            ],
            answers.Select(answer => ((int)answer.ErrorCode, answer.ErrorMessage)));

        var described = await DescribeAsync(client, TopicResource, "nowhere", 4);
        Assert.Equal((3, ""), (described.ErrorCode, described.ErrorMessage));
        Assert.Equal(
            "Client metrics subscription name must not be empty", (await DescribeAsync(client, ClientMetricsResource, "", 4)).ErrorMessage);
        Assert.Equal("Group name must not be empty", (await DescribeAsync(client, GroupResource, "", 4)).ErrorMessage);
        Assert.Equal("Broker id must be an integer, but it is: x", (await DescribeAsync(client, BrokerResource, "x", 4)).ErrorMessage);
        Assert.Equal(
            "Unexpected broker id, expected 0 or empty string, but received 7",
            (await DescribeAsync(client, BrokerResource, "7", 4)).ErrorMessage);
        Assert.Equal("Unexpected resource type UNKNOWN for resource x", (await DescribeAsync(client, 99, "x", 4)).ErrorMessage);
    }

    [Fact]
    public async Task Levels_of_loggers_are_shown_and_changed()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        const string Logger = "ReplicaManager";
        var all = await DescribeAsync(client, LoggerResource, "0", 4);
        Assert.Contains(
            all.Configs, logger => logger.Name == "root" && logger.Value == "TRACE" && logger.ConfigSource == 6 && !logger.ReadOnly);
        Assert.Contains(all.Configs, logger => logger.Name == Logger);

        AssertError(ErrorCode.None, await AlterAsync(client, LoggerResource, "0", Logger, SetValue, "ERROR", 1));
        Assert.Equal("ERROR", (await ValueOfAsync(client, LoggerResource, "0", Logger)).Value);
        AssertError(ErrorCode.None, await AlterAsync(client, LoggerResource, "0", "root", SetValue, "WARN", 1));
        Assert.Equal("ERROR", (await ValueOfAsync(client, LoggerResource, "00", Logger)).Value);
        AssertError(ErrorCode.None, await AlterAsync(client, LoggerResource, "0", Logger, DeleteValue, null, 1));
        Assert.Equal("WARN", (await ValueOfAsync(client, LoggerResource, "0", Logger)).Value);

        var refused = new (string Broker, string Logger, sbyte Operation, string? Value, ErrorCode Error, string Message)[]
        {
            ("0", Logger, SetValue, "LOUD", ErrorCode.InvalidConfig,
                "Cannot set the log level of ReplicaManager to LOUD as it is not a supported log level. Valid log levels are DEBUG, "
                    + "ERROR, FATAL, INFO, TRACE, WARN"),
            ("0", "no.such", SetValue, "INFO", ErrorCode.InvalidConfig, "Logger no.such does not exist!"),
            ("0", "root", DeleteValue, null, ErrorCode.InvalidRequest, "Removing the log level of the root logger is not allowed"),
            ("0", Logger, AppendValue, "INFO", ErrorCode.InvalidRequest, "APPEND operation is not allowed for the BROKER_LOGGER resource"),
            ("1", Logger, SetValue, "INFO", ErrorCode.InvalidRequest, "Unexpected node id. Expected 0, but received 1"),
        };
        foreach (var (broker, logger, operation, value, error, message) in refused)
        {
            var answer = Assert.Single(await AlterAllAsync(client, false, (LoggerResource, broker, logger, operation, value)));
            Assert.Equal((error, message), ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        }

        Assert.Equal("Broker id must not be empty", (await DescribeAsync(client, LoggerResource, "", 4)).ErrorMessage);
        var legacy =
            new AlterConfigsRequest.AlterConfigsResource
            {
                ResourceType = LoggerResource,
                ResourceName = "0",
                Configs = [new AlterConfigsRequest.AlterableConfig { Name = Logger, Value = "INFO" }]
            };
        Assert.Equal(
            "Unknown resource type 8", Assert.Single(
                (await client.CallAsync<AlterConfigsRequest, AlterConfigsResponse>(new AlterConfigsRequest { Resources = [legacy] }, 2))
                .Responses).ErrorMessage);
    }

    [Theory]
    [InlineData(TopicResource, "t", "message.timestamp.")]
    [InlineData(BrokerResource, "", "log.message.timestamp.")]
    public async Task What_timestamps_may_be_changes_while_the_broker_runs(sbyte type, string name, string prefix)
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await ProduceAsync(StartMs - 100_000, ErrorCode.None);
        await SetAsync("before.max.ms", "1000");
        await ProduceAsync(StartMs - 100_000, ErrorCode.InvalidTimestamp);
        await ProduceAsync(StartMs + 100_000, ErrorCode.None);
        await SetAsync("after.max.ms", "1000");
        await ProduceAsync(StartMs + 100_000, ErrorCode.InvalidTimestamp);
        await SetAsync("type", "LogAppendTime");
        Assert.Equal(node.Clock.NowMs, await ProduceAsync(StartMs + 100_000, ErrorCode.None)); // whatever the producer says
        await SetAsync("type", "CreateTime");
        Assert.Equal(-1, await ProduceAsync(StartMs, ErrorCode.None));

        async Task SetAsync(string config, string value) =>
            AssertError(ErrorCode.None, await AlterAsync(client, type, name, prefix + config, SetValue, value, 1));

        async Task<long> ProduceAsync(long timestampMs, ErrorCode expected)
        {
            var produced = await client.ProduceAsync("t", Batch(timestampMs: timestampMs));
            AssertError(expected, produced.ErrorCode);
            return produced.LogAppendTimeMs;
        }
    }

    [Fact]
    public async Task AlterConfigs_replaces_everything()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await client.CreateTopicAsync("t", 1, ("retention.ms", "1234"), ("segment.bytes", "2000000"));
        foreach (var version in TestConnection.VersionsOf<AlterConfigsResponse>())
        {
            AssertError(ErrorCode.None, await AskAsync("t", "retention.ms", "99"));
            Assert.Equal("99", (await ValueOfAsync(client, TopicResource, "t", "retention.ms")).Value);
            Assert.Equal(SourceDefault, (await ValueOfAsync(client, TopicResource, "t", "segment.bytes")).ConfigSource);
            AssertError(ErrorCode.InvalidConfig, await AskAsync("t", "retention.ms", "often"));
            AssertError(ErrorCode.UnknownTopicOrPartition, await AskAsync("nowhere", "retention.ms", "1"));

            async Task<short> AskAsync(string topic, string name, string value)
            {
                var resource =
                    new AlterConfigsRequest.AlterConfigsResource
                    {
                        ResourceType = TopicResource,
                        ResourceName = topic,
                        Configs = [new AlterConfigsRequest.AlterableConfig { Name = name, Value = value }]
                    };
                var response = await client.CallAsync<AlterConfigsRequest, AlterConfigsResponse>(
                    new AlterConfigsRequest { Resources = [resource] }, version);
                return Assert.Single(response.Responses).ErrorCode;
            }
        }
    }

    [Fact]
    public async Task ListConfigResources_in_every_version()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        AssertError(ErrorCode.None, await AlterAsync(client, ClientMetricsResource, "m", "interval.ms", SetValue, "1000", 1));
        AssertError(ErrorCode.None, await AlterAsync(client, GroupResource, "g", "consumer.session.timeout.ms", SetValue, "50000", 1));
        foreach (var version in TestConnection.VersionsOf<ListConfigResourcesResponse>())
        {
            var all = await client.CallAsync<ListConfigResourcesRequest, ListConfigResourcesResponse>(
                new ListConfigResourcesRequest(), version);
            AssertError(ErrorCode.None, all.ErrorCode);
            var found = all.ConfigResources.Select(resource => (resource.ResourceType, resource.ResourceName)).Order();
            Assert.Equal(
                version == 0 ? [(ClientMetricsResource, "m")]
                : [(TopicResource, "t"), (BrokerResource, "0"), (8, "0"), (ClientMetricsResource, "m"), (GroupResource, "g")], found);
            if (version < 1)
                continue;
            var topics = await client.CallAsync<ListConfigResourcesRequest, ListConfigResourcesResponse>(
                new ListConfigResourcesRequest { ResourceTypes = [TopicResource] }, version);
            Assert.Equal("t", Assert.Single(topics.ConfigResources).ResourceName);
            var unknown = await client.CallAsync<ListConfigResourcesRequest, ListConfigResourcesResponse>(
                new ListConfigResourcesRequest { ResourceTypes = [99] }, version);
            AssertError(ErrorCode.UnsupportedVersion, unknown.ErrorCode);
        }
    }

    private static DescribeConfigsRequest Describe(sbyte type, string name, params string[] keys) => new()
    {
        Resources = [
            new DescribeConfigsRequest.DescribeConfigsResource { ResourceType = type, ResourceName = name,
                ConfigurationKeys = keys.Length == 0 ? null : keys }],
    };

    private static async Task<DescribeConfigsResponse.DescribeConfigsResult> DescribeAsync(
        TestConnection client, sbyte type, string name, short version, params string[] keys) =>
        Assert.Single(
            (await client.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(Describe(type, name, keys), version)).Results);

    private static async Task<ConfigAnswer> ValueOfAsync(TestConnection client, sbyte type, string name, string config) =>
        Assert.Single((await DescribeAsync(client, type, name, 4, config)).Configs);

    private static async Task<short> AlterAsync(
        TestConnection client, sbyte type, string name, string config, sbyte operation, string? value, short version)
    {
        var alteration = new IncrementalAlterConfigsRequest.AlterableConfig { Name = config, ConfigOperation = operation, Value = value };
        var resource =
            new IncrementalAlterConfigsRequest.AlterConfigsResource { ResourceType = type, ResourceName = name, Configs = [alteration] };
        var response = await client.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
            new IncrementalAlterConfigsRequest { Resources = [resource] }, version);
        return Assert.Single(response.Responses).ErrorCode;
    }

    private static async Task<IncrementalAlterConfigsResponse.AlterConfigsResourceResponse[]> AlterAllAsync(
        TestConnection client, bool validateOnly, params (sbyte Type, string Name, string Config, sbyte Operation, string? Value)[] changes)
    {
        var resources = changes.Select(change => new IncrementalAlterConfigsRequest.AlterConfigsResource
        {
            ResourceType = change.Type,
            ResourceName = change.Name,
            Configs = [new IncrementalAlterConfigsRequest.AlterableConfig { Name = change.Config, ConfigOperation = change.Operation,
                Value = change.Value }],
        });
        var request = new IncrementalAlterConfigsRequest { Resources = [.. resources], ValidateOnly = validateOnly };
        return (await client.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(request, 1)).Responses;
    }
}
