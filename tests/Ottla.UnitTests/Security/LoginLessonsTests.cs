using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Security;
using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Kernel;
using Ottla.Protocol.Sasl;
using Ottla.Requests.Security;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Security;
using Ottla.Storage.Files;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Security;

/// <summary>What others had to learn about logins, each named after its advisory.</summary>
public sealed class LoginLessonsTests
{
    private const string Plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
    private static readonly Instant s_now = new(1_800_000_000_000);
    private static readonly PlainUsers s_users = new(
        [KeyValuePair.Create("alice", "secret"), KeyValuePair.Create("bob", "secret")], new byte[32]);

    [Fact]
    public void CVE_2017_12610_nobody_acts_as_another_user_by_PLAIN()
    {
        var step = new PlainServer(s_users).Evaluate("bob\0alice\0secret"u8, s_now);
        Assert.Null(step.Identity);
        Assert.Contains("authorization id", step.Failure!.ClientMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void CVE_2017_12610_nobody_acts_as_another_user_by_SCRAM()
    {
        var server = new ScramServer(ScramMechanism.Sha256, Users(("alice", "secret"), ("bob", "secret")), "server");
        var step = server.Evaluate("n,a=bob,n=alice,r=nonce"u8, s_now);
        Assert.Contains("authorization id", step.Failure!.ClientMessage, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("client")]
    [InlineData("clientserverx")]
    [InlineData("clientserve")]
    public void CVE_2024_56128_the_nonce_of_the_proof_is_that_of_the_login(string nonce)
    {
        var server = new ScramServer(ScramMechanism.Sha256, Users(("alice", "secret")), "server");
        var client = new ScramClient(ScramMechanism.Sha256, "alice", "secret", isToken: false, "client");
        var challenge = ScramServerFirst.Parse(server.Evaluate(client.Begin(), s_now).Response);
        // A client that proves the password for another nonce, as somebody does who replays an old exchange.
        var other = new ScramClient(ScramMechanism.Sha256, "alice", "secret", isToken: false, "client");
        var text = ScramServerFirst.Create(nonce == "client" ? "client2" : nonce, challenge.Salt, challenge.Iterations).Text;
        var step = server.Evaluate(other.Respond(Encoding.ASCII.GetBytes(text)), s_now);
        Assert.Contains("nonce", step.Failure!.LogReason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_client_may_say_its_nonce_twice_as_librdkafka_did_before_2_6_1()
    {
        var server = new ScramServer(ScramMechanism.Sha256, Users(("alice", "secret")), "server");
        var first = ScramClientFirst.Create("alice", "client", isToken: false);
        var challenge = ScramServerFirst.Parse(server.Evaluate(first.ToBytes(), s_now).Response);
        var (mechanism, nonce) = (ScramMechanism.Sha256, "client" + challenge.Nonce);
        var clientKey = mechanism.ClientKey(mechanism.SaltedPassword("secret", challenge.Salt, challenge.Iterations));
        var withoutProof = ScramClientFinal.TextWithoutProof(nonce);
        var signed = Encoding.ASCII.GetBytes($"{first.Bare},{challenge.Text},{withoutProof}");
        var proof = mechanism.Combine(clientKey, mechanism.Hmac(mechanism.Hash(clientKey), signed));
        Assert.Equal("alice", server.Evaluate(new ScramClientFinal(nonce, proof, withoutProof).ToBytes(), s_now).Identity?.Name);
    }

    [Theory]
    [InlineData("com.sun.security.auth.module.JndiLoginModule required user.provider.url=\"ldap://evil\";")]
    [InlineData("com.sun.security.auth.module.KeyStoreLoginModule required keyStoreURL=\"http://evil\";")]
    public void CVE_2023_25194_a_login_module_is_no_class_to_load(string text) => AssertIsNoLogin(text);

    /// <summary>In the properties of clients, which are as often not written by who runs the program.</summary>
    [Theory]
    [InlineData("com.sun.security.auth.module.LdapLoginModule required userProvider=\"ldap://evil\" username=\"u\" password=\"p\";")]
    [InlineData("\n com.sun.security.auth.module.JndiLoginModule\nrequired username=u password=p;")]
    public void CVE_2025_27818_clients_and_commands_load_no_login_module(string text)
    {
        AssertIsNoLogin(text);
        foreach (var mechanism in new[] { "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512" })
        {
            var properties = new Dictionary<string, string>
            {
                ["security.protocol"] = "SASL_PLAINTEXT",
                ["sasl.mechanism"] = mechanism,
                ["sasl.jaas.config"] = text,
            };
            Assert.Throws<ConfigException>(() => ClientProperties.SecurityOf(
                properties, new InMemoryFileSystem(TimeProvider.System), TimeProvider.System, NullLogger.Instance));
            var refused = Assert.Throws<ArgumentException>(() => Ottla.Client.ClientProperties.Read(properties));
            Assert.Contains("sasl.jaas.config", refused.Message, StringComparison.Ordinal);
        }
    }

    private static void AssertIsNoLogin(string text) => Assert.Contains(
        "is unknown", Assert.Throws<ConfigException>(() => JaasLogin.Parse("sasl.jaas.config", text, "PLAIN")).Message,
        StringComparison.Ordinal);

    [Fact]
    public async Task CVE_2026_110985_without_keys_a_node_that_takes_tokens_does_not_start()
    {
        var refused = await Assert.ThrowsAsync<ConfigException>(() => TestNode.StartAsync(
            ("listeners", "SASL_PLAINTEXT://127.0.0.1:9092,PLAINTEXT://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093"),
            ("advertised.listeners", "PLAINTEXT://localhost:9095"),
            ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("sasl.enabled.mechanisms", "OAUTHBEARER")));
        Assert.Contains(
            "sasl.oauthbearer.jwks.endpoint.url of the listener SASL_PLAINTEXT is not set", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CVE_2021_38153_and_user_enumeration_an_unknown_user_gets_as_far_as_a_wrong_password()
    {
        var credentials = Users(("alice", "secret"));
        var (known, unknown) = (Attempt("alice"), Attempt("nobody"));
        Assert.Equal(known.Challenge.Salt.Length, unknown.Challenge.Salt.Length);
        Assert.Equal(known.Challenge.Iterations, unknown.Challenge.Iterations);
        Assert.Null(known.Step.Failure!.ClientMessage);
        Assert.Null(unknown.Step.Failure!.ClientMessage);
        Assert.Equal(unknown.Challenge.Salt, Attempt("nobody").Challenge.Salt); // as a real user's, it does not change
        Assert.NotEqual(unknown.Challenge.Salt, Attempt("nobody2").Challenge.Salt);

        (ScramServerFirst Challenge, SaslStep Step) Attempt(string user)
        {
            var server = new ScramServer(ScramMechanism.Sha256, credentials, "server");
            var client = new ScramClient(ScramMechanism.Sha256, user, "wrong", isToken: false, "client");
            var challenge = server.Evaluate(client.Begin(), s_now).Response;
            return (ScramServerFirst.Parse(challenge), server.Evaluate(client.Respond(challenge), s_now));
        }
    }

    [Theory]
    [InlineData("http://issuer.example/keys")]
    [InlineData("ftp://issuer.example/keys")]
    [InlineData("jar:file:/tmp/keys.jar!/keys")]
    [InlineData("keys.json")]
    public async Task CVE_2025_27817_keys_of_tokens_come_over_HTTPS_or_from_a_file(string url)
    {
        var refused = await Assert.ThrowsAsync<ConfigException>(() => TestNode.StartAsync(
            ("listeners", "SASL_PLAINTEXT://127.0.0.1:9092,PLAINTEXT://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093"),
            ("advertised.listeners", "PLAINTEXT://localhost:9095"),
            ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("sasl.enabled.mechanisms", "OAUTHBEARER"), ("sasl.oauthbearer.jwks.endpoint.url", url)));
        Assert.Contains("is not a URL that begins with https: or file:", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>rpk took a misplaced field and spoke clear text.</summary>
    [Fact]
    public async Task CVE_2023_30450_a_listener_whose_certificate_is_misspelt_does_not_start_without_TLS()
    {
        var refused = await Assert.ThrowsAsync<ConfigException>(() => TestNode.StartAsync(
            ("listeners", "SSL://127.0.0.1:9092,PLAINTEXT://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093"),
            ("advertised.listeners", "PLAINTEXT://localhost:9095"),
            ("listener.security.protocol.map", "SSL:SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("ssl.keystore.type", "PEM"), ("listener.name.ssl.keystore.location", "/certs/server.pem")));
        Assert.Contains("The listener SSL is SSL and has no certificate", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_is_in_no_text()
    {
        const string secret = "s3cret";
        var login = JaasLogin.Parse("k", $"{Plain} required username=\"u\" password=\"{secret}\" user_u=\"{secret}\";", "PLAIN");
        Assert.DoesNotContain(secret, login.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(
            secret, new StoreSettings("s", "PEM", null, secret, secret, secret, secret).ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(secret, new OAuthBearerClientFirst("", secret).ToString(), StringComparison.Ordinal);
        var malformed = Assert.Throws<ConfigException>(() => JaasLogin.Parse("k", $"{Plain} required password=\"{secret}", "PLAIN"));
        Assert.DoesNotContain(secret, malformed.Message, StringComparison.Ordinal);
        foreach (var message in new[] { $"\0alice\0{secret}", $"\0{secret}", $"a\0b\0{secret}\0d" })
        {
            var failure = new PlainServer(s_users).Evaluate(Encoding.UTF8.GetBytes(message), s_now).Failure!;
            Assert.DoesNotContain(secret, failure.LogReason + failure.ClientMessage, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_name_cannot_write_lines_of_the_log() =>
        Assert.Equal("'a?b?c'", LogName.Of("a\nb\u001bc"));

    /// <summary>Credentials in the metadata, with salts as long as Kafka's.</summary>
    private static MetadataCredentials Users(params (string Name, string Password)[] users)
    {
        var byUser = ScramImage.Empty.ByUser;
        foreach (var (name, password) in users)
        {
            var salt = Encoding.ASCII.GetBytes("0123456789abcdefghijklmnop");
            var salted = ScramMechanism.Sha256.SaltedPassword(password, salt, 4096);
            byUser = byUser.Add(new ScramKey(name, 1), new ScramCredential(
                [.. salt], [.. ScramMechanism.Sha256.Hash(ScramMechanism.Sha256.ClientKey(salted))],
                [.. ScramMechanism.Sha256.ServerKey(salted)], 4096));
        }

        var image = MetadataImage.Empty with { Scram = new ScramImage(byUser) };
        return new MetadataCredentials(() => image, null);
    }
}
