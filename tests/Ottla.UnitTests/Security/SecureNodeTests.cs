using System.Security.Authentication;
using System.Text;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Security;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.Requests.Security;
using Ottla.Storage.Files;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Protocol;
using Xunit.Abstractions;

namespace Ottla.UnitTests.Security;

/// <summary>Whole nodes whose clients need TLS, a login, or both.</summary>
public sealed class SecureNodeTests(ITestOutputHelper output) : IDisposable
{
    private const string Plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
    private const string KeyFile = "/certs/server.pem";

    private readonly TestAuthority _authority = new();
    private readonly InMemoryFileSystem _disk = new(TimeProvider.System);

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task A_client_logs_in_over_TLS()
    {
        await using var node = await StartAsync();
        await using var client = await LogInAsync(node, new PlainClient("alice", "secret"));
        await client.AssertAliveAsync();
        Assert.NotEmpty((await client.CallAsync<MetadataRequest, MetadataResponse>(new MetadataRequest { Topics = [] })).Brokers);
    }

    [Fact]
    public async Task A_wrong_password_is_refused_after_the_delay()
    {
        await using var node = await StartAsync(("connection.failed.authentication.delay.ms", "1234"));
        var asked = node.Clock.NextTimerAsync(1234);
        var login = LogInAsync(node, new PlainClient("alice", "nope"));
        await asked.WaitAsync(TestNode.Patience);
        Assert.False(login.IsCompleted);
        node.Clock.AdvanceMs(1234);
        var refusal = await Assert.ThrowsAsync<AuthenticationException>(() => login);
        Assert.Contains("Invalid username or password", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_does_not_log_in_is_closed_in_time()
    {
        await using var node = await StartAsync();
        await using var silent = await node.ConnectAsync();
        await using var halfway = new TestConnection((await SecureAsync(node, null)).Connection);
        node.Clock.AdvanceMs(29_999);
        await silent.SendRawAsync([22]);
        node.Clock.AdvanceMs(1);
        await Assert.ThrowsAnyAsync<Exception>(silent.AssertAliveAsync);
        await Assert.ThrowsAnyAsync<Exception>(halfway.AssertAliveAsync);
    }

    [Fact]
    public async Task The_oldest_connections_that_are_not_logged_in_make_room_for_new_ones()
    {
        await using var node = await StartAsync(("ottla.login.connections.per.ip.max", "2"));
        await using var loggedIn = await LogInAsync(node, new PlainClient("alice", "secret"));
        var waiting = new List<TestConnection>();
        for (var i = 0; i < 10; i++)
            waiting.Add(await node.ConnectAsync());
        await using var another = await LogInAsync(node, new PlainClient("bob", "secret"));
        await another.AssertAliveAsync();
        await loggedIn.AssertAliveAsync();
        foreach (var connection in waiting)
            await connection.DisposeAsync();
    }

    /// <summary>CVE-2022-34917: before its login nobody makes the node allocate at will, nor do many together.</summary>
    [Fact]
    public async Task CVE_2022_34917_long_frames_before_logins_share_a_bound()
    {
        const int connections = 300;
        const int frameBytes = 512 * 1024;
        await using var node = await TestNode.StartAsync(
            ("listeners", "SASL_PLAINTEXT://127.0.0.1:9092,INTERNAL://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093"),
            ("advertised.listeners", "SASL_PLAINTEXT://localhost:9092,INTERNAL://localhost:9095"),
            ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("inter.broker.listener.name", "INTERNAL"),
            ("socket.listen.backlog.size", "1000"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("listener.name.sasl_plaintext.plain.sasl.jaas.config", $"{Plain} required user_alice=\"secret\";"));
        var budget = node.Node.Shared.Connections.Security.LoginFrames;
        List<TestConnection> hostile = [];
        for (var i = 0; i < connections; i++)
        {
            hostile.Add(await node.ConnectAsync());
            await hostile[i].SendRawAsync([0, 8, 0, 0, 0, 17, 0, 1]); // a SaslHandshake of 512 KiB
        }

        await Waiting.UntilAsync(() => budget.TakenBytes >= 64 * 1024 * 1024 - frameBytes);
        Assert.InRange(budget.TakenBytes, 0, 64 * 1024 * 1024);
        foreach (var connection in hostile)
            await connection.DisposeAsync();
        await Waiting.UntilAsync(() => budget.TakenBytes == 0);
    }

    [Fact]
    public async Task A_new_certificate_file_is_used_without_losing_connections()
    {
        await using var node = await StartAsync();
        await using var before = await LogInAsync(node, new PlainClient("alice", "secret"));
        var renewed = _authority.Issue("CN=server");
        WriteKey(TestAuthority.PemOf(renewed));
        node.Clock.AdvanceMs(5_001);
        var seen = await SecureAsync(node, null);
        Assert.Equal(renewed.Thumbprint, seen.PeerThumbprint);
        await before.AssertAliveAsync();

        WriteKey("half a file");
        node.Clock.AdvanceMs(5_001);
        Assert.Equal(renewed.Thumbprint, (await SecureAsync(node, null)).PeerThumbprint);
        WriteKey(TestAuthority.PemOf(_authority.Issue("CN=somebody else")));
        node.Clock.AdvanceMs(5_001);
        Assert.Equal(renewed.Thumbprint, (await SecureAsync(node, null)).PeerThumbprint);
    }

    [Fact]
    public async Task A_dynamic_certificate_takes_effect_and_a_wrong_one_is_refused()
    {
        await using var node = await StartAsync();
        await using var client = await LogInAsync(node, new PlainClient("alice", "secret"));
        var renewed = _authority.Issue("CN=server");
        _disk.ReplaceFile("/certs/new.pem", Encoding.ASCII.GetBytes(TestAuthority.PemOf(renewed)));
        Assert.Equal(ErrorCode.InvalidRequest, await AlterAsync(client, "/certs/none.pem"));
        Assert.Equal(ErrorCode.None, await AlterAsync(client, "/certs/new.pem"));
        await Waiting.UntilAsync(() => node.Node.Shared.Config.Get("SASL_SSL", "ssl.keystore.location").AsString == "/certs/new.pem");
        Assert.Equal(renewed.Thumbprint, (await SecureAsync(node, null)).PeerThumbprint);
    }

    [Fact]
    public async Task Garbage_before_the_login_harms_nobody()
    {
        var random = new Prng(17);
        using var log = new WarningLoggers();
        await using var node = await TestNode.StartAsync(
            log,
            ("listeners", "SASL_PLAINTEXT://127.0.0.1:9092,INTERNAL://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093"),
            ("advertised.listeners", "SASL_PLAINTEXT://localhost:9092,INTERNAL://localhost:9095"),
            ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("inter.broker.listener.name", "INTERNAL"),
            ("connection.failed.authentication.delay.ms", "0"),
            ("socket.listen.backlog.size", "1000"),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256"),
            ("listener.name.sasl_plaintext.plain.sasl.jaas.config", $"{Plain} required user_alice=\"secret\";"));
        var (sent, heapBytes) = (0L, 0L);
        for (var i = 0; i < FuzzSettings.HostileConnections; i++)
        {
            if (i == FuzzSettings.HostileConnections / 10)
                heapBytes = GC.GetTotalMemory(forceFullCollection: true);
            if (i % 100 == 0)
            {
                await using var polite = await node.ConnectAsync(); // served after all before it, so that the backlog is empty
                await polite.AssertAliveAsync();
            }

            await using var hostile = await node.ConnectAsync();
            foreach (var frame in Frames(random.NextInt(2) == 0 ? "PLAIN" : "SCRAM-SHA-256"))
            {
                for (var flips = random.NextInt(4); flips > 0; flips--)
                    frame[random.NextInt(frame.Length)] = (byte)random.NextInt(256);
                try
                {
                    await hostile.SendFrameAsync(frame[..(frame.Length - (random.NextInt(3) == 0 ? random.NextInt(frame.Length) : 0))]);
                    sent++;
                }
                catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
                {
                    break; // the node has closed the connection
                }
            }
        }

        await using (var last = await node.ConnectAsync())
            await last.AssertAliveAsync(); // all before it are served
        var grown = GC.GetTotalMemory(forceFullCollection: true) - heapBytes;
        output.WriteLine(
            $"{sent} frames of {FuzzSettings.HostileConnections} connections; "
                + $"the heap of this process has grown by {grown} bytes since a tenth of them");
        Assert.Equal(0, node.Node.Shared.Connections.Security.LoginFrames.TakenBytes);
        var connection = await node.Network.ConnectAsync(node.Node.EndPoints[0], default);
        var security = new ClientSecurity(null, () => new PlainClient("alice", "secret"), "test", new BufferPool());
        await using var client = new TestConnection(
            (await security.SecureAsync(connection, new NodeAddress(-1, "localhost", 9092), default)).Connection);
        await client.AssertAliveAsync();
        Assert.DoesNotContain(log.Logger.Warnings, line => line.Contains("bug", StringComparison.Ordinal));

        static List<byte[]> Frames(string mechanism) =>
        [
            TestConnection.Encode(
                ApiKey.ApiVersions, 3, 1, new ApiVersionsRequest { ClientSoftwareName = "a", ClientSoftwareVersion = "1" }),
            TestConnection.Encode(ApiKey.SaslHandshake, 1, 2, new SaslHandshakeRequest { Mechanism = mechanism }),
            TestConnection.Encode(ApiKey.SaslAuthenticate, 2, 3, new SaslAuthenticateRequest
            {
                AuthBytes = Encoding.ASCII.GetBytes(mechanism == "PLAIN" ? "\0alice\0secret" : "n,,n=alice,r=nonce"),
            }),
            TestConnection.Encode(ApiKey.SaslAuthenticate, 2, 4, new SaslAuthenticateRequest
            {
                AuthBytes = Encoding.ASCII.GetBytes("c=biws,r=nonce,p=AAAA"),
            }),
            TestConnection.Encode(ApiKey.Metadata, 9, 5, new MetadataRequest { Topics = [] }),
        ];
    }

    [Fact]
    public async Task Kerberos_is_refused_with_a_clear_word()
    {
        var refused = await Assert.ThrowsAsync<Ottla.Configuration.ConfigException>(
            () => StartAsync(("sasl.enabled.mechanisms", "GSSAPI")));
        Assert.Contains("GSSAPI (Kerberos), which this version does not have", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_listener_with_PLAIN_needs_users()
    {
        var refused = await Assert.ThrowsAsync<Ottla.Configuration.ConfigException>(
            () => StartAsync(("listener.name.sasl_ssl.plain.sasl.jaas.config", "")));
        Assert.Contains("listener.name.sasl_ssl.plain.sasl.jaas.config", refused.Message, StringComparison.Ordinal);
    }

    private async Task<TestNode> StartAsync(params (string Name, string Value)[] configs)
    {
        _disk.CreateDirectory("/certs");
        WriteKey(TestAuthority.PemOf(_authority.Issue("CN=server")));
        return await TestNode.StartOnAsync(_disk, [.. new (string, string)[]
        {
            ("listeners", "SASL_SSL://127.0.0.1:9092,INTERNAL://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093"),
            ("advertised.listeners", "SASL_SSL://localhost:9092,INTERNAL://localhost:9095"),
            ("listener.security.protocol.map", "SASL_SSL:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("inter.broker.listener.name", "INTERNAL"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("listener.name.sasl_ssl.plain.sasl.jaas.config", $"{Plain} required user_alice=\"secret\" user_bob=\"secret\";"),
            ("listener.name.sasl_ssl.ssl.keystore.type", "PEM"),
            ("listener.name.sasl_ssl.ssl.keystore.location", KeyFile),
        }, .. configs]);
    }

    private void WriteKey(string pem) => _disk.ReplaceFile(KeyFile, Encoding.ASCII.GetBytes(pem));

    private async Task<TestConnection> LogInAsync(TestNode node, SaslClient login) => new((await SecureAsync(node, login)).Connection);

    private async Task<Secured> SecureAsync(TestNode node, SaslClient? login)
    {
        var settings = new TlsSettings
        {
            Trusted = CertificateStores.ReadPemCertificates("trust", _authority.CertificatePem),
            Protocols = SslProtocols.Tls13,
        };
        var connection = await node.Network.ConnectAsync(node.Node.EndPoints[0], default);
        var security = new ClientSecurity(() => settings, login is null ? null : () => login, "test", new BufferPool());
        var secured = await security.SecureAsync(connection, new NodeAddress(-1, "localhost", 9092), default);
        return new Secured(secured.Connection, ((TlsConnection)secured.Connection).PeerCertificate?.Thumbprint);
    }

    private static async Task<ErrorCode> AlterAsync(TestConnection client, string location)
    {
        var response = await client.CallAsync<IncrementalAlterConfigsRequest,
            IncrementalAlterConfigsResponse>(new IncrementalAlterConfigsRequest
            {
                Resources = [new() { ResourceType = 4, ResourceName = "0", Configs =
                [new() { Name = "listener.name.sasl_ssl.ssl.keystore.location", ConfigOperation = 0, Value = location }] }],
            });
        return (ErrorCode)response.Responses[0].ErrorCode;
    }

    private sealed record Secured(ITransportConnection Connection, string? PeerThumbprint);
}
