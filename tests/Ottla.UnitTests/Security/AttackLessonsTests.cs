using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Api;
using Ottla.Broker.Security;
using Ottla.Broker.Server;
using Ottla.Configuration.Security;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Sasl;
using Ottla.Requests;
using Ottla.Requests.Security;
using Ottla.Storage.Files;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.GroupCalls;

namespace Ottla.UnitTests.Security;

/// <summary>How brokers are attacked by who is logged in, or nearly; and what others had to learn about secrets and routing.</summary>
public sealed class AttackLessonsTests
{
    private const string Plain = "org.apache.kafka.common.security.plain.PlainLoginModule";

    /// <summary>rpk logged the keys of its configuration.</summary>
    [Fact]
    public async Task CVE_2023_24619_secrets_are_in_no_line_of_the_log()
    {
        using var authority = new TestAuthority();
        using var certificate = authority.Issue("CN=server");
        using var key = certificate.GetECDsaPrivateKey()!;
        var encrypted = key.ExportEncryptedPkcs8PrivateKeyPem(
            "s3cret-key", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000));
        using var log = new EveryLine();
        await using (var node = await TestNode.StartAsync(
            log,
            ("listeners", "SASL_PLAINTEXT://127.0.0.1:9092,INTERNAL://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093,SSL://127.0.0.1:9094"),
            ("advertised.listeners", "SASL_PLAINTEXT://localhost:9092,INTERNAL://localhost:9095,SSL://localhost:9094"),
            ("listener.security.protocol.map",
                "SASL_PLAINTEXT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL"),
            ("inter.broker.listener.name", "INTERNAL"), ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256"),
            ("delegation.token.secret.key", "s3cret-token"), ("not.known", "s3cret-unknown"),
            ("connection.failed.authentication.delay.ms", "0"),
            ("listener.name.sasl_plaintext.plain.sasl.jaas.config",
                $"{Plain} required username=\"node\" password=\"s3cret-own\" user_node=\"s3cret-own\" user_alice=\"s3cret-alice\";"),
            ("listener.name.ssl.ssl.keystore.type", "PEM"), ("listener.name.ssl.ssl.keystore.key", encrypted),
            ("listener.name.ssl.ssl.keystore.certificate.chain", certificate.ExportCertificatePem()),
            ("listener.name.ssl.ssl.key.password", "s3cret-key")))
        {
            foreach (SaslClient login in new SaslClient[]
            {
                new PlainClient("alice", "s3cret-alice"), new PlainClient("alice", "s3cret-guess"), new PlainClient("s3cret-user", "x"),
                new ScramClient(ScramMechanism.Sha256, "alice", "s3cret-scram", isToken: false, "nonce"),
            })
            {
                var security = new ClientSecurity(null, () => login, "test", new BufferPool());
                var connection = await node.Network.ConnectAsync(node.Node.EndPoints[0], default);
                await Xunit.Record.ExceptionAsync(async () => await (await security.SecureAsync(
                    connection, new NodeAddress(-1, "localhost", 9092), default)).Connection.DisposeAsync());
            }

            await using var admin = await node.ConnectAsync(listener: 1);
            foreach (var (name, value) in new[]
            {
                ("listener.name.sasl_plaintext.plain.sasl.jaas.config",
                    $"{Plain} required username=\"node\" password=\"s3cret-new\" user_node=\"s3cret-new\";"),
                ("listener.name.sasl_plaintext.plain.sasl.jaas.config", "s3cret-line without an end"),
                ("listener.name.ssl.ssl.key.password", "s3cret-wrong"),
            })
            {
                await admin.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(new()
                {
                    Resources = [new() { ResourceType = 4, ResourceName = "0", Configs = [new() { Name = name, Value = value }] }],
                });
            }

            await node.StopAsync();
        }

        Assert.Contains(log.Lines, line => line.Contains("alice", StringComparison.Ordinal)); // the refused logins are there
        Assert.DoesNotContain(log.Lines, line =>
            line.Replace("s3cret-user", "", StringComparison.Ordinal).Contains("s3cret", StringComparison.Ordinal)
            || line.Contains("PRIVATE KEY", StringComparison.Ordinal));
    }

    /// <summary>In Camel a header of a record named another topic for it.</summary>
    [Fact]
    public async Task CVE_2026_49098_what_a_record_carries_does_not_say_where_it_goes()
    {
        await using var bed = await Client.ClientBed.StartAsync("meant", "other");
        await using var producer = bed.Client.CreateProducer<string, string>();
        string[] names = ["kafka.OVERRIDE_TOPIC", "CamelKafkaOverrideTopic", "kafka_topic", "topic", "__topic"];
        var written = await bed.RunAsync(producer.ProduceAsync(new Ottla.Client.ProducerRecord<string, string>("meant", "other", "other")
        {
            Headers = names.Select(name => new RecordHeader(name, Encoding.ASCII.GetBytes("other"))).ToArray(),
        }));
        Assert.Equal("meant", written.Topic);
        Assert.Equal(1, bed.Node.Replica("meant").Log.LogEndOffset);
        Assert.Equal(0, bed.Node.Replica("other").Log.LogEndOffset);
    }

    [Fact]
    public async Task Asking_for_groups_that_are_not_there_makes_none()
    {
        await using var node = await TestNode.StartAsync(QuickGroups);
        await using var client = await node.ConnectAsync();
        await client.FindCoordinatorAsync("g");
        for (var i = 0; i < 200; i++)
        {
            var (group, member) = ($"flood-{i}", $"m-{i}");
            await client.CallAsync<OffsetFetchRequest, OffsetFetchResponse>(new() { Groups = [new() { GroupId = group, Topics = null }] });
            await client.CallAsync<DescribeGroupsRequest, DescribeGroupsResponse>(new() { Groups = [group] });
            await client.CallAsync<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>(new() { GroupIds = [group] });
            await client.CallAsync<HeartbeatRequest, HeartbeatResponse>(new() { GroupId = group, MemberId = member, GenerationId = 1 });
            await client.CallAsync<SyncGroupRequest, SyncGroupResponse>(new() { GroupId = group, MemberId = member, GenerationId = 1 });
            await client.CallAsync<LeaveGroupRequest, LeaveGroupResponse>(
                new() { GroupId = group, Members = [new() { MemberId = member }] });
            await client.CallAsync<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
                new() { GroupId = group, MemberId = member, MemberEpoch = 5 });
            await client.CallAsync<DeleteGroupsRequest, DeleteGroupsResponse>(new() { GroupsNames = [group] });
        }

        Assert.Empty((await client.CallAsync<ListGroupsRequest, ListGroupsResponse>(new())).Groups);
    }

    /// <summary>Such a search reads old segments from the disk: it must not hold up a network loop, nor may many run at once.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1_700_000_000_000)]
    [InlineData(-3)]
    public void Offsets_by_timestamp_are_looked_for_among_the_heavy_requests(long timestamp)
    {
        var handler = new ListOffsetsHandler(null!, null!, null!);
        Assert.Equal(HeavyRequests.Unbounded, handler.EstimateMicroseconds(default, Ask(timestamp)));
        Assert.Equal(0, handler.EstimateMicroseconds(default, Ask(-1)));

        static ListOffsetsRequest Ask(long at) => new() { Topics = [new() { Name = "t", Partitions = [new() { Timestamp = at }] }] };
    }

    /// <summary>Tokens with made-up keys must not have the node ask its issuer again and again.</summary>
    [Fact]
    public async Task Tokens_with_unknown_keys_have_the_keys_read_once_in_ten_seconds()
    {
        var (disk, clock) = (new InMemoryFileSystem(TimeProvider.System), new TestClock());
        disk.CreateDirectory("/keys");
        Write("first");
        await using var source = new JwksSource(
            new OAuthBearerSettings(new Uri("file:///keys/set.json"), ["kafka"], "issuer", "scope", "sub", 30) { RefreshMs = 3_600_000 },
            disk, new Prng(1), clock, NullLogger.Instance);
        Flood();
        var known = source.Keys;
        Write("second");
        Flood();
        Assert.Same(known, source.Keys);
        clock.AdvanceMs(9_999);
        Flood();
        Assert.Same(known, source.Keys);
        clock.AdvanceMs(1);
        Flood();
        Assert.NotSame(known, source.Keys);

        void Flood()
        {
            for (var i = 0; i < 1_000; i++)
                source.RefreshEarly();
        }

        void Write(string id)
        {
            using var rsa = RSA.Create(2048);
            var modulus = Base64Url.EncodeToString(rsa.ExportParameters(includePrivateParameters: false).Modulus!);
            disk.ReplaceFile("/keys/set.json", Encoding.ASCII.GetBytes(
                $"{{\"keys\":[{{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"{id}\",\"n\":\"{modulus}\",\"e\":\"AQAB\"}}]}}"));
        }
    }

    /// <summary>Keeps every line of every level, with the exceptions.</summary>
    private sealed class EveryLine : ILoggerFactory, ILogger
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<string> _lines = new();

        public IReadOnlyCollection<string> Lines => _lines;

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _lines.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
