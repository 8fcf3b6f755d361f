using System.Security.Cryptography;
using System.Text;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Security;

/// <summary>
/// A node with an authorizer and what the recorded broker had: topics, groups, a transaction. Requests of the recording are replayed with
/// this node's ids. Owned by one test.
/// </summary>
internal sealed class SecuredNode : IAsyncDisposable
{
    private const string StandardAuthorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    private const string TokenKey = "token-secret";
    private const string LoginListener = "SASL";

    private readonly RecordedAnswers _recording;
    private readonly Dictionary<string, PrincipalClient> _clients = [];
    private readonly List<(byte[] From, byte[] To)> _replacements = [];
    private readonly Dictionary<Uuid, string> _names = [];
    private readonly Dictionary<string, string> _tokenIds = [];
    private IReadOnlyList<RecordedAcl> _acls = [];

    private SecuredNode(TestNode node, RecordedAnswers recording)
    {
        Node = node;
        _recording = recording;
        foreach (var (name, id) in recording.TopicIds)
            _names[ToUuid(id)] = name;
    }

    public TestNode Node { get; }

    public static async Task<SecuredNode> StartAsync(RecordedAnswers recording, params (string Name, string Value)[] configs)
    {
        var node = await TestNode.StartAsync(
        [
            ("authorizer.class.name", StandardAuthorizer), ("super.users", "User:admin;User:ANONYMOUS"), ("node.id", "1"),
            ("offsets.topic.num.partitions", "3"), ("transaction.state.log.num.partitions", "3"), ("delegation.token.secret.key", TokenKey),
            ("listener.security.protocol.map", $"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{LoginListener}:SASL_PLAINTEXT"),
            ("log.message.timestamp.after.max.ms", "9223372036854775807"), // the recording is later than the clock of tests
            .. configs,
        ]);
        return new SecuredNode(node, recording);
    }

    /// <summary>The client of a principal; another one after the broker has closed its connection.</summary>
    public async Task<PrincipalClient> ClientOf(string user)
    {
        if (_clients.TryGetValue(user, out var client) && !client.IsClosed)
            return client;
        if (client is not null)
            await client.DisposeAsync();
        var parts = user.Split(':', 2);
        return _clients[user] = await PrincipalClient.ConnectAsync(
            Node.Node.Apis, new ClientPrincipal(parts[0], parts[1], false), quotas: Node.Node.Shared.Quotas);
    }

    /// <summary>As <see cref="ClientOf"/>, on a listener with logins, where tokens may be asked for.</summary>
    public async Task<PrincipalClient> LoggedInAsync(string user)
    {
        if (_clients.TryGetValue($"{user} logged in", out var client))
            return client;
        var parts = user.Split(':', 2);
        return _clients[$"{user} logged in"] = await PrincipalClient.ConnectAsync(
            Node.Node.Apis, new ClientPrincipal(parts[0], parts[1], false), LoginListener);
    }

    /// <summary>Has a user make a token, and means it by the recording's.</summary>
    public async Task CreateTokenAsync(string user)
    {
        var client = await LoggedInAsync(user);
        var created = await client.CallAsync<CreateDelegationTokenRequest, CreateDelegationTokenResponse>(new() { MaxLifetimeMs = -1 });
        Assert.Equal(0, created.ErrorCode);
        UseToken(user, created.TokenId);
    }

    public Task<PrincipalClient> AdminAsync() => ClientOf("User:admin");

    public string NameOf(Uuid id) => _names.TryGetValue(id, out var name) ? name : id.ToString();

    /// <summary>Makes what the recording's fixture names.</summary>
    public async Task CreateFixtureAsync(string prefix)
    {
        await CreateTopicAsync($"{prefix}-a", prefix == "ev" ? 1 : 2);
        await CreateTopicAsync($"{prefix}-b", 1);
        await CreateTopicAsync("zz-other", 1);
        var admin = await AdminAsync();
        foreach (sbyte type in (sbyte[])[0, 1])
            await admin.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(new() { KeyType = type, CoordinatorKeys = ["x"] });
        await CommitAsync($"{prefix}-g-classic", $"{prefix}-a", $"{prefix}-b");
        await CommitAsync($"{prefix}-g-empty", $"{prefix}-a", $"{prefix}-b");
        await JoinAsync($"{prefix}-g-consumer", $"{prefix}-a", $"{prefix}-b");
        await BeginTransactionAsync($"{prefix}-tx-a", $"{prefix}-a", $"{prefix}-b");
        await BeginTransactionAsync($"{prefix}-tx-b");
    }

    /// <summary>Creates a topic, and has the recording's id of it mean this one.</summary>
    public async Task<Uuid> CreateTopicAsync(string name, int partitions = 1, Guid? recordedId = null)
    {
        var admin = await AdminAsync();
        var created = await admin.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new()
        {
            Topics = [new() { Name = name, NumPartitions = partitions, ReplicationFactor = 1 }],
            TimeoutMs = 5_000,
        });
        var topic = Assert.Single(created.Topics);
        Assert.Equal(0, topic.ErrorCode);
        _names[topic.TopicId] = name;
        if ((recordedId ?? (_recording.TopicIds.TryGetValue(name, out var known) ? known : default(Guid?))) is { } id)
        {
            _names[ToUuid(id)] = name;
            _replacements.Add((id.ToByteArray(bigEndian: true), BytesOf(topic.TopicId)));
        }

        return topic.TopicId;
    }

    public async Task CommitAsync(string group, params string[] topics)
    {
        var admin = await AdminAsync();
        var committed = await admin.CallAsync<OffsetCommitRequest, OffsetCommitResponse>(
            new()
            {
                GroupId = group,
                GenerationIdOrMemberEpoch = -1,
                Topics = [.. topics.Select(topic => new OffsetCommitRequest.OffsetCommitRequestTopic
                {
                    Name = topic,
                    Partitions = [new() { PartitionIndex = 0, CommittedOffset = 1, CommittedMetadata = "" }],
                })],
            },
            9);
        Assert.All(committed.Topics, topic => Assert.Equal(0, topic.Partitions[0].ErrorCode));
    }

    public async Task LeaveAsync(string group, string member)
    {
        var admin = await AdminAsync();
        await admin.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
            new() { GroupId = group, MemberId = member, MemberEpoch = -1 });
    }

    /// <summary>A request of the recording, with this node's ids.</summary>
    public byte[] Translate(byte[] request)
    {
        var translated = request.ToArray();
        foreach (var (from, to) in _replacements)
        {
            for (var at = translated.AsSpan().IndexOf(from); at >= 0; at = translated.AsSpan().IndexOf(from))
                to.CopyTo(translated, at);
        }

        return translated;
    }

    /// <summary>Makes the entries of a row the only ones.</summary>
    public async Task SetAclsAsync(IReadOnlyList<RecordedAcl> acls)
    {
        if (acls.SequenceEqual(_acls))
            return;
        _acls = acls;
        var admin = await AdminAsync();
        var deleted = await admin.CallAsync<DeleteAclsRequest, DeleteAclsResponse>(
            new() { Filters = [Everything()] });
        Assert.Equal(0, Assert.Single(deleted.FilterResults).ErrorCode);
        if (acls.Count == 0)
            return;
        var created = await admin.CallAsync<CreateAclsRequest, CreateAclsResponse>(new() { Creations = [.. acls.Select(ToCreation)] });
        Assert.All(created.Results, result => Assert.Equal(0, result.ErrorCode));
    }

    /// <summary>The entries were changed by a request of the recording.</summary>
    public void ForgetAcls() => _acls = [new RecordedAcl("", "", "", "", "", "", "")];

    /// <summary>Has the recording's delegation token of an owner mean one of this node.</summary>
    private void UseToken(string owner, string tokenId)
    {
        var recorded = _recording.TokenIdByOwner[owner];
        _tokenIds[recorded] = tokenId;
        _replacements.Add((HmacOf(recorded), HmacOf(tokenId)));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients.Values)
            await client.DisposeAsync();
        await Node.DisposeAsync();
    }

    private static byte[] HmacOf(string tokenId) => HMACSHA512.HashData(Encoding.UTF8.GetBytes(TokenKey), Encoding.UTF8.GetBytes(tokenId));

    private static Uuid ToUuid(Guid id) => Uuid.Read(id.ToByteArray(bigEndian: true));

    private static byte[] BytesOf(Uuid id)
    {
        var bytes = new byte[Uuid.SizeBytes];
        id.Write(bytes);
        return bytes;
    }

    private CreateAclsRequest.AclCreation ToCreation(RecordedAcl acl) => new()
    {
        ResourceType = (sbyte)Enum.Parse<ResourceType>(acl.ResourceType),
        ResourceName = _tokenIds.GetValueOrDefault(acl.Name, acl.Name),
        ResourcePatternType = acl.Pattern == "Prefixed" ? (sbyte)4 : (sbyte)3,
        Principal = acl.Principal,
        Host = acl.Host,
        Operation = acl.Operation == "All" ? (sbyte)2 : (sbyte)Enum.Parse<AclOperation>(acl.Operation),
        PermissionType = acl.Permission == "Deny" ? (sbyte)2 : (sbyte)3,
    };

    private async Task JoinAsync(string group, params string[] topics)
    {
        const string Member = "AAAAAAAAAAAAAAAAAAAACA";
        var admin = await AdminAsync();
        var epoch = 0;
        for (var i = 0; i < 2; i++)
        {
            var joined = await admin.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(new()
            {
                GroupId = group,
                MemberId = Member,
                MemberEpoch = epoch,
                RebalanceTimeoutMs = epoch == 0 ? 60_000 : -1,
                SubscribedTopicNames = epoch == 0 ? topics : null,
                TopicPartitions = epoch == 0 ? [] : null,
            });
            Assert.Equal(0, joined.ErrorCode);
            epoch = joined.MemberEpoch;
        }
    }

    private async Task BeginTransactionAsync(string id, params string[] topics)
    {
        var admin = await AdminAsync();
        InitProducerIdResponse producer;
        do
        {
            producer = await admin.CallAsync<InitProducerIdRequest, InitProducerIdResponse>(
                new() { TransactionalId = id, TransactionTimeoutMs = 900_000, ProducerId = -1, ProducerEpoch = -1 });
        }
        while (producer.ErrorCode is (short)ErrorCode.CoordinatorLoadInProgress or (short)ErrorCode.NotCoordinator);
        Assert.Equal(0, producer.ErrorCode);
        if (topics.Length == 0)
            return;
        var added = await admin.CallAsync<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(
            new()
            {
                V3AndBelowTransactionalId = id,
                V3AndBelowProducerId = producer.ProducerId,
                V3AndBelowProducerEpoch = producer.ProducerEpoch,
                V3AndBelowTopics = [.. topics.Select(topic => new AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
                    { Name = topic, Partitions = [0] })],
            },
            3);
        Assert.All(added.ResultsByTopicV3AndBelow, topic => Assert.Equal(0, topic.ResultsByPartition[0].PartitionErrorCode));
    }

    /// <summary>Selects all access control entries.</summary>
    public static DeleteAclsRequest.DeleteAclsFilter Everything() => new()
    {
        ResourceTypeFilter = 1,
        ResourceNameFilter = null,
        PatternTypeFilter = 1,
        PrincipalFilter = null,
        HostFilter = null,
        Operation = 1,
        PermissionType = 1,
    };
}
