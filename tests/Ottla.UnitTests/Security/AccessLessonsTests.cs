using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Security;

/// <summary>What others had to learn about who may do what, each named after its advisory: on a whole node with an authorizer.</summary>
public sealed class AccessLessonsTests
{
    private const string Secret = "s3cret-of-the-node";
    private const short ProduceVersion = 9;
    private const short FetchVersion = 11;

    [Fact]
    public async Task CVE_2018_1288_a_client_that_calls_itself_a_replica_needs_what_a_broker_needs()
    {
        await using var node = await StartAsync();
        await using var alice = await node.ClientAsync("alice");
        await node.AllowAsync("alice", ResourceType.Topic, "t", AclOperation.Read);
        Assert.Equal(ErrorCode.None, await FetchAsync(alice, replicaId: -1));
        Assert.Equal(ErrorCode.TopicAuthorizationFailed, await FetchAsync(alice, replicaId: 1));
    }

    [Fact]
    public async Task CVE_2018_17196_what_is_in_the_batch_decides_and_not_what_the_request_says()
    {
        await using var node = await StartAsync();
        await using var alice = await node.ClientAsync("alice");
        await node.AllowAsync("alice", ResourceType.Topic, "t", AclOperation.Write);
        var transactional = Batch(1, new RecordBatchOptions
        {
            ProducerId = 4711,
            ProducerEpoch = 0,
            BaseSequence = 0,
            IsTransactional = true,
        });
        Assert.Equal(ErrorCode.TransactionalIdAuthorizationFailed, await ProduceAsync(alice, transactionalId: null, transactional));
        Assert.Equal(ErrorCode.TransactionalIdAuthorizationFailed, await ProduceAsync(alice, "of somebody else", transactional));
        Assert.Equal(ErrorCode.None, await ProduceAsync(alice, transactionalId: null, Batch()));
    }

    /// <summary>A secret is never answered, whoever asks, nor is it told in an error.</summary>
    [Fact]
    public async Task CVE_2019_12399_secrets_of_the_configuration_are_never_answered()
    {
        await using var node = await StartAsync();
        await using var admin = await node.ClientAsync("admin");
        var described = await admin.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(new()
        {
            Resources = [new() { ResourceType = 4, ResourceName = "0", ConfigurationKeys = null }],
            IncludeSynonyms = true,
        });
        var configs = Assert.Single(described.Results).Configs;
        Assert.Contains(configs, config => config is { Name: "delegation.token.secret.key", Value: null, IsSensitive: true });
        Assert.DoesNotContain(configs, config => config.Value?.Contains(Secret, StringComparison.Ordinal) == true
            || config.Synonyms.Any(synonym => synonym.Value?.Contains(Secret, StringComparison.Ordinal) == true));

        const string login = "listener.name.plaintext.plain.sasl.jaas.config";
        var refused = await AlterAsync(admin, "0", login, $"com.sun.security.auth.module.JndiLoginModule required password=\"{Secret}\"");
        var unknown = await AlterAsync(admin, "7", login, $"nonsense {Secret}");
        Assert.DoesNotContain(Secret, $"{refused.Message}{unknown.Message}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("com.sun.security.auth.module.JndiLoginModule required user.provider.url=\"ldap://evil\";")]
    [InlineData("com.sun.security.auth.module.LdapLoginModule required userProvider=\"ldap://evil\";")]
    public async Task CVE_2025_27819_who_may_change_configs_names_no_login_module(string login)
    {
        await using var node = await StartAsync();
        await using var admin = await node.ClientAsync("admin");
        string[] prefixes = ["", "listener.name.plaintext.", "listener.name.plaintext.plain.", "listener.name.new.scram-sha-256."];
        foreach (var prefix in prefixes)
        {
            foreach (var broker in new[] { "0", "" })
                Assert.NotEqual(ErrorCode.None, (await AlterAsync(admin, broker, prefix + "sasl.jaas.config", login)).Code);
        }
    }

    [Fact]
    public async Task CVE_2024_31141_nothing_is_resolved_in_what_a_client_sets()
    {
        await using var node = await StartAsync();
        await using var admin = await node.ClientAsync("admin");
        Assert.Equal(ErrorCode.None, (await AlterAsync(admin, "", "config.providers", "file,env")).Code); // as in Kafka: it has no effect
        foreach (var value in new[] { "${env:LINES}", "${file:/proc/sys/vm/swappiness}", "${directory:/etc:hostname}" })
            Assert.NotEqual(ErrorCode.None, (await AlterAsync(admin, "", "background.threads", value)).Code);
    }

    [Theory]
    [InlineData("sasl.oauthbearer.jwks.endpoint.url", "http://169.254.169.254/latest/meta-data")]
    [InlineData("sasl.oauthbearer.jwks.endpoint.url", "file:/etc/shadow")]
    [InlineData("sasl.oauthbearer.token.endpoint.url", "https://evil.example")]
    [InlineData("sasl.oauthbearer.expected.issuer", "https://evil.example")]
    [InlineData("sasl.oauthbearer.allow.unverified.audience", "true")]
    [InlineData("sasl.server.callback.handler.class", "org.apache.kafka.common.security.oauthbearer.internals.unsecured."
        + "OAuthBearerUnsecuredValidatorCallbackHandler")]
    [InlineData("sasl.login.class", "com.evil.Login")]
    public async Task CVE_2025_27817_who_may_change_configs_names_no_URL_and_no_class(string name, string value)
    {
        await using var node = await StartAsync();
        await using var admin = await node.ClientAsync("admin");
        foreach (var prefix in new[] { "", "listener.name.plaintext.", "listener.name.plaintext.oauthbearer." })
            Assert.NotEqual(ErrorCode.None, (await AlterAsync(admin, "0", prefix + name, value)).Code);
    }

    /// <summary>Transactions of somebody else can neither be begun, nor joined, nor ended, nor seen.</summary>
    [Fact]
    public async Task CVE_2023_50976_the_requests_of_transactions_are_authorized()
    {
        await using var node = await StartAsync();
        await using var mallory = await node.ClientAsync("mallory");
        var refused = (short)ErrorCode.TransactionalIdAuthorizationFailed;
        Assert.Equal(refused, (await mallory.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(
            new() { TransactionalId = "tx", TransactionTimeoutMs = 1000 })).ErrorCode);
        Assert.Equal(refused, (await mallory.CallAsync<EndTxnRequest, EndTxnResponse>(new() { TransactionalId = "tx" })).ErrorCode);
        Assert.Equal(refused, (await mallory.CallAsync<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>(
            new() { TransactionalId = "tx", GroupId = "g" })).ErrorCode);
        Assert.Equal(refused, Assert.Single((await mallory.CallAsync<DescribeTransactionsRequest, DescribeTransactionsResponse>(
            new() { TransactionalIds = ["tx"] })).TransactionStates).ErrorCode);
        Assert.Empty((await mallory.CallAsync<ListTransactionsRequest, ListTransactionsResponse>(new())).TransactionStates);
    }

    /// <summary>Who may not see topics does not learn by any error which ones there are.</summary>
    [Fact]
    public async Task A_topic_that_may_not_be_seen_answers_as_one_that_is_not_there()
    {
        await using var node = await StartAsync();
        await using var mallory = await node.ClientAsync("mallory");
        Dictionary<string, Func<string, Task<object>>> asks = new()
        {
            ["Metadata"] = async topic => (await mallory.CallAsync<MetadataRequest, MetadataResponse>(
                new() { Topics = [new() { Name = topic }] })).Topics.Select(each => (each.ErrorCode, each.TopicId, each.Partitions.Length)),
            ["DescribeTopicPartitions"] = async topic =>
                (await mallory.CallAsync<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(
                    new() { Topics = [new() { Name = topic }], ResponsePartitionLimit = 9 }))
                .Topics.Select(each => (each.ErrorCode, each.TopicId)),
            ["Fetch"] = async topic => await FetchAsync(mallory, -1, topic),
            ["Produce"] = async topic => await ProduceAsync(mallory, null, Batch(), topic),
            ["ListOffsets"] = async topic => (await mallory.CallAsync<ListOffsetsRequest, ListOffsetsResponse>(
                new() { ReplicaId = -1, Topics = [new() { Name = topic, Partitions = [new() { Timestamp = -1 }] }] }))
                .Topics.SelectMany(each => each.Partitions.Select(partition => partition.ErrorCode)),
            ["OffsetForLeaderEpoch"] = async topic => (await mallory.CallAsync<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(
                new() { ReplicaId = -1, Topics = [new() { Topic = topic, Partitions = [new()] }] }))
                .Topics.SelectMany(each => each.Partitions.Select(partition => partition.ErrorCode)),
            ["DescribeProducers"] = async topic => (await mallory.CallAsync<DescribeProducersRequest, DescribeProducersResponse>(
                new() { Topics = [new() { Name = topic, PartitionIndexes = [0] }] }))
                .Topics.SelectMany(each => each.Partitions.Select(partition => (partition.ErrorCode, partition.ErrorMessage))),
            ["CreateTopics"] = async topic => (await mallory.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(
                new() { Topics = [new() { Name = topic, NumPartitions = 1, ReplicationFactor = 1 }], TimeoutMs = 5_000 }))
                .Topics.Select(each => (each.ErrorCode, each.ErrorMessage)),
            ["DeleteTopics"] = async topic => (await mallory.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(
                new() { Topics = [new() { Name = topic }], TimeoutMs = 5_000 }))
                .Responses.Select(each => (each.ErrorCode, each.ErrorMessage)),
            ["DeleteRecords"] = async topic => (await mallory.CallAsync<DeleteRecordsRequest, DeleteRecordsResponse>(
                new() { Topics = [new() { Name = topic, Partitions = [new()] }], TimeoutMs = 5_000 }))
                .Topics.SelectMany(each => each.Partitions.Select(partition => partition.ErrorCode)),
            ["CreatePartitions"] = async topic => (await mallory.CallAsync<CreatePartitionsRequest, CreatePartitionsResponse>(
                new() { Topics = [new() { Name = topic, Count = 2 }], TimeoutMs = 5_000 }))
                .Results.Select(each => (each.ErrorCode, each.ErrorMessage)),
            ["DescribeConfigs"] = async topic => (await mallory.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(
                new() { Resources = [new() { ResourceType = 2, ResourceName = topic, ConfigurationKeys = null }] }))
                .Results.Select(each => (each.ErrorCode, each.ErrorMessage, each.Configs.Length)),
            ["AlterConfigs"] = async topic => (await mallory.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
                new()
                {
                    Resources =
                        [new() { ResourceType = 2, ResourceName = topic, Configs = [new() { Name = "retention.ms", Value = "1" }] }],
                }))
                .Responses.Select(each => (each.ErrorCode, each.ErrorMessage)),
        };
        foreach (var (api, ask) in asks)
        {
            var (there, missing) = (Assert.Single(Each(await ask("t"))), Assert.Single(Each(await ask("x"))));
            Assert.True(there.Equals(missing), $"{api}: {there} of a topic that is there, and {missing} of one that is not");
            Assert.Contains("29", $"{(there is ErrorCode code ? (int)code : there)}", StringComparison.Ordinal);
        }

        static IEnumerable<object> Each(object answer) =>
            answer is System.Collections.IEnumerable several ? several.Cast<object>() : [answer];
    }

    /// <summary>As in Kafka, what may be seen is answered first.</summary>
    [Fact]
    public async Task Configs_that_may_not_be_seen_stand_behind_those_that_may()
    {
        await using var node = await StartAsync();
        await using var alice = await node.ClientAsync("alice");
        await node.AllowAsync("alice", ResourceType.Topic, "t", AclOperation.DescribeConfigs);
        await node.AllowAsync("alice", ResourceType.Topic, "missing", AclOperation.DescribeConfigs);
        var described = await alice.CallAsync<DescribeConfigsRequest, DescribeConfigsResponse>(new()
        {
            Resources = [.. new[] { "hidden-1", "t", "hidden-2", "missing" }.Select(
                name => new DescribeConfigsRequest.DescribeConfigsResource
                {
                    ResourceType = 2,
                    ResourceName = name,
                    ConfigurationKeys = [],
                })],
        });
        Assert.Equal(
            [("t", 0), ("missing", 3), ("hidden-1", 29), ("hidden-2", 29)],
            described.Results.Select(result => (result.ResourceName, (int)result.ErrorCode)));
    }

    private static async Task<ErrorCode> FetchAsync(PrincipalClient client, int replicaId, string topic = "t")
    {
        var fetched = await client.CallAsync<FetchRequest, FetchResponse>(
            new()
            {
                ReplicaId = replicaId,
                MaxBytes = 1000,
                Topics = [new() { Topic = topic, Partitions = [new() { Partition = 0, PartitionMaxBytes = 1000 }] }],
            },
            FetchVersion);
        return (ErrorCode)fetched.Responses[0].Partitions[0].ErrorCode;
    }

    private static async Task<ErrorCode> ProduceAsync(
        PrincipalClient client, string? transactionalId, byte[] batch, string topic = "t")
    {
        var produced = await client.CallAsync<ProduceRequest, ProduceResponse>(
            new()
            {
                TransactionalId = transactionalId,
                Acks = -1,
                TimeoutMs = 1000,
                TopicData = [new() { Name = topic, PartitionData = [new() { Index = 0, Records = new Records(batch) }] }],
            },
            ProduceVersion);
        return (ErrorCode)produced.Responses[0].PartitionResponses[0].ErrorCode;
    }

    private static async Task<(ErrorCode Code, string? Message)> AlterAsync(
        PrincipalClient client, string broker, string name, string value)
    {
        var altered = await client.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(new()
        {
            Resources = [new() { ResourceType = 4, ResourceName = broker, Configs = [new() { Name = name, Value = value }] }],
        });
        var answer = Assert.Single(altered.Responses);
        return ((ErrorCode)answer.ErrorCode, answer.ErrorMessage);
    }

    private static async Task<AuthorizedNode> StartAsync()
    {
        var node = new AuthorizedNode(await TestNode.StartAsync(
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("super.users", "User:admin;User:ANONYMOUS"), ("delegation.token.secret.key", Secret)));
        await using var admin = await node.ClientAsync("admin");
        var created = await admin.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(
            new() { Topics = [new() { Name = "t", NumPartitions = 1, ReplicationFactor = 1 }], TimeoutMs = 5_000 });
        Assert.Equal(0, Assert.Single(created.Topics).ErrorCode);
        return node;
    }

    /// <summary>A node with an authorizer. Owned by one test.</summary>
    private sealed class AuthorizedNode(TestNode node) : IAsyncDisposable
    {
        public Task<PrincipalClient> ClientAsync(string user) => PrincipalClient.ConnectAsync(
            node.Node.Apis, new ClientPrincipal("User", user, IsTokenAuthenticated: false));

        public async Task AllowAsync(string user, ResourceType type, string name, AclOperation operation)
        {
            await using var admin = await ClientAsync("admin");
            var created = await admin.CallAsync<CreateAclsRequest, CreateAclsResponse>(new()
            {
                Creations =
                [
                    new()
                    {
                        ResourceType = (sbyte)type,
                        ResourceName = name,
                        ResourcePatternType = 3,
                        Principal = $"User:{user}",
                        Host = "*",
                        Operation = (sbyte)operation,
                        PermissionType = 3,
                    },
                ],
            });
            Assert.Equal(0, Assert.Single(created.Results).ErrorCode);
        }

        public ValueTask DisposeAsync() => node.DisposeAsync();
    }
}
