using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Ottla.Client;
using Ottla.Network.Security;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Security;

namespace Ottla.UnitTests.Client;

/// <summary>Clients log in at a whole node, over TLS and without, by every mechanism; and learn at once when they are refused.</summary>
public sealed class ClientLoginTests
{
    private const string Topic = "alice-topic";

    [Theory]
    [InlineData("SASL_SSL", "PLAIN")]
    [InlineData("SASL_SSL", "SCRAM-SHA-256")]
    [InlineData("SASL_SSL", "SCRAM-SHA-512")]
    [InlineData("SASL_SSL", "OAUTHBEARER")]
    [InlineData("SASL_SSL", "token")]
    [InlineData("SASL_PLAINTEXT", "PLAIN")]
    [InlineData("SASL_PLAINTEXT", "SCRAM-SHA-256")]
    [InlineData("SASL_PLAINTEXT", "SCRAM-SHA-512")]
    [InlineData("SASL_PLAINTEXT", "OAUTHBEARER")]
    [InlineData("SSL", "certificate")]
    public async Task A_client_that_is_logged_in_administers_produces_and_consumes(string listener, string how)
    {
        await using var bed = await SecureClientBed.StartAsync();
        var client = how switch
        {
            "certificate" => bed.Open(listener, null, bed.Certificate()),
            "token" => bed.Open(listener, await CreateTokenAsync(bed)),
            _ => bed.Open(listener, LoginBy(bed, how)),
        };
        (await bed.RunAsync(client.CreateAdmin().CreateTopicsAsync([new NewTopic(Topic) { Partitions = 1, ReplicationFactor = 1 }])))
            .ThrowIfFailed();
        var producer = bed.Keep(client.CreateProducer<string, string>());
        Assert.Equal(0, (await bed.RunAsync(producer.ProduceAsync(Topic, "k", "v"))).Offset);
        var consumer = OpenConsumer(bed, client);
        Assert.Equal("v", (await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask()))!.Value.Value);
        await bed.RunAsync(consumer.CommitAsync());
        Assert.Equal(["alice-group"], (await bed.RunAsync(client.CreateAdmin().ListGroupsAsync())).Items.Select(group => group.GroupId));
    }

    [Theory]
    [InlineData("a wrong password by PLAIN", "Invalid username or password")]
    [InlineData("a wrong password by SCRAM-SHA-256", "invalid credentials")]
    [InlineData("a wrong password by SCRAM-SHA-512", "invalid credentials")]
    [InlineData("an unknown user by PLAIN", "Invalid username or password")]
    [InlineData("an unknown user by SCRAM-SHA-256", "invalid credentials")]
    [InlineData("an expired token", "invalid_token")]
    [InlineData("an expired delegation token", "invalid credentials")]
    [InlineData("trust in another authority", "the certificate of the server", true)]
    [InlineData("an expired certificate of the node", "the certificate of the server", true)]
    public async Task A_client_that_is_refused_learns_it_at_once(string reason, string message, bool isTls = false)
    {
        await using var bed = await SecureClientBed.StartAsync();
        await bed.CreateTopicAsync(Topic);
        var expired = reason == "an expired delegation token" ? await CreateTokenAsync(bed, isOver: true) : null;
        var client = reason switch
        {
            "a wrong password by PLAIN" => bed.Open("SASL_SSL", SaslLogin.Plain("alice", "wrong")),
            "a wrong password by SCRAM-SHA-256" => bed.Open("SASL_SSL", SaslLogin.ScramSha256("alice", "wrong")),
            "a wrong password by SCRAM-SHA-512" => bed.Open("SASL_SSL", SaslLogin.ScramSha512("alice", "wrong")),
            "an unknown user by PLAIN" => bed.Open("SASL_SSL", SaslLogin.Plain("mallory", "guess")),
            "an unknown user by SCRAM-SHA-256" => bed.Open("SASL_SSL", SaslLogin.ScramSha256("mallory", "guess")),
            "an expired token" => bed.Open("SASL_SSL", SaslLogin.OAuthBearer(() => bed.Token(-60))),
            "an expired delegation token" => bed.Open("SASL_SSL", expired),
            "trust in another authority" => bed.Open("SASL_SSL", LoginBy(bed, "PLAIN"), trustsAnother: true),
            _ => bed.Open("EXPIRED", null),
        };
        var before = bed.Node.Clock.NowMs;
        var producer = bed.Keep(client.CreateProducer<string, string>());
        await RefusedAsync(() => producer.ProduceAsync(Topic, "k", "v"));
        await RefusedAsync(() => client.CreateAdmin().ListTopicsAsync());
        var consumer = OpenConsumer(bed, client);
        await RefusedAsync(() => consumer.ConsumeOneAsync(TimeSpan.FromMinutes(10)).AsTask());
        // Three calls whose attempts would take a minute or more each.
        Assert.InRange(bed.Node.Clock.NowMs - before, 0, 30_000);

        async Task RefusedAsync(Func<Task> call)
        {
            var refused = await Assert.ThrowsAnyAsync<KafkaException>(() => bed.RunAsync(call()));
            Assert.True(isTls ? refused is SslAuthenticationException : refused.ErrorCode == ErrorCode.SaslAuthenticationFailed,
                refused.ToString());
            Assert.Contains(message, refused.Message, StringComparison.Ordinal);
            Assert.False(refused.IsRetriable);
        }
    }

    /// <summary>A server that says so with an alert, as Kafka does: nobody tries again until the time is over.</summary>
    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_client_whose_certificate_is_refused_with_an_alert_learns_it_at_once(SslProtocols protocol)
    {
        using var authority = new TestAuthority();
        var (network, clock) = (new InMemoryTransport(), new TestClock());
        await using var server = new AlertingServer(network, new IPEndPoint(IPAddress.Loopback, 9092), new TlsSettings
        {
            Key = new CertifiedKey(authority.Issue("CN=server"), []),
            Protocols = protocol,
            AsksForCertificate = true,
            RequiresCertificate = true,
        });
        var client = new OttlaClient(new OttlaClientOptions
        {
            BootstrapServers = "127.0.0.1:9092",
            TimeProvider = clock,
            Transport = network,
            Seed = 42,
            Security = new ClientSecurityOptions
            {
                TrustedCertificates = [X509Certificate2.CreateFromPem(authority.CertificatePem)],
                ClientCertificate = authority.Issue("CN=alice"),
            },
        });
        var before = clock.NowMs;
        var producer = client.CreateProducer<string, string>();
        var consumer = new Consumer<string, string>(client, new ConsumerOptions { GroupId = "g" });
        consumer.Subscribe([Topic]);
        foreach (var call in new Func<Task>[]
        {
            () => client.CreateAdmin().ListTopicsAsync(), () => producer.ProduceAsync(Topic, "k", "v"),
            () => consumer.ConsumeOneAsync(TimeSpan.FromMinutes(10)).AsTask(),
        })
        {
            var refused = await Assert.ThrowsAsync<SslAuthenticationException>(() => clock.AdvanceUntilAsync(call(), stepMs: 1));
            Assert.False(refused.IsRetriable);
        }

        Assert.InRange(clock.NowMs - before, 0, 10_000);
        Assert.InRange(server.Refused, 1, 20);
        foreach (var each in new IAsyncDisposable[] { consumer, producer, client })
            await clock.AdvanceUntilAsync(each.DisposeAsync().AsTask(), stepMs: 100);
    }

    /// <summary>
    /// .NET sends no alert when it refuses a certificate on Linux: the client sees the connection end, and cannot tell that from a node
    /// that stops. The node's log has the reason.
    /// </summary>
    [Theory]
    [InlineData("none", "the client has shown no certificate")]
    [InlineData("expired", "is refused")]
    [InlineData("foreign", "no trusted certificate vouches for it")]
    public async Task A_client_whose_certificate_is_refused_tries_until_its_time_is_over(string certificate, string reason)
    {
        await using var bed = await SecureClientBed.StartAsync();
        var client = bed.Open("SSL", null, certificate switch
        {
            "expired" => bed.Certificate(isExpired: true),
            "foreign" => bed.ForeignCertificate(),
            _ => null,
        });
        var admin = client.CreateAdmin();
        var failed = await Assert.ThrowsAsync<KafkaTimeoutException>(() => bed.RunAsync(admin.ListTopicsAsync(), stepMs: 50));
        Assert.True(failed.IsRetriable);
        Assert.Contains(bed.Log.Logger.Warnings, line => line.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_is_logged_in_and_may_not_gets_the_error_of_the_resource()
    {
        await using var bed = await SecureClientBed.StartAsync();
        await bed.CreateTopicAsync(Topic);
        var client = bed.Open("SASL_SSL", SaslLogin.Plain("bob", "bob-secret"));
        var producer = bed.Keep(client.CreateProducer<string, string>());
        await RefusedAsync(bed, ErrorCode.TopicAuthorizationFailed, () => producer.ProduceAsync(Topic, "k", "v"));
        var consumer = OpenConsumer(bed, client);
        await RefusedAsync(
            bed, ErrorCode.GroupAuthorizationFailed, () => consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask());
    }

    [Fact]
    public async Task What_is_taken_from_a_user_counts_at_the_next_request()
    {
        await using var bed = await SecureClientBed.StartAsync();
        await bed.CreateTopicAsync(Topic);
        var client = bed.Open("SASL_SSL", LoginBy(bed, "SCRAM-SHA-512"));
        var producer = bed.Keep(client.CreateProducer<string, string>());
        await bed.RunAsync(producer.ProduceAsync(Topic, "k", "v"));
        var admin = bed.Root.CreateAdmin();
        await bed.RunAsync(admin.DeleteAclsAsync([new AclFilter { Principal = "User:alice" }]));
        await RefusedAsync(bed, ErrorCode.TopicAuthorizationFailed, () => producer.ProduceAsync(Topic, "k", "v"));
        (await bed.RunAsync(admin.CreateAclsAsync(bed.AclsOfAlice()))).ThrowIfFailed();
        var second = bed.Keep(client.CreateProducer<string, string>());
        Assert.Equal(1, (await bed.RunAsync(second.ProduceAsync(Topic, "k", "v"))).Offset);
    }

    [Theory]
    [InlineData("PLAIN")]
    [InlineData("SCRAM-SHA-256")]
    [InlineData("OAUTHBEARER")]
    public async Task A_session_is_renewed_while_records_are_sent_and_read(string mechanism)
    {
        const int records = 400;
        await using var bed = await SecureClientBed.StartAsync(("connections.max.reauth.ms", "1000"));
        await bed.CreateTopicAsync(Topic);
        var logins = 0;
        var login = mechanism == "OAUTHBEARER" ? SaslLogin.OAuthBearer(() =>
        {
            Interlocked.Increment(ref logins);
            return bed.Token(600);
        }) : LoginBy(bed, mechanism);
        var client = bed.Open("SASL_SSL", login);
        var producer = bed.Keep(client.CreateProducer<string, string>());
        var consumer = OpenConsumer(bed, client);
        var before = bed.Node.Clock.NowMs;
        for (var i = 0; i < records; i++)
        {
            Assert.Equal(i, (await bed.RunAsync(producer.ProduceAsync(Topic, "k", $"{i}"))).Offset);
            Assert.Equal($"{i}", (await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask()))!.Value.Value);
            bed.Node.Clock.AdvanceMs(10);
        }

        Assert.InRange(bed.Node.Clock.NowMs - before, 4_000, long.MaxValue); // four sessions and more
        Assert.DoesNotContain(bed.Log.Logger.Warnings, line => line.Contains("its session is over", StringComparison.Ordinal));
        if (mechanism == "OAUTHBEARER")
            Assert.InRange(logins, 4, int.MaxValue);
    }

    [Fact]
    public async Task Who_is_taken_away_while_logged_in_is_refused_when_the_session_ends()
    {
        await using var bed = await SecureClientBed.StartAsync(("connections.max.reauth.ms", "1000"));
        await bed.CreateTopicAsync(Topic);
        var client = bed.Open("SASL_SSL", LoginBy(bed, "SCRAM-SHA-256"));
        var producer = bed.Keep(client.CreateProducer<string, string>());
        await bed.RunAsync(producer.ProduceAsync(Topic, "k", "v"));
        (await bed.RunAsync(bed.Root.CreateAdmin().AlterUserScramCredentialsAsync([new ScramDeletion("alice", ScramType.Sha256)])))
            .ThrowIfFailed();
        bed.Node.Clock.AdvanceMs(1_000);
        await RefusedAsync(bed, ErrorCode.SaslAuthenticationFailed, () => producer.ProduceAsync(Topic, "k", "v"));
    }

    private static async Task RefusedAsync(SecureClientBed bed, ErrorCode error, Func<Task> call)
    {
        var refused = await Assert.ThrowsAnyAsync<KafkaException>(() => bed.RunAsync(call()));
        Assert.True(refused.ErrorCode == error, refused.ToString());
    }

    private static Consumer<string, string> OpenConsumer(SecureClientBed bed, OttlaClient client)
    {
        var consumer = bed.Keep(new Consumer<string, string>(
            client, new ConsumerOptions { GroupId = "alice-group", OffsetReset = OffsetReset.Earliest }));
        consumer.Subscribe([Topic]);
        return consumer;
    }

    private static SaslLogin LoginBy(SecureClientBed bed, string mechanism) => mechanism switch
    {
        "PLAIN" => SaslLogin.Plain("alice", SecureClientBed.Password),
        "SCRAM-SHA-256" => SaslLogin.ScramSha256("alice", SecureClientBed.Password),
        "SCRAM-SHA-512" => SaslLogin.ScramSha512("alice", SecureClientBed.Password),
        _ => SaslLogin.OAuthBearer(() => bed.Token(600)),
    };

    private static async Task<SaslLogin> CreateTokenAsync(SecureClientBed bed, bool isOver = false)
    {
        var admin = bed.Open("SASL_SSL", LoginBy(bed, "PLAIN")).CreateAdmin();
        var token = await bed.RunAsync(admin.CreateDelegationTokenAsync());
        if (isOver)
            await bed.RunAsync(admin.ExpireDelegationTokenAsync(token.Hmac, TimeSpan.FromMilliseconds(-1)));
        return SaslLogin.DelegationToken(token.TokenId, Convert.ToBase64String(token.Hmac.Span));
    }
}
