using System.Collections.Immutable;
using System.Net;
using Ottla.Broker.Api;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What a node answers that has neither other brokers nor an authorizer, a login or tokens.</summary>
public sealed class OneNodeApiTests
{
    [Fact]
    public async Task Access_control_entries_need_an_authorizer()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<DescribeAclsResponse>())
        {
            var described = await client.CallAsync<DescribeAclsRequest,
                DescribeAclsResponse>(new DescribeAclsRequest { Operation = 1, PermissionType = 1, ResourceTypeFilter = 1 }, version);
            Assert.Equal((54, "No Authorizer is configured on the broker", 0),
                (described.ErrorCode, described.ErrorMessage, described.Resources.Length));
            var created = await client.CallAsync<CreateAclsRequest,
                CreateAclsResponse>(new CreateAclsRequest { Creations = [Entry("a"), Entry("b")] },
                    version);
            Assert.Equal([(54, "No Authorizer is configured."), (54, "No Authorizer is configured.")],
                created.Results.Select(each => ((int)each.ErrorCode, each.ErrorMessage!)));
            var deleted = await client.CallAsync<DeleteAclsRequest,
                DeleteAclsResponse>(
                    new DeleteAclsRequest { Filters = [new() { ResourceTypeFilter = 1, Operation = 1, PermissionType = 1 }] }, version);
            Assert.Equal((54, (string?)"No Authorizer is configured."),
                deleted.FilterResults.Select(each => (each.ErrorCode, each.ErrorMessage)).Single());
        }

        static CreateAclsRequest.AclCreation Entry(string topic) =>
            new() { ResourceType = 2, ResourceName = topic, Principal = "User:a", Host = "*", Operation = 3, PermissionType = 3 };
    }

    [Fact]
    public async Task Delegation_tokens_are_not_given_to_clients_that_nobody_knows()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<CreateDelegationTokenResponse>())
        {
            var created = await client.CallAsync<CreateDelegationTokenRequest,
                CreateDelegationTokenResponse>(new CreateDelegationTokenRequest { MaxLifetimeMs = -1 }, version);
            AssertError(ErrorCode.DelegationTokenRequestNotAllowed, created.ErrorCode);
            Assert.Equal(("User", "ANONYMOUS", -1L, -1L, -1L),
                (created.PrincipalType, created.PrincipalName, created.IssueTimestampMs, created.ExpiryTimestampMs,
                    created.MaxTimestampMs));
            Assert.Equal(version >= 3 ? "ANONYMOUS" : "", created.TokenRequesterPrincipalName);
        }

        foreach (var version in TestConnection.VersionsOf<RenewDelegationTokenResponse>())
        {
            var renewed = await client.CallAsync<RenewDelegationTokenRequest,
                RenewDelegationTokenResponse>(new RenewDelegationTokenRequest(), version);
            Assert.Equal((ErrorCode.DelegationTokenRequestNotAllowed, -1L), ((ErrorCode)renewed.ErrorCode, renewed.ExpiryTimestampMs));
            var expired = await client.CallAsync<ExpireDelegationTokenRequest,
                ExpireDelegationTokenResponse>(new ExpireDelegationTokenRequest(), version);
            Assert.Equal((ErrorCode.DelegationTokenRequestNotAllowed, -1L), ((ErrorCode)expired.ErrorCode, expired.ExpiryTimestampMs));
        }

        foreach (var version in TestConnection.VersionsOf<DescribeDelegationTokenResponse>())
        {
            var described = await client.CallAsync<DescribeDelegationTokenRequest,
                DescribeDelegationTokenResponse>(new DescribeDelegationTokenRequest { Owners = null }, version);
            Assert.Equal((ErrorCode.DelegationTokenRequestNotAllowed, 0), ((ErrorCode)described.ErrorCode, described.Tokens.Length));
        }
    }

    [Fact]
    public async Task There_is_no_login_on_a_plaintext_listener()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<SaslHandshakeResponse>())
        {
            var shaken = await client.CallAsync<SaslHandshakeRequest,
                SaslHandshakeResponse>(new SaslHandshakeRequest { Mechanism = "PLAIN" }, version);
            Assert.Equal((ErrorCode.IllegalSaslState, 0), ((ErrorCode)shaken.ErrorCode, shaken.Mechanisms.Length));
        }

        foreach (var version in TestConnection.VersionsOf<SaslAuthenticateResponse>())
            AssertError(ErrorCode.IllegalSaslState, (await client.CallAsync<SaslAuthenticateRequest,
                SaslAuthenticateResponse>(new SaslAuthenticateRequest(), version)).ErrorCode);
        await client.AssertAliveAsync();
    }

    [Fact]
    public async Task Leaders_and_replicas_of_a_single_broker()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        foreach (var version in TestConnection.VersionsOf<ElectLeadersResponse>())
        {
            for (sbyte type = 0; type <= (version == 0 ? 0 : 1); type++)
            {
                var request = new ElectLeadersRequest
                {
                    ElectionType = type,
                    TopicPartitions = [new() { Topic = "t", Partitions = [0, 1] }]
                };
                var elected = await client.CallAsync<ElectLeadersRequest, ElectLeadersResponse>(request, version);
                Assert.Equal(
                    [(0, ErrorCode.ElectionNotNeeded), (1, ErrorCode.UnknownTopicOrPartition)],
                    Assert.Single(elected.ReplicaElectionResults).PartitionResult.Select(partition =>
                        (partition.PartitionId, (ErrorCode)partition.ErrorCode)));
            }

            if (version == 0)
                continue;
            var unknown = new ElectLeadersRequest { ElectionType = 2, TopicPartitions = [new() { Topic = "t", Partitions = [0] }] };
            var refused = await client.CallAsync<ElectLeadersRequest, ElectLeadersResponse>(unknown, version);
            var partition = Assert.Single(Assert.Single(refused.ReplicaElectionResults).PartitionResult);
            Assert.Equal((ErrorCode.InvalidRequest, ErrorCode.InvalidRequest, "Unknown election type 2"),
                ((ErrorCode)refused.ErrorCode, (ErrorCode)partition.ErrorCode, partition.ErrorMessage));
        }

        foreach (var version in TestConnection.VersionsOf<AlterPartitionReassignmentsResponse>())
        {
            var request = new AlterPartitionReassignmentsRequest
            {
                Topics = [new() { Name = "t",
                Partitions = [new() { Replicas = [0] }, new() { Replicas = [0, 1] }, new() { Replicas = null }] }]
            };
            var altered = await client.CallAsync<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse>(request, version);
            Assert.Equal((0, null), (altered.ErrorCode, altered.ErrorMessage));
            Assert.Equal(
                [ErrorCode.None, ErrorCode.InvalidReplicaAssignment, ErrorCode.NoReassignmentInProgress],
                Assert.Single(altered.Responses).Partitions.Select(each => (ErrorCode)each.ErrorCode));
        }

        var listed = await client.CallAsync<ListPartitionReassignmentsRequest,
            ListPartitionReassignmentsResponse>(new ListPartitionReassignmentsRequest());
        Assert.Equal((0, 0), (listed.ErrorCode, listed.Topics.Length));
        AssertError(ErrorCode.None, (await client.ProduceAsync("t", Batch())).ErrorCode);
    }

    [Fact]
    public async Task Quotas_and_credentials_are_stored()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<AlterClientQuotasResponse>())
        {
            var request = new AlterClientQuotasRequest
            {
                Entries = [new() { Entity = [new() { EntityType = "user", EntityName = null }],
                    Ops = [new() { Key = "producer_byte_rate", Value = 1e9 }] }],
            };
            var entry = Assert.Single((await client.CallAsync<AlterClientQuotasRequest,
                AlterClientQuotasResponse>(request, version)).Entries);
            var part = Assert.Single(entry.Entity);
            Assert.Equal((ErrorCode.None, "user", null), ((ErrorCode)entry.ErrorCode, part.EntityType, part.EntityName));
        }

        var stored = await client.CallAsync<DescribeClientQuotasRequest, DescribeClientQuotasResponse>(new() { Components = [] });
        Assert.Equal(("producer_byte_rate", 1e9), (stored.Entries![0].Values[0].Key, stored.Entries[0].Values[0].Value));
        var secrets = new AlterUserScramCredentialsRequest
        {
            Deletions = [new() { Name = "alice", Mechanism = 1 }],
            Upsertions = [new() { Name = "bob", Mechanism = 1, Iterations = 4096, Salt = [1], SaltedPassword = [2] },
                new() { Name = "carol", Mechanism = 2, Iterations = 4096, Salt = [1], SaltedPassword = [2] }, new() { Name = "carol" }],
        };
        var results = (await client.CallAsync<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>(secrets)).Results;
        Assert.Equal(
            [("alice", ErrorCode.ResourceNotFound), ("bob", ErrorCode.None), ("carol", ErrorCode.DuplicateResource)],
            results.Select(result => (result.User, (ErrorCode)result.ErrorCode)));
        var described = (await client.CallAsync<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse>(
            new() { Users = null })).Results;
        var credential = Assert.Single(Assert.Single(described).CredentialInfos);
        Assert.Equal(("bob", (sbyte)1, 4096), (described[0].User, credential.Mechanism, credential.Iterations));
    }

    /// <summary>Libraries guess a broker's version from the APIs that it has, one key after the other.</summary>
    [Fact]
    public async Task No_API_of_clients_is_missing_between_those_that_are_offered()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var offered = (await client.CallAsync<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsRequest(), 0)).ApiKeys.Select(api =>
            api.ApiKey);
        var ofBrokers = ApiSchemas.All
            .Where(api => api.OnBroker && api.Key <= ApiKey.DescribeTopicPartitions) // behind it, groups of other types and quorums begin
            .Where(api => api.Key is not ApiKey.GetTelemetrySubscriptions and not ApiKey.PushTelemetry) // hidden by Kafka too
            .Select(api => (short)api.Key);
        Assert.Empty(ofBrokers.Except(offered));
    }

    [Fact]
    public async Task A_broker_is_unregistered_and_registers_again_when_it_starts()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        Assert.Equal((ErrorCode.BrokerIdNotRegistered, "Broker ID 7 is not currently registered"), await UnregisterAsync(7));
        Assert.Equal((ErrorCode.None, ""), await UnregisterAsync(0));
        var cluster = await client.CallAsync<DescribeClusterRequest, DescribeClusterResponse>(new DescribeClusterRequest());
        Assert.Empty(cluster.Brokers);
        await node.RestartAsync();
        await using var again = await node.ConnectAsync();
        AssertError(ErrorCode.None, (await again.ProduceAsync("t", Batch())).ErrorCode);

        async Task<(ErrorCode, string?)> UnregisterAsync(int broker)
        {
            var response = await client.CallAsync<UnregisterBrokerRequest,
                UnregisterBrokerResponse>(new UnregisterBrokerRequest { BrokerId = broker });
            return ((ErrorCode)response.ErrorCode, response.ErrorMessage);
        }
    }

    [Fact]
    public async Task A_controller_is_unregistered()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        Assert.Equal((ErrorCode.ControllerIdNotRegistered, "Controller ID 7 is not currently registered."), await UnregisterAsync(7));
        await client.CreateTopicAsync("t"); // everything goes on

        async Task<(ErrorCode, string?)> UnregisterAsync(int controller)
        {
            var request = new UnregisterControllerRequest { ControllerId = controller };
            var response = await client.CallAsync<UnregisterControllerRequest, UnregisterControllerResponse>(request);
            return ((ErrorCode)response.ErrorCode, response.ErrorMessage);
        }
    }

    [Fact]
    public async Task Without_quotas_and_credentials_there_is_nothing_to_describe()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<DescribeClientQuotasResponse>())
        {
            var quotas = await client.CallAsync<DescribeClientQuotasRequest,
                DescribeClientQuotasResponse>(new DescribeClientQuotasRequest(), version);
            Assert.Equal((0, 0), (quotas.ErrorCode, quotas.Entries!.Length));
        }

        var credentials = await client.CallAsync<DescribeUserScramCredentialsRequest,
            DescribeUserScramCredentialsResponse>(new DescribeUserScramCredentialsRequest { Users = null });
        Assert.Equal((0, 0), (credentials.ErrorCode, credentials.Results.Length));
    }

    [Theory]
    [InlineData("user=alice", false, "alice 1,alice+app 2")]
    [InlineData("user=alice", true, "alice 1")]
    [InlineData("user=alice client-id=app", true, "alice+app 2")]
    [InlineData("user", true, "alice 1,default 3")]
    [InlineData("user default", true, "default 3")]
    [InlineData("client-id", false, "alice+app 2")]
    [InlineData("ip=10.0.0.1", false, "10.0.0.1 4")]
    [InlineData("user=bob", false, "")]
    [InlineData("", false, "alice 1,alice+app 2,default 3,10.0.0.1 4")]
    [InlineData("", true, "")]
    [InlineData("=x", false, "INVALID_REQUEST")]
    [InlineData("user=alice user=bob", false, "INVALID_REQUEST")]
    [InlineData("ip=10.0.0.1 user=alice", false, "INVALID_REQUEST")]
    [InlineData("group=g", false, "UNSUPPORTED_VERSION")]
    public async Task Quotas_are_found_by_their_entity(string filter, bool isStrict, string expected)
    {
        var image = MetadataImage.Empty.Apply(
            [
                Quota(1, ("user", "alice")), Quota(2, ("user", "alice"), ("client-id", "app")), Quota(3, ("user", null)),
                    Quota(4, ("ip", "10.0.0.1")),
            ],
            0,
            MetadataProvenance.Empty);
        var handler = new DescribeClientQuotasHandler(new ClusterView("cluster", () => image));
        var components = filter.Replace("user default", "user:", StringComparison.Ordinal).Split(' ',
            StringSplitOptions.RemoveEmptyEntries).Select(Component);
        var response = await AnswerAsync(handler, new DescribeClientQuotasRequest { Strict = isStrict, Components = [.. components] });
        var found = response.Entries is null
            ? ((ErrorCode)response.ErrorCode).ToString()
            : string.Join(',', response.Entries.OrderBy(entry => entry.Values[0].Value).Select(entry =>
                $"{EntityText(entry)} {entry.Values[0].Value}"));
        Assert.Equal(expected.Replace("_", "", StringComparison.Ordinal), found, ignoreCase: true);

        static string EntityText(DescribeClientQuotasResponse.EntryData entry) =>
            string.Join('+', entry.Entity.OrderByDescending(part => part.EntityType).Select(part => part.EntityName ?? "default"));

        static DescribeClientQuotasRequest.ComponentData Component(string text) => text.EndsWith(':')
            ? new() { EntityType = text[..^1], MatchType = 1, Match = null }
            : text.Split('=') is [var type, var name] ? new() { EntityType = type, MatchType = 0, Match = name }
            : new() { EntityType = text, MatchType = 2, Match = null };
    }

    [Theory]
    [InlineData(0, null)]
    [InlineData(1, "x")]
    [InlineData(2, "x")]
    [InlineData(3, null)]
    public async Task A_quota_filter_that_contradicts_itself_is_refused(sbyte matchType, string? match)
    {
        var handler = new DescribeClientQuotasHandler(new ClusterView("cluster", () => MetadataImage.Empty));
        var request = new DescribeClientQuotasRequest
        {
            Components = [new() { EntityType = "user", MatchType = matchType, Match = match }],
        };
        var response = await AnswerAsync(handler, request);
        AssertError(ErrorCode.InvalidRequest, response.ErrorCode);
        Assert.Null(response.Entries);
    }

    /// <summary>The answer of a handler; if it throws, the one that is made of the error.</summary>
    private static async Task<DescribeClientQuotasResponse> AnswerAsync(
        DescribeClientQuotasHandler handler, DescribeClientQuotasRequest request)
    {
        try
        {
            return (await handler.HandleAsync(Context, request))!;
        }
        catch (ApiException e)
        {
            return request.ToErrorResponse(Context.ApiVersion, (short)e.Error.Code, e.Error.Message);
        }
    }

    [Fact]
    public async Task Credentials_are_described_without_their_secrets()
    {
        var credential = new ScramCredential([1], [2], [3], 4096);
        var image = MetadataImage.Empty with
        {
            Scram = new ScramImage(ImmutableDictionary<ScramKey,
                ScramCredential>.Empty.Add(new ScramKey("alice", 2), credential).Add(new ScramKey("alice", 1),
                    credential with { Iterations = 8192 })),
        };
        var handler = new DescribeUserScramCredentialsHandler(new ClusterView("cluster", () => image));
        foreach (var users in new DescribeUserScramCredentialsRequest.UserName[]?[] { null, [], [new() { Name = "alice" }] })
        {
            var result = Assert.Single((await handler.HandleAsync(Context,
                new DescribeUserScramCredentialsRequest { Users = users }))!.Results);
            Assert.Equal(("alice", 0), (result.User, result.ErrorCode));
            Assert.Equal([(1, 8192), (2, 4096)], result.CredentialInfos.Select(each => ((int)each.Mechanism, each.Iterations)));
        }

        var asked = new DescribeUserScramCredentialsRequest
        {
            Users = [new() { Name = "bob" }, new() { Name = "alice" },
            new() { Name = "alice" }]
        };
        Assert.Equal(
            [
                ("bob", ErrorCode.ResourceNotFound, "Attempt to describe a user credential that does not exist: bob"),
                ("alice", ErrorCode.DuplicateResource,
                    "Cannot describe SCRAM credentials for the same user twice in a single request: alice"),
            ],
            (await handler.HandleAsync(Context, asked))!.Results.Select(result =>
                (result.User, (ErrorCode)result.ErrorCode, result.ErrorMessage)));
    }

    private static RequestContext Context => new(ApiKey.DescribeClientQuotas, 1, 1, "test",
        new ConnectionInfo("PLAINTEXT", IPAddress.Loopback, _ => { }, default, default));

    private static Ottla.Protocol.Metadata.MetadataRecord Quota(double value, params (string Type, string? Name)[] entity) => new(
        new ClientQuotaRecord
        {
            Entity = [.. entity.Select(part => new ClientQuotaRecord.EntityData { EntityType = part.Type, EntityName = part.Name })],
            Key = "producer_byte_rate",
            Value = value,
        },
        0);
}
