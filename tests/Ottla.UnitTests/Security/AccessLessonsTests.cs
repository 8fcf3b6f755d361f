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

    /// <summary>And CVE-2023-24619: a secret is never answered, whoever asks, nor is it told in an error.</summary>
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

    private static async Task<ErrorCode> FetchAsync(PrincipalClient client, int replicaId)
    {
        var fetched = await client.CallAsync<FetchRequest, FetchResponse>(
            new()
            {
                ReplicaId = replicaId,
                MaxBytes = 1000,
                Topics = [new() { Topic = "t", Partitions = [new() { Partition = 0, PartitionMaxBytes = 1000 }] }],
            },
            FetchVersion);
        return (ErrorCode)fetched.Responses[0].Partitions[0].ErrorCode;
    }

    private static async Task<ErrorCode> ProduceAsync(PrincipalClient client, string? transactionalId, byte[] batch)
    {
        var produced = await client.CallAsync<ProduceRequest, ProduceResponse>(
            new()
            {
                TransactionalId = transactionalId,
                Acks = -1,
                TimeoutMs = 1000,
                TopicData = [new() { Name = "t", PartitionData = [new() { Index = 0, Records = new Records(batch) }] }],
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
