using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Tests;

/// <summary>Real clients log in, over TLS and without, at one broker; and are refused when they should be.</summary>
[Trait(Categories.Trait, Categories.Clients)]
public sealed class LoginTests(LoginTests.SecureBroker secure) : IClassFixture<LoginTests.SecureBroker>
{
    private const string Kcat = "/usr/bin/kcat";
    private const string Python = "/usr/bin/python3";

    private const string PythonScript = """
        import sys, json
        from kafka import KafkaProducer, KafkaConsumer
        from kafka.oauth.abstract import AbstractTokenProvider
        options = json.loads(sys.argv[1])
        topic = options.pop("topic")
        if options.get("sasl_mechanism") == "OAUTHBEARER":
            token = options.pop("token")
            class Provider(AbstractTokenProvider):
                def token(self):
                    return token
            options["sasl_oauth_token_provider"] = Provider()
        producer = KafkaProducer(acks="all", **options)
        producer.send(topic, b"hello").get(timeout=30)
        producer.close()
        consumer = KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=20000, **options)
        print(next(consumer).value.decode())
        """;

    public static TheoryData<string, string> Mechanisms()
    {
        var all = new TheoryData<string, string>();
        foreach (var protocol in new[] { "SASL_PLAINTEXT", "SASL_SSL" })
        {
            foreach (var mechanism in new[] { "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER" })
                all.Add(protocol, mechanism);
        }

        return all;
    }

    [ClientTheory("kcat")]
    [MemberData(nameof(Mechanisms))]
    public async Task Kcat_logs_in_and_gets_back_what_it_sent(string protocol, string mechanism)
    {
        var topic = BrokerFixture.NewTopicName("login");
        string[] options = ["-b", secure.Address(protocol), .. LibrdkafkaOptions(protocol, mechanism, secure.CaFile)];
        (await ClientTool.RunAsync(Kcat, ["-P", "-t", topic, "-p", "0", .. options], "hello\n"u8.ToArray())).OrFail();
        var read = (
            await ClientTool.RunAsync(Kcat, ["-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", .. options], default)).OrFail();
        Assert.Equal("hello\n", Encoding.UTF8.GetString(read.Output));
    }

    [ClientTheory("kafka-python")]
    [MemberData(nameof(Mechanisms))]
    public async Task Kafka_python_logs_in_and_gets_back_what_it_sent(string protocol, string mechanism)
    {
        var tls = protocol == "SASL_SSL" ? $",\"ssl_cafile\":\"{secure.CaFile}\"" : "";
        var login = mechanism == "OAUTHBEARER"
            ? $",\"token\":\"{SecureBroker.UnsecuredToken("alice")}\""
            : ",\"sasl_plain_username\":\"alice\",\"sasl_plain_password\":\"alice-secret\"";
        var result = await RunPythonAsync(secure.Address(protocol), protocol, mechanism, login + tls);
        Assert.Equal("hello\n", Encoding.UTF8.GetString(result.OrFail().Output));
    }

    [ClientTheory("kafka-python")]
    [InlineData("TRUSTEDKEYS", true)]
    [InlineData("FOREIGNKEYS", false)]
    public async Task The_keys_of_an_issuer_come_over_https_from_who_is_trusted(string listener, bool isTrusted)
    {
        if (!isTrusted)
        {
            await Until.TrueAsync("the log says that the keys cannot be read", TimeSpan.FromSeconds(60), () => Task.FromResult(
                secure.Output.Contains($"Cannot read the keys for tokens from {secure.ForeignKeysUrl}", StringComparison.Ordinal)));
        }

        var token = $",\"token\":\"{secure.SignedToken("good")}\"";
        var result = await RunPythonAsync(secure.Address(listener), "SASL_PLAINTEXT", "OAUTHBEARER", token);
        if (isTrusted)
            Assert.Equal("hello\n", Encoding.UTF8.GetString(result.OrFail().Output));
        else
            Assert.NotEqual(0, result.ExitCode);
    }

    [ClientTheory("kafka-python")]
    [InlineData("good", null)]
    [InlineData("expired", "it has expired")]
    [InlineData("forged", "its signature is wrong")]
    [InlineData("foreign", "it is not of the expected issuer")]
    [InlineData("unsigned", "it is not signed")]
    public async Task A_token_is_judged_by_its_signature_and_its_claims(string kind, string? reason)
    {
        var token = $",\"token\":\"{secure.SignedToken(kind)}\"";
        if (reason is null)
        {
            var taken = await RunPythonAsync(secure.Address("TOKENS"), "SASL_PLAINTEXT", "OAUTHBEARER", token);
            Assert.Equal("hello\n", Encoding.UTF8.GetString(taken.OrFail().Output));
            return;
        }

        // This client says nothing once its token is refused, and closes. The log has a bound of lines of this kind, which other tests may
        // have used up: then it is refused again, later.
        await Until.TrueAsync($"the log says that {reason}", TimeSpan.FromSeconds(60), async () =>
        {
            var refused = await RunPythonAsync(secure.Address("TOKENS"), "SASL_PLAINTEXT", "OAUTHBEARER", token);
            Assert.NotEqual(0, refused.ExitCode);
            return secure.Output.Contains($"the token is refused: {reason}", StringComparison.Ordinal);
        });
    }

    [Theory]
    [ClientLogins("kafkajs")]
    [ClientLogins("platformatic")]
    [ClientLogins("confluent-dotnet-2.16")]
    public async Task A_client_logs_in_and_gets_back_what_it_sent(string client, string protocol, string mechanism)
    {
        var driver = ((DriverClient)ClientCatalog.Get(client)).WithLogin(LoginOf(protocol, mechanism));
        var topic = BrokerFixture.NewTopicName("login");
        var records = RecordSets.Varied(driver.Limits);
        await driver.CreateTopicAsync(secure.Address(protocol), topic, RecordSets.VariedPartitions);
        await driver.ProduceAsync(secure.Address(protocol), topic, "none", records);
        RecordSets.AssertRead(records, await driver.ConsumeAsync(secure.Address(protocol), topic), driver.Limits);
    }

    [Theory]
    [ClientData("kafkajs")]
    [ClientData("platformatic")]
    [ClientData("confluent-dotnet-2.16")]
    public async Task A_client_with_a_wrong_password_or_without_trust_is_refused(string client)
    {
        var driver = (DriverClient)ClientCatalog.Get(client);
        foreach (var mechanism in new[] { "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512" })
            await RefusedAsync("SASL_PLAINTEXT", LoginOf("SASL_PLAINTEXT", mechanism) with { Password = "nope" });
        await RefusedAsync("SASL_SSL", LoginOf("SASL_SSL", "PLAIN") with { CaFile = secure.OtherCaFile });
        await RefusedAsync("EXPIRED", LoginOf("SASL_SSL", "PLAIN"));

        async Task RefusedAsync(string listener, ClientLogin login)
        {
            var topic = BrokerFixture.NewTopicName("refused");
            var refused = await driver.WithLogin(login).RunAsync(default, "create-topic", secure.Address(listener), topic, "1");
            Assert.NotEqual(0, refused.ExitCode);
            var listed = (await ClientTool.RunAsync(Kcat, ["-L", "-b", secure.ClearAddress], default)).OrFail();
            Assert.DoesNotContain(topic, Encoding.UTF8.GetString(listed.Output), StringComparison.Ordinal);
        }
    }

    private ClientLogin LoginOf(string protocol, string mechanism) => new(
        protocol, mechanism, "alice", mechanism == "OAUTHBEARER" ? null : "alice-secret",
        mechanism == "OAUTHBEARER" ? SecureBroker.UnsecuredToken("alice") : null, secure.CaFile);

    [ClientTheory("kcat")]
    [InlineData("PLAIN")]
    [InlineData("SCRAM-SHA-256")]
    [InlineData("SCRAM-SHA-512")]
    public async Task A_wrong_password_is_refused_and_the_log_says_why(string mechanism)
    {
        var output = await RefusedAsync(
            "SASL_SSL", [.. LibrdkafkaOptions("SASL_SSL", mechanism, secure.CaFile), "-X", "sasl.password=nope"]);
        Assert.Contains("uthentication fail", output, StringComparison.OrdinalIgnoreCase);
        Assert.Contains($"by {mechanism} failed: user 'alice': ", secure.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("nope", secure.Output, StringComparison.Ordinal);
    }

    [ClientFact("kcat")]
    public async Task A_client_that_trusts_another_authority_does_not_connect()
    {
        var output = await RefusedAsync("SASL_SSL", LibrdkafkaOptions("SASL_SSL", "PLAIN", secure.OtherCaFile));
        Assert.Contains("certificate verify failed", output, StringComparison.OrdinalIgnoreCase);
    }

    [ClientTheory("kcat")]
    [InlineData("alice", null)]
    [InlineData("expired", "is refused")]
    [InlineData("stranger", "no trusted certificate vouches for it")]
    [InlineData(null, "has shown no certificate")]
    public async Task A_client_certificate_is_checked(string? certificate, string? reason)
    {
        string[] key = certificate is null ? [] : [
            "-X", $"ssl.certificate.location={secure.FileOf(certificate)}", "-X", $"ssl.key.location={secure.FileOf(certificate)}"];
        string[] options = ["-X", "security.protocol=SSL", "-X", $"ssl.ca.location={secure.CaFile}", .. key];
        if (reason is null)
        {
            (await ClientTool.RunAsync(Kcat, ["-L", "-b", secure.Address("SSL"), .. options], default)).OrFail();
            return;
        }

        await RefusedAsync("SSL", options);
        await Until.TrueAsync(reason, TimeSpan.FromSeconds(20), () => secure.Output.Contains(reason, StringComparison.Ordinal));
    }

    private static Task<ToolResult> RunPythonAsync(string address, string protocol, string mechanism, string more)
    {
        var topic = BrokerFixture.NewTopicName("login");
        var options = $"{{\"topic\":\"{topic}\",\"bootstrap_servers\":\"{address}\",\"security_protocol\":\"{protocol}\","
            + $"\"sasl_mechanism\":\"{mechanism}\"{more}}}";
        return ClientTool.RunAsync(Python, ["-c", PythonScript, options], default);
    }

    private async Task<string> RefusedAsync(string protocol, string[] options)
    {
        var result = await ClientTool.RunAsync(Kcat, ["-L", "-m", "5", "-b", secure.Address(protocol), .. options], default);
        Assert.NotEqual(0, result.ExitCode);
        return result.Error;
    }

    private static string[] LibrdkafkaOptions(string protocol, string mechanism, string caFile)
    {
        string[] tls = protocol == "SASL_SSL" ? ["-X", $"ssl.ca.location={caFile}"] : [];
        string[] login = mechanism == "OAUTHBEARER"
            ? ["-X", "enable.sasl.oauthbearer.unsecure.jwt=true", "-X", "sasl.oauthbearer.config=principal=alice"]
            : ["-X", "sasl.username=alice", "-X", "sasl.password=alice-secret"];
        return ["-X", $"security.protocol={protocol}", "-X", $"sasl.mechanism={mechanism}", .. tls, .. login];
    }

    /// <summary>A broker with listeners of all protocols, and the certificates of its clients. Owned by the test class.</summary>
    public sealed class SecureBroker : IAsyncLifetime, IDisposable
    {
        private readonly CertificateFolder _certificates = new();
        private readonly Dictionary<string, int> _ports = new()
        {
            ["SASL_PLAINTEXT"] = BrokerProcess.FindFreePort(),
            ["SASL_SSL"] = BrokerProcess.FindFreePort(),
            ["SSL"] = BrokerProcess.FindFreePort(),
            ["TOKENS"] = BrokerProcess.FindFreePort(),
            ["TRUSTEDKEYS"] = BrokerProcess.FindFreePort(),
            ["FOREIGNKEYS"] = BrokerProcess.FindFreePort(),
            ["EXPIRED"] = BrokerProcess.FindFreePort(),
        };

        private RSAParameters _tokenKey;

        private BrokerProcess? _broker;
        private KeyServer? _trustedKeys;
        private KeyServer? _foreignKeys;

        public string CaFile => FileOf("ca");

        public string OtherCaFile => FileOf("other-ca");

        public string Output => _broker!.Output;

        /// <summary>The listener without TLS and logins.</summary>
        public string ClearAddress => string.Create(CultureInfo.InvariantCulture, $"localhost:{_broker!.Port}");

        /// <summary>Where a server that the broker does not trust has the keys.</summary>
        public string ForeignKeysUrl => _foreignKeys!.Url;

        public string FileOf(string name) => _certificates.FileOf(name);

        public string Address(string protocol) => string.Create(CultureInfo.InvariantCulture, $"localhost:{_ports[protocol]}");

        /// <summary>A token that nobody signed.</summary>
        public static string UnsecuredToken(string subject)
        {
            var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
            return $"{Encode("{\"alg\":\"none\"}")}.{Encode($"{{\"sub\":\"{subject}\",\"iat\":{now},\"exp\":{now + 600}}}")}.";
        }

        /// <summary>A token for the listener TOKENS.</summary>
        /// <param name="kind">What is wrong with it; <c>good</c> when nothing is.</param>
        public string SignedToken(string kind)
        {
            using var key = RSA.Create(2048);
            if (kind != "forged")
                key.ImportParameters(_tokenKey);
            var end = DateTimeOffset.UtcNow.ToUnixTimeSeconds() + (kind == "expired" ? -600 : 600);
            var issuer = kind == "foreign" ? "https://evil.test" : "https://issuer.test";
            var header = kind == "unsigned" ? "{\"alg\":\"none\"}" : "{\"alg\":\"RS256\",\"kid\":\"k1\"}";
            var claims = $"{{\"sub\":\"alice\",\"iss\":\"{issuer}\",\"aud\":\"kafka\",\"iat\":{end - 1200},\"exp\":{end}}}";
            var signed = $"{Encode(header)}.{Encode(claims)}";
            var signature = kind == "unsigned" ? []
                : key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            return $"{signed}.{Encode(signature)}";
        }

        public async Task InitializeAsync()
        {
            _certificates.AddAuthority("ca");
            _certificates.AddAuthority("other-ca");
            _certificates.Issue("ca", "server", "CN=localhost");
            _certificates.Issue("ca", "alice", "CN=alice");
            _certificates.Issue("ca", "expired", "CN=alice", isExpired: true);
            _certificates.Issue("other-ca", "stranger", "CN=mallory");
            _certificates.Issue("ca", "expired-server", "CN=localhost", isExpired: true);
            var keys = WriteKeySet();
            _trustedKeys = new KeyServer(FileOf("server"), keys);
            _foreignKeys = new KeyServer(FileOf("stranger"), keys);
            var data = Directory.CreateTempSubdirectory("ottla-system-test-").FullName;
            await FormatAsync(data);
            _broker = await BrokerProcess.StartAsync(Settings(), data, new ProcessConditions(AuthoritiesFile: CaFile));
        }

        public async Task DisposeAsync()
        {
            if (_broker is not null)
                await _broker.DisposeAsync();
            foreach (var server in new[] { _trustedKeys, _foreignKeys })
            {
                if (server is not null)
                    await server.DisposeAsync();
            }
        }

        public void Dispose() => _certificates.Dispose();

        private Dictionary<string, string> Settings()
        {
            const string plain = "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"alice-secret\";";
            const string unsecured =
                "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";
            var own = string.Join(
                ',', _ports.Select(port => string.Create(CultureInfo.InvariantCulture, $"{port.Key}://127.0.0.1:{port.Value}")));
            var settings = new Dictionary<string, string>
            {
                ["listeners"] = $"PLAINTEXT://127.0.0.1:{BrokerProcess.PortPlaceholder},{own}",
                ["advertised.listeners"] = $"PLAINTEXT://localhost:{BrokerProcess.PortPlaceholder},"
                    + own.Replace("127.0.0.1", "localhost", StringComparison.Ordinal),
                ["listener.security.protocol.map"] =
                    "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,TOKENS:SASL_PLAINTEXT,"
                    + "TRUSTEDKEYS:SASL_PLAINTEXT,FOREIGNKEYS:SASL_PLAINTEXT,"
                    + "EXPIRED:SASL_SSL,CONTROLLER:PLAINTEXT",
                ["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
                ["listener.name.ssl.ssl.client.auth"] = "required",
            };
            foreach (var (listener, url) in new[]
            {
                ("tokens", $"file:{Path.Combine(_certificates.Path, "jwks.json")}"),
                ("trustedkeys", _trustedKeys!.Url), ("foreignkeys", _foreignKeys!.Url),
            })
            {
                settings[$"listener.name.{listener}.sasl.enabled.mechanisms"] = "OAUTHBEARER";
                settings[$"listener.name.{listener}.sasl.oauthbearer.jwks.endpoint.url"] = url;
                settings[$"listener.name.{listener}.sasl.oauthbearer.expected.audience"] = "kafka";
                settings[$"listener.name.{listener}.sasl.oauthbearer.expected.issuer"] = "https://issuer.test";
            }

            foreach (var listener in new[] { "sasl_plaintext", "sasl_ssl", "expired" })
            {
                settings[$"listener.name.{listener}.plain.sasl.jaas.config"] = plain;
                settings[$"listener.name.{listener}.oauthbearer.sasl.server.callback.handler.class"] = unsecured;
            }

            foreach (var listener in new[] { "ssl", "sasl_ssl", "expired" })
            {
                settings[$"listener.name.{listener}.ssl.keystore.type"] = "PEM";
                settings[$"listener.name.{listener}.ssl.keystore.location"] =
                    FileOf(listener == "expired" ? "expired-server" : "server");
                settings[$"listener.name.{listener}.ssl.truststore.type"] = "PEM";
                settings[$"listener.name.{listener}.ssl.truststore.location"] = CaFile;
            }

            return settings;
        }

        private static async Task FormatAsync(string data)
        {
            string[] credentials = [.. new[] { "256", "512" }.SelectMany(
                bits => new[] { "--add-scram", $"SCRAM-SHA-{bits}=[name=alice,password=alice-secret]" })];
            (await ClientTool.RunAsync(
                RepositoryPaths.BrokerExecutable,
                ["format", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg", "--set", $"log.dirs={data}", .. credentials])).OrFail();
        }

        private string WriteKeySet()
        {
            using (var key = RSA.Create(2048))
                _tokenKey = key.ExportParameters(includePrivateParameters: true);
            var keys = $"{{\"keys\":[{{\"kty\":\"RSA\",\"kid\":\"k1\",\"n\":\"{Encode(_tokenKey.Modulus!)}\","
                + $"\"e\":\"{Encode(_tokenKey.Exponent!)}\"}}]}}";
            File.WriteAllText(Path.Combine(_certificates.Path, "jwks.json"), keys);
            return keys;
        }

        private static string Encode(string text) => Encode(Encoding.ASCII.GetBytes(text));

        private static string Encode(byte[] bytes) => Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
    }
}
