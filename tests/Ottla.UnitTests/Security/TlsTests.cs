using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Ottla.Network.Buffers;
using Ottla.Network.Security;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Security;

/// <summary>Handshakes of both sides in memory, and what key stores they take.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _stranger = new("CN=Another CA");
    private readonly BufferPool _pool = new();

    public void Dispose()
    {
        _authority.Dispose();
        _stranger.Dispose();
    }

    [Theory]
    [InlineData("TLSv1.2", "TLSv1.2,TLSv1.3", true)]
    [InlineData("TLSv1.3", "TLSv1.2,TLSv1.3", true)]
    [InlineData("TLSv1.3", "TLSv1.2", false)]
    public async Task Both_sides_need_a_version_in_common(string client, string server, bool succeeds)
    {
        var serving = Server(protocols: server.Split(','));
        var asking = Client(protocols: [client]);
        if (succeeds)
            await using (await ConnectAsync(serving, asking))
                return;
        await Assert.ThrowsAnyAsync<Exception>(() => ConnectAsync(serving, asking));
    }

    [Fact]
    public async Task Megabytes_pass_in_both_directions()
    {
        await using var pair = await ConnectAsync(Server(), Client());
        var sent = RandomNumberGenerator.GetBytes(3_000_000);
        foreach (var (from, to) in new[] { (pair.Client, pair.Server), (pair.Server, pair.Client) })
        {
            var sending = from.SendAsync(sent, default).AsTask();
            var received = new byte[sent.Length];
            for (var count = 0; count < received.Length;)
            {
                Assert.Equal(0, await to.ReceiveAsync(Memory<byte>.Empty, default)); // waits without a buffer
                count += await to.ReceiveAsync(received.AsMemory(count), default);
            }

            await sending;
            Assert.Equal(sent, received);
        }
    }

    [Fact]
    public async Task A_handshake_may_come_byte_by_byte()
    {
        var (client, server) = await RawPairAsync();
        await using var pair = new Pair(new TlsConnection(client, Client(), _pool), new TlsConnection(server, Server(), _pool));
        var (asking, hello) = await RawPairAsync();
        var handshake = new TlsConnection(asking, Client(), _pool);
        var failing = handshake.ConnectAsync("localhost", default).AsTask();
        var bytes = new byte[4096];
        var length = await hello.ReceiveAsync(bytes, default);
        var accepting = pair.Server.AcceptAsync(null, default).AsTask();
        for (var i = 0; i < length; i++)
        {
            await client.SendAsync(bytes.AsMemory(i, 1), default);
            Assert.False(accepting.IsCompleted);
            Assert.InRange(_pool.RentedBytes, 0, 2 * BufferPool.BufferBytesMin); // no more than the bytes that came
        }

        var answer = new byte[1];
        Assert.Equal(1, await client.ReceiveAsync(answer, default));
        Assert.Equal(22, answer[0]); // the server's hello
        await hello.DisposeAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => failing);
        await handshake.DisposeAsync();
        client.Abort();
        await Assert.ThrowsAnyAsync<Exception>(() => accepting);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(75)]
    public async Task A_client_that_leaves_within_its_first_record_is_no_error_of_TLS(int bytes)
    {
        var (client, server) = await RawPairAsync();
        await using var tls = new TlsConnection(server, Server(), _pool);
        var accepting = tls.AcceptAsync(null, default).AsTask();
        byte[] half = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, .. new byte[64]];
        if (bytes > 0)
            await client.SendAsync(half.AsMemory(0, bytes), default);
        await client.DisposeAsync();
        await Assert.ThrowsAsync<EndOfStreamException>(() => accepting);
    }

    [Fact]
    public async Task The_end_of_the_stream_arrives()
    {
        await using var pair = await ConnectAsync(Server(), Client());
        await pair.Client.DisposeAsync();
        Assert.Equal(0, await pair.Server.ReceiveAsync(new byte[1], default));
    }

    [Fact]
    public async Task A_server_of_another_authority_is_refused() =>
        Assert.Contains("no trusted certificate vouches for it", (await RefusedAsync(
            Server(_stranger.Issue("CN=server")), Client())).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_server_with_an_expired_certificate_is_refused() =>
        Assert.Contains("is refused", (await RefusedAsync(
            Server(_authority.Issue("CN=server", isExpired: true)), Client())).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_server_with_another_name_is_refused_unless_names_are_not_checked()
    {
        var elsewhere = Server(_authority.Issue("CN=server", dnsName: "elsewhere"));
        Assert.Contains("is not for localhost", (await RefusedAsync(elsewhere, Client())).Message, StringComparison.Ordinal);
        await using var pair = await ConnectAsync(elsewhere, Client(checksHostName: false));
    }

    /// <summary>The steps by which an authority is replaced, and what goes wrong when one is left out.</summary>
    [Fact]
    public void Nodes_with_new_certificates_must_go_on_to_speak_with_those_that_have_the_old_ones()
    {
        var (old, trustsBoth) = (Node(_authority, _authority), Node(_authority, _authority, _stranger));
        var (renewed, rid) = (Node(_stranger, _authority, _stranger), Node(_stranger, _stranger));
        Assert.Null(old.RefusalBetween(trustsBoth));
        Assert.Null(trustsBoth.RefusalBetween(renewed));
        Assert.Null(renewed.RefusalBetween(rid));
        Assert.NotNull(old.RefusalBetween(renewed));
        Assert.NotNull(trustsBoth.RefusalBetween(rid));
        Assert.NotNull(old.RefusalBetween(rid));

        static TlsSettings Node(TestAuthority issuer, params TestAuthority[] trusted) => new()
        {
            Key = new CertifiedKey(issuer.Issue("CN=node"), []),
            Trusted = CertificateStores.ReadPemCertificates("trust", string.Join('\n', trusted.Select(each => each.CertificatePem))),
            Protocols = SslProtocols.Tls13,
        };
    }

    [Theory]
    [InlineData("TLSv1.2")]
    [InlineData("TLSv1.3")]
    public async Task A_client_is_named_by_its_certificate(string protocol)
    {
        await using var pair = await ConnectAsync(
            Server(asks: true), Client(certificate: _authority.Issue("CN=alice, OU=sec, O=test"), protocols: [protocol]));
        Assert.Equal("CN=alice,OU=sec,O=test", pair.Server.PeerSubject);
        Assert.Equal("CN=server", pair.Client.PeerSubject);
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_nobody_where_one_is_only_requested()
    {
        await using var pair = await ConnectAsync(Server(asks: true), Client());
        Assert.Null(pair.Server.PeerSubject);
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_refused_where_one_is_required() =>
        Assert.Contains("has shown no certificate", (await RefusedClientAsync(Client())).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_client_of_another_authority_is_refused() =>
        Assert.Contains("no trusted certificate vouches for it", (await RefusedClientAsync(
            Client(certificate: _stranger.Issue("CN=mallory")))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_client_with_an_expired_certificate_is_refused() =>
        Assert.Contains("is refused", (await RefusedClientAsync(
            Client(certificate: _authority.Issue("CN=alice", isExpired: true)))).Message, StringComparison.Ordinal);

    /// <summary>With TLS 1.3 the refusal comes when the client has ended its handshake, with TLS 1.2 during it.</summary>
    [Theory]
    [InlineData("TLSv1.2")]
    [InlineData("TLSv1.3")]
    public async Task A_client_learns_from_the_alert_that_it_is_refused(string protocol)
    {
        var network = new InMemoryTransport();
        await using var server = new AlertingServer(
            network, new IPEndPoint(IPAddress.Loopback, 1), Server(asks: true, requires: true, protocols: [protocol]));
        await using var tls = new TlsConnection(
            await network.ConnectAsync(server.EndPoint, default), Client(certificate: _stranger.Issue("CN=mallory")), _pool);
        if (protocol == "TLSv1.3")
        {
            await tls.ConnectAsync("localhost", default);
            var refusal = await Assert.ThrowsAsync<TlsException>(() => tls.ReceiveAsync(new byte[1], default).AsTask());
            Assert.Contains("the server refuses this side's certificate", refusal.Message, StringComparison.Ordinal);
        }
        else
        {
            await Assert.ThrowsAsync<TlsException>(() => tls.ConnectAsync("localhost", default).AsTask());
        }
    }

    [Fact]
    public async Task Who_does_not_speak_TLS_gets_the_alert_of_Java()
    {
        var (client, server) = await RawPairAsync();
        var tls = new TlsConnection(server, Server(), _pool);
        var accepting = tls.AcceptAsync(null, default).AsTask();
        await client.SendAsync(Convert.FromHexString("0000000a0012000000000001ffff"), default);
        Assert.Contains(
            "does not speak TLS", (await Assert.ThrowsAsync<TlsException>(() => accepting)).Message, StringComparison.Ordinal);
        var alert = new byte[7];
        Assert.Equal(7, await client.ReceiveAsync(alert, default));
        Assert.Equal("15030300020250", Convert.ToHexStringLower(alert));
        await tls.DisposeAsync();
    }

    [Fact]
    public void Key_stores_are_PEM_or_PKCS12()
    {
        using var certificate = _authority.Issue("CN=server");
        var pem = Encoding.ASCII.GetBytes(TestAuthority.PemOf(certificate) + _authority.CertificatePem);
        var fromPem = CertificateStores.ReadKey("store", "PEM", pem, null, null);
        Assert.Equal(certificate.Thumbprint, fromPem.Leaf.Thumbprint);
        Assert.Single(fromPem.Chain);
        var fromPkcs12 = CertificateStores.ReadKey("store", "PKCS12", certificate.Export(X509ContentType.Pkcs12, "pw"), "pw", null);
        Assert.Equal(certificate.Thumbprint, fromPkcs12.Leaf.Thumbprint);
        // Java reads PKCS#12 where the type is JKS, which is the default.
        Assert.Equal(certificate.Thumbprint, CertificateStores.ReadKey(
            "store", "JKS", certificate.Export(X509ContentType.Pkcs12, "pw"), "pw", null).Leaf.Thumbprint);
    }

    [Fact]
    public void A_key_store_that_cannot_be_used_says_what_to_do()
    {
        using var certificate = _authority.Issue("CN=server");
        using var key = certificate.GetECDsaPrivateKey()!;
        var encrypted = key.ExportEncryptedPkcs8PrivateKeyPem(
            "keypw", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000));
        var chain = certificate.ExportCertificatePem();
        Assert.Equal(certificate.Thumbprint, CertificateStores.ReadPemKey("store", encrypted, chain, "keypw").Leaf.Thumbprint);
        AssertRefused("set ssl.key.password", () => CertificateStores.ReadPemKey("store", encrypted, chain, null));
        AssertRefused("ssl.key.password is wrong", () => CertificateStores.ReadPemKey("store", encrypted, chain, "nope"));
        AssertRefused(
            "remove ssl.key.password", () => CertificateStores.ReadPemKey("store", TestAuthority.KeyPemOf(certificate), chain, "keypw"));
        AssertRefused("does not belong to the first certificate", () => CertificateStores.ReadPemKey(
            "store", TestAuthority.KeyPemOf(certificate), _authority.CertificatePem + "\n" + chain, null));
        AssertRefused("has no private key", () => CertificateStores.ReadPemKey("store", chain, chain, null));
        AssertRefused(
            "keytool -importkeystore", () => CertificateStores.ReadKey("store", "JKS", [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2], "pw", null));
        AssertRefused("set the type to PEM", () => CertificateStores.ReadKey("store", "JKS", Encoding.ASCII.GetBytes(chain), null, null));
        AssertRefused("password is wrong", () =>
            CertificateStores.ReadKey("store", "PKCS12", certificate.Export(X509ContentType.Pkcs12, "pw"), "nope", null));

        static void AssertRefused(string reason, Action read) =>
            Assert.Contains(reason, Assert.Throws<CertificateStoreException>(read).Message, StringComparison.Ordinal);
    }

    private TlsSettings Server(
        X509Certificate2? certificate = null, bool asks = false, bool requires = false, string[]? protocols = null) => new()
        {
            Key = new CertifiedKey(certificate ?? _authority.Issue("CN=server"), []),
            Trusted = CertificateStores.ReadPemCertificates("trust", _authority.CertificatePem),
            Protocols = TlsSettings.ProtocolsOf(protocols ?? ["TLSv1.2", "TLSv1.3"]),
            AsksForCertificate = asks,
            RequiresCertificate = requires,
        };

    private TlsSettings Client(X509Certificate2? certificate = null, string[]? protocols = null, bool checksHostName = true) => new()
    {
        Key = certificate is null ? null : new CertifiedKey(certificate, []),
        Trusted = CertificateStores.ReadPemCertificates("trust", _authority.CertificatePem),
        Protocols = TlsSettings.ProtocolsOf(protocols ?? ["TLSv1.2", "TLSv1.3"]),
        ChecksHostName = checksHostName,
    };

    private async Task<Pair> ConnectAsync(TlsSettings serving, TlsSettings asking)
    {
        var (client, server) = await RawPairAsync();
        var pair = new Pair(new TlsConnection(client, asking, _pool), new TlsConnection(server, serving, _pool));
        var accepting = pair.Server.AcceptAsync(work => ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false), default).AsTask();
        try
        {
            await pair.Client.ConnectAsync("localhost", default);
        }
        catch
        {
            await pair.Client.DisposeAsync();
            await Record.ExceptionAsync(() => accepting); // in TLS 1.3 the server has finished before
            await pair.Server.DisposeAsync();
            throw;
        }

        await accepting;
        return pair;
    }

    private async Task<TlsException> RefusedAsync(TlsSettings serving, TlsSettings asking) =>
        await Assert.ThrowsAsync<TlsException>(() => ConnectAsync(serving, asking));

    /// <summary>In TLS 1.3 a client has finished its handshake when the server refuses it.</summary>
    private async Task<TlsException> RefusedClientAsync(TlsSettings asking)
    {
        var (client, server) = await RawPairAsync();
        await using var ours = new TlsConnection(server, Server(asks: true, requires: true), _pool);
        await using var theirs = new TlsConnection(client, asking, _pool);
        var accepting = ours.AcceptAsync(null, default).AsTask();
        var connecting = theirs.ConnectAsync("localhost", default).AsTask();
        var refusal = await Assert.ThrowsAsync<TlsException>(() => accepting);
        await ours.DisposeAsync();
        await connecting.ContinueWith(_ => { }, TaskScheduler.Default);
        return refusal;
    }

    private static async Task<(ITransportConnection Client, ITransportConnection Server)> RawPairAsync()
    {
        var network = new InMemoryTransport();
        await using var listener = network.Listen(new IPEndPoint(IPAddress.Loopback, 1), 1, SocketBufferSizes.OperatingSystemDefaults);
        var client = await network.ConnectAsync(listener.LocalEndPoint, default);
        return (client, await listener.AcceptAsync(default));
    }

    private sealed record Pair(TlsConnection Client, TlsConnection Server) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Client.DisposeAsync();
            await Server.DisposeAsync();
        }
    }
}
