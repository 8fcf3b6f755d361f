using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Ottla.Client;
using Ottla.Protocol;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Security;

namespace Ottla.UnitTests.Client;

/// <summary>
/// A node with listeners of all protocols and an authorizer, and clients that log in; in memory and on one clock. Alice may do everything
/// with the topics and groups whose names begin with hers, and bob may do nothing. Made and disposed by one test.
/// </summary>
internal sealed class SecureClientBed : IAsyncDisposable
{
    public const string Password = "alice-secret";

    private const string Plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
    private const string UnsecuredTokens =
        "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";

    private static readonly Dictionary<string, int> s_ports = new()
    {
        ["SASL_SSL"] = 9092,
        ["SASL_PLAINTEXT"] = 9094,
        ["SSL"] = 9096,
        ["EXPIRED"] = 9097,
    };

    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _stranger = new("CN=Another CA");
    private readonly List<IAsyncDisposable> _opened = [];
    private TestNode? _node;

    public TestNode Node => _node!;

    /// <summary>A client without a login, which may do everything.</summary>
    public OttlaClient Root { get; private set; } = null!;

    public WarningLoggers Log { get; } = new();

    /// <summary>Starts the node, and makes its users.</summary>
    public static async Task<SecureClientBed> StartAsync(params (string Name, string Value)[] configs)
    {
        var bed = new SecureClientBed();
        bed._node = await TestNode.StartAsync(bed.Log, [.. TransactionCalls.FewPartitions, .. bed.Configs(), .. configs]);
        bed._node.Network.NameHost("localhost", IPAddress.Loopback);
        bed.Root = bed.Open(9095, null);
        var admin = bed.Root.CreateAdmin();
        foreach (var mechanism in new[] { ScramType.Sha256, ScramType.Sha512 })
        {
            (await bed.RunAsync(admin.AlterUserScramCredentialsAsync([new ScramUpsertion("alice", mechanism, Password)])))
                .ThrowIfFailed();
        }

        (await bed.RunAsync(admin.CreateAclsAsync(bed.AclsOfAlice()))).ThrowIfFailed();
        return bed;
    }

    /// <summary>What alice may do.</summary>
    public AclBinding[] AclsOfAlice() =>
    [
        new(ResourceType.Topic, "alice-", "User:alice", AclBinding.AllOperations, PatternType: AclPatternType.Prefixed),
        new(ResourceType.Group, "alice-", "User:alice", AclBinding.AllOperations, PatternType: AclPatternType.Prefixed),
    ];

    /// <summary>Opens a client of a listener.</summary>
    /// <param name="listener">Its name.</param>
    /// <param name="login">The login; null for none.</param>
    /// <param name="certificate">The client's certificate; null for none.</param>
    /// <param name="trustsAnother">Whether it trusts an authority that did not issue the node's certificate.</param>
    public OttlaClient Open(string listener, SaslLogin? login, X509Certificate2? certificate = null, bool trustsAnother = false)
    {
        var useTls = listener != "SASL_PLAINTEXT";
        var trusted = X509Certificate2.CreateFromPem((trustsAnother ? _stranger : _authority).CertificatePem);
        return Open(s_ports[listener], new ClientSecurityOptions
        {
            UseTls = useTls,
            TrustedCertificates = useTls ? [trusted] : null,
            ClientCertificate = certificate,
            Login = login,
        });
    }

    /// <summary>A certificate of alice.</summary>
    public X509Certificate2 Certificate(bool isExpired = false) => _authority.Issue("CN=alice", isExpired: isExpired);

    /// <summary>A certificate that says to be of alice, of an authority that the node does not trust.</summary>
    public X509Certificate2 ForeignCertificate() => _stranger.Issue("CN=alice");

    /// <summary>A token of alice that nobody signed, as the node takes them here.</summary>
    public string Token(int seconds)
    {
        var now = Node.Clock.NowMs / 1000;
        var claims = string.Create(CultureInfo.InvariantCulture, $"{{\"sub\":\"alice\",\"iat\":{now - 600},\"exp\":{now + seconds}}}");
        return $"{Encode("{\"alg\":\"none\"}")}.{Encode(claims)}.";

        static string Encode(string text) => System.Buffers.Text.Base64Url.EncodeToString(Encoding.ASCII.GetBytes(text));
    }

    public async Task CreateTopicAsync(string name) => (await RunAsync(
        Root.CreateAdmin().CreateTopicsAsync([new NewTopic(name) { Partitions = 1, ReplicationFactor = 1 }]))).ThrowIfFailed();

    /// <summary>Moves the clock until a task is done, and returns its result.</summary>
    public async Task<T> RunAsync<T>(Task<T> task, long stepMs = 1)
    {
        await Node.Clock.AdvanceUntilAsync(task, stepMs);
        return await task;
    }

    /// <summary>Moves the clock until a task is done.</summary>
    public Task RunAsync(Task task) => Node.Clock.AdvanceUntilAsync(task, stepMs: 1);

    /// <summary>Keeps what has to be disposed of before the node.</summary>
    public T Keep<T>(T opened)
        where T : IAsyncDisposable
    {
        _opened.Add(opened);
        return opened;
    }

    public async ValueTask DisposeAsync()
    {
        _opened.Reverse();
        foreach (var each in _opened)
            await Node.Clock.AdvanceUntilAsync(each.DisposeAsync().AsTask(), stepMs: 100);
        if (_node is not null)
            await _node.DisposeAsync();
        _authority.Dispose();
        _stranger.Dispose();
        Log.Dispose();
    }

    private OttlaClient Open(int port, ClientSecurityOptions? security) => Keep(new OttlaClient(new OttlaClientOptions
    {
        BootstrapServers = string.Create(CultureInfo.InvariantCulture, $"localhost:{port}"),
        TimeProvider = Node.Clock,
        Transport = Node.Network,
        Seed = 42,
        Security = security,
    }));

    private IEnumerable<(string Name, string Value)> Configs()
    {
        var own = s_ports.Select(port => string.Create(CultureInfo.InvariantCulture, $"{port.Key}://localhost:{port.Value}")).ToArray();
        yield return ("listeners", string.Join(',', own).Replace("localhost", "127.0.0.1", StringComparison.Ordinal)
            + ",INTERNAL://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093");
        yield return ("advertised.listeners", string.Join(',', own) + ",INTERNAL://localhost:9095");
        yield return ("listener.security.protocol.map",
            "SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,EXPIRED:SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT");
        yield return ("inter.broker.listener.name", "INTERNAL");
        yield return ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER");
        yield return ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
        yield return ("super.users", "User:ANONYMOUS");
        yield return ("delegation.token.secret.key", "token-secret");
        yield return ("listener.name.ssl.ssl.client.auth", "required");
        yield return ("listener.name.ssl.ssl.principal.mapping.rules", "RULE:^CN=(.*)$/$1/");
        foreach (var listener in new[] { "sasl_ssl", "sasl_plaintext" })
        {
            yield return ($"listener.name.{listener}.plain.sasl.jaas.config",
                $"{Plain} required user_alice=\"{Password}\" user_bob=\"bob-secret\";");
            yield return ($"listener.name.{listener}.oauthbearer.sasl.server.callback.handler.class", UnsecuredTokens);
        }

        foreach (var listener in new[] { "sasl_ssl", "ssl", "expired" })
        {
            var server = _authority.Issue("CN=server", isExpired: listener == "expired");
            yield return ($"listener.name.{listener}.ssl.keystore.type", "PEM");
            yield return ($"listener.name.{listener}.ssl.keystore.key", TestAuthority.KeyPemOf(server));
            yield return ($"listener.name.{listener}.ssl.keystore.certificate.chain", server.ExportCertificatePem());
            yield return ($"listener.name.{listener}.ssl.truststore.type", "PEM");
            yield return ($"listener.name.{listener}.ssl.truststore.certificates", _authority.CertificatePem);
        }
    }
}
