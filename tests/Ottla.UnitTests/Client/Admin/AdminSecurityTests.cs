using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client.Admin;

/// <summary>Admin calls about access, credentials, quotas and tokens, at a whole node.</summary>
public sealed class AdminSecurityTests
{
    private static readonly (string Name, string Value)[] WithAuthorizer =
    [
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:ANONYMOUS"),
    ];

    [Fact]
    public async Task Creates_lists_and_deletes_acls()
    {
        await using var bed = await ClientBed.StartConfiguredAsync(WithAuthorizer);
        var admin = bed.Client.CreateAdmin();
        var read = new AclBinding(ResourceType.Topic, "a", "User:alice", AclOperation.Read);
        var all = new AclBinding(
            ResourceType.Group, "team-", "User:bob", AclBinding.AllOperations, AclPermission.Deny, AclPatternType.Prefixed, "10.0.0.1");
        var wrong = read with { Principal = "nobody" };
        var created = await bed.RunAsync(admin.CreateAclsAsync([read, all, wrong]));
        created[read].ThrowIfFailed();
        created[all].ThrowIfFailed();
        Assert.False(created[wrong].IsSuccess);

        Assert.Equal(2, (await bed.RunAsync(admin.DescribeAclsAsync(new AclFilter()))).Count);
        Assert.Equal([read], await bed.RunAsync(admin.DescribeAclsAsync(new AclFilter { ResourceType = ResourceType.Topic })));
        Assert.Equal([all], await bed.RunAsync(admin.DescribeAclsAsync(new AclFilter
        {
            ResourceName = "team-1",
            PatternType = AclPatternType.Match,
        })));
        var filter = new AclFilter { Principal = "User:alice" };
        var deleted = await bed.RunAsync(admin.DeleteAclsAsync([filter, new AclFilter { Principal = "User:eve" }]));
        Assert.True(Assert.Single(deleted[filter].Value).Value.IsSuccess);
        Assert.Equal(read, Assert.Single(deleted[filter].Value).Key);
        Assert.Equal(2, deleted.Count);
        Assert.Equal([all], await bed.RunAsync(admin.DescribeAclsAsync(new AclFilter())));
    }

    [Fact]
    public async Task Acls_need_an_authorizer()
    {
        await using var bed = await ClientBed.StartAsync();
        var failure = await Assert.ThrowsAsync<KafkaException>(
            () => bed.RunAsync(bed.Client.CreateAdmin().DescribeAclsAsync(new AclFilter())));
        Assert.Equal(ErrorCode.SecurityDisabled, failure.ErrorCode);
    }

    [Fact]
    public async Task Sets_lists_and_deletes_scram_credentials()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        var altered = await bed.RunAsync(admin.AlterUserScramCredentialsAsync(
        [
            new ScramUpsertion("alice", ScramType.Sha256, "secret"),
            new ScramDeletion("bob", ScramType.Sha256),
        ]));
        altered["alice"].ThrowIfFailed();
        Assert.Equal(ErrorCode.ResourceNotFound, altered["bob"].Error);
        var second = new ScramUpsertion("alice", ScramType.Sha512, "secret") { Iterations = 8192, Salt = new byte[] { 1, 2, 3 } };
        (await bed.RunAsync(admin.AlterUserScramCredentialsAsync([second]))).ThrowIfFailed();
        var described = await bed.RunAsync(admin.DescribeUserScramCredentialsAsync());
        Assert.Equal(
            [new ScramCredentialInfo(ScramType.Sha256, 4096), new ScramCredentialInfo(ScramType.Sha512, 8192)],
            Assert.Single(described).Value.Value.OrderBy(info => info.Mechanism));
        (await bed.RunAsync(admin.AlterUserScramCredentialsAsync([new ScramDeletion("alice", ScramType.Sha256)]))).ThrowIfFailed();
        described = await bed.RunAsync(admin.DescribeUserScramCredentialsAsync(["alice", "bob"]));
        Assert.Equal([new ScramCredentialInfo(ScramType.Sha512, 8192)], described["alice"].Value);
        Assert.Equal(ErrorCode.ResourceNotFound, described["bob"].Error);
        Assert.DoesNotContain("secret", new ScramUpsertion("alice", ScramType.Sha256, "secret").ToString());
        await Assert.ThrowsAsync<ArgumentException>(() => admin.AlterUserScramCredentialsAsync(
            [new ScramUpsertion("alice", ScramType.Sha256, "secret") { Iterations = 1 }]));
    }

    [Fact]
    public async Task Sets_lists_and_removes_quotas()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        var alice = ClientQuotaEntity.ForUser("alice");
        var both = ClientQuotaEntity.ForUserAndClientId(null, "app");
        var wrong = ClientQuotaEntity.ForIp("10.0.0.1");
        var altered = await bed.RunAsync(admin.AlterClientQuotasAsync(
            new Dictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>>
            {
                [alice] = new Dictionary<string, double?> { ["producer_byte_rate"] = 1000, ["consumer_byte_rate"] = 2000 },
                [both] = new Dictionary<string, double?> { ["request_percentage"] = 50.5 },
                [wrong] = new Dictionary<string, double?> { ["producer_byte_rate"] = 1 },
            }));
        altered[alice].ThrowIfFailed();
        altered[both].ThrowIfFailed();
        Assert.False(altered[wrong].IsSuccess);

        var all = await bed.RunAsync(admin.DescribeClientQuotasAsync());
        Assert.Equal(2, all.Count);
        Assert.Equal((1000d, 2000d), (all[alice]["producer_byte_rate"], all[alice]["consumer_byte_rate"]));
        Assert.Equal(50.5, all[both]["request_percentage"]);
        var named = await bed.RunAsync(admin.DescribeClientQuotasAsync([ClientQuotaFilter.Named(ClientQuotaEntity.User, "alice")]));
        Assert.Equal(alice, Assert.Single(named).Key);
        var defaults = await bed.RunAsync(admin.DescribeClientQuotasAsync([ClientQuotaFilter.Default(ClientQuotaEntity.User)]));
        Assert.Equal(both, Assert.Single(defaults).Key);
        Assert.Empty(await bed.RunAsync(
            admin.DescribeClientQuotasAsync([ClientQuotaFilter.Default(ClientQuotaEntity.User)], strict: true)));
        Assert.Equal(2, (await bed.RunAsync(admin.DescribeClientQuotasAsync([ClientQuotaFilter.Any(ClientQuotaEntity.User)]))).Count);

        (await bed.RunAsync(admin.AlterClientQuotasAsync(new Dictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>>
        {
            [alice] = new Dictionary<string, double?> { ["producer_byte_rate"] = null },
        }))).ThrowIfFailed();
        all = await bed.RunAsync(admin.DescribeClientQuotasAsync());
        Assert.Equal(["consumer_byte_rate"], all[alice].Keys);
    }

    [Fact]
    public async Task Tokens_need_a_login()
    {
        await using var bed = await ClientBed.StartAsync();
        var admin = bed.Client.CreateAdmin();
        await RefusedAsync(() => admin.CreateDelegationTokenAsync());
        await RefusedAsync(() => admin.RenewDelegationTokenAsync(new byte[] { 1 }));
        await RefusedAsync(() => admin.ExpireDelegationTokenAsync(new byte[] { 1 }));
        await RefusedAsync(() => admin.DescribeDelegationTokenAsync());

        async Task RefusedAsync(Func<Task> call)
        {
            var refused = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(call()));
            Assert.True(
                refused.ErrorCode is ErrorCode.DelegationTokenAuthDisabled or ErrorCode.DelegationTokenRequestNotAllowed, refused.Message);
        }
    }
}
