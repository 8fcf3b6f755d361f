using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;

namespace Ottla.Client.PropertyNames;

/// <summary>The properties of TLS and logins, which make sense together only.</summary>
internal sealed partial class SecurityProperties
{
    /// <summary>What a line for Java may name; nothing is loaded by it.</summary>
    private static readonly string[] s_loginModules =
    [
        "org.apache.kafka.common.security.plain.PlainLoginModule",
        "org.apache.kafka.common.security.scram.ScramLoginModule",
    ];

    private readonly Dictionary<string, string> _values = [];

    /// <summary>Takes a value.</summary>
    public void Set(string name, string value) => _values[name] = value;

    /// <summary>The options; null for clear text without a login.</summary>
    /// <exception cref="ArgumentException">The values do not go together, or a certificate cannot be read.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public ClientSecurityOptions? Build(PropertyTarget target)
    {
        var protocol = Value("security.protocol")?.Trim().ToUpperInvariant() ?? "PLAINTEXT";
        if (protocol is not ("PLAINTEXT" or "SSL" or "SASL_PLAINTEXT" or "SASL_SSL"))
            throw new ArgumentException($"security.protocol = {protocol}: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL is expected.");
        var usesTls = protocol is "SSL" or "SASL_SSL";
        var usesLogin = protocol is "SASL_PLAINTEXT" or "SASL_SSL";
        foreach (var name in _values.Keys.Where(
            name => (name.StartsWith("ssl.", StringComparison.Ordinal) && !usesTls)
                || (name.StartsWith("sasl.", StringComparison.Ordinal) && !usesLogin)))
            target.Ignore(name, $"security.protocol is {protocol}");
        if (!usesTls && !usesLogin)
            return null;
        var options = new ClientSecurityOptions { UseTls = usesTls, Login = usesLogin ? Login() : null };
        return usesTls ? WithCertificates(options) : options;
    }

    private string? Value(params string[] names)
    {
        foreach (var name in names)
        {
            if (_values.TryGetValue(name, out var value))
                return value;
        }

        return null;
    }

    private SaslLogin Login()
    {
        var mechanism = (Value("sasl.mechanism", "sasl.mechanisms") ?? "GSSAPI").Trim().ToUpperInvariant();
        var jaas = Value("sasl.jaas.config") ?? "";
        if (jaas.Length > 0 && !s_loginModules.Contains(jaas.TrimStart().Split([' ', '\t', '\r', '\n', ';'], 2)[0]))
            throw new ArgumentException("sasl.jaas.config: the login module must be Kafka's PlainLoginModule or ScramLoginModule.");
        var user = Value("sasl.username") ?? JaasOption(jaas, "username");
        var password = Value("sasl.password") ?? JaasOption(jaas, "password");
        if (mechanism is not ("PLAIN" or "SCRAM-SHA-256" or "SCRAM-SHA-512"))
        {
            throw new ArgumentException(
                $"sasl.mechanism = {mechanism}: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 is expected. OAUTHBEARER needs a function that has "
                    + "the token: set ClientSecurityOptions.Login to SaslLogin.OAuthBearer.");
        }

        if (user is null || password is null)
            throw new ArgumentException($"{mechanism} needs sasl.username and sasl.password, or sasl.jaas.config with both.");
        var isToken = string.Equals(JaasOption(jaas, "tokenauth"), "true", StringComparison.OrdinalIgnoreCase);
        return isToken ? SaslLogin.DelegationToken(user, password)
            : mechanism == "PLAIN" ? SaslLogin.Plain(user, password)
            : mechanism == "SCRAM-SHA-256" ? SaslLogin.ScramSha256(user, password)
            : SaslLogin.ScramSha512(user, password);
    }

    private ClientSecurityOptions WithCertificates(ClientSecurityOptions options)
    {
        try
        {
            var (leaf, chain) = OwnCertificate();
            return options with
            {
                TrustedCertificates = Trusted(),
                ClientCertificate = leaf,
                ClientCertificateChain = chain,
                VerifyHostName = Value("ssl.endpoint.identification.algorithm")?.Trim().ToUpperInvariant() is null or "HTTPS",
            };
        }
        catch (CryptographicException e)
        {
            throw new ArgumentException($"A certificate that the ssl properties name cannot be read: {e.Message}", e);
        }
    }

    private X509Certificate2Collection? Trusted()
    {
        var trusted = new X509Certificate2Collection();
        if (Value("ssl.ca.pem", "ssl.truststore.certificates") is { } pem)
            trusted.ImportFromPem(pem);
        else if (Value("ssl.ca.location") is { } file)
            trusted.ImportFromPemFile(file);
        else if (Value("ssl.truststore.location") is not { } store)
            return null;
        else if (IsPem("ssl.truststore.type"))
            trusted.ImportFromPemFile(store);
        else
            trusted = X509CertificateLoader.LoadPkcs12CollectionFromFile(store, Value("ssl.truststore.password"));
        return trusted;
    }

    private (X509Certificate2? Leaf, X509Certificate2Collection? Chain) OwnCertificate()
    {
        var password = Value("ssl.key.password");
        var certificate = Value("ssl.certificate.pem", "ssl.keystore.certificate.chain")
            ?? (Value("ssl.certificate.location") is { } file ? ReadFile(file) : null);
        var key = Value("ssl.key.pem", "ssl.keystore.key") ?? (Value("ssl.key.location") is { } keyFile ? ReadFile(keyFile) : null);
        if (Value("ssl.keystore.location") is { } store)
        {
            if (!IsPem("ssl.keystore.type"))
            {
                var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(store, Value("ssl.keystore.password") ?? password);
                var own = all.FirstOrDefault(each => each.HasPrivateKey)
                    ?? throw new ArgumentException($"{store} has no certificate with a private key.");
                return (own, [.. all.Where(each => each != own)]);
            }

            certificate = key = ReadFile(store);
        }

        if (certificate is null)
            return (null, null);
        if (key is null)
            throw new ArgumentException("There is a certificate, and no key: ssl.key.location or ssl.key.pem is missing.");
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(certificate);
        var leaf = password is null
            ? X509Certificate2.CreateFromPem(certificate, key)
            : X509Certificate2.CreateFromEncryptedPem(certificate, key, password);
        return (leaf, [.. chain.Skip(1)]);
    }

#pragma warning disable RS0030 // The files are the application's, and no part of what a simulation has.
    private static string ReadFile(string path) => File.ReadAllText(path);
#pragma warning restore RS0030

    private bool IsPem(string typeName) => string.Equals(Value(typeName), "PEM", StringComparison.OrdinalIgnoreCase);

    private static string? JaasOption(string jaas, string name)
    {
        foreach (Match match in JaasOptions().Matches(jaas))
        {
            if (match.Groups[1].Value == name)
                return match.Groups[2].Success
                    ? match.Groups[2].Value.Replace("\\\"", "\"", StringComparison.Ordinal)
                    : match.Groups[3].Value;
        }

        return null;
    }

    [GeneratedRegex("""(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))""", RegexOptions.NonBacktracking)]
    private static partial Regex JaasOptions();
}

/// <summary>The names of the properties that <see cref="SecurityProperties"/> reads.</summary>
internal static partial class KnownProperties
{
    private const string SecurityNames =
        "security.protocol sasl.mechanism sasl.mechanisms sasl.username sasl.password sasl.jaas.config ssl.ca.pem ssl.ca.location "
            + "ssl.truststore.certificates ssl.truststore.location ssl.truststore.type ssl.truststore.password ssl.certificate.pem "
            + "ssl.certificate.location ssl.key.pem ssl.key.location ssl.key.password ssl.keystore.certificate.chain ssl.keystore.key "
            + "ssl.keystore.location ssl.keystore.type ssl.keystore.password ssl.endpoint.identification.algorithm";

    private static IEnumerable<(string Names, Action<PropertyTarget, PropertyValue> Read)> Securities() =>
    [
        (SecurityNames, (t, v) => t.Security.Set(v.Name, v.Text)),
        ("enable.ssl.certificate.verification", (t, v) =>
        {
            if (!v.Bool)
                t.Ignore(v.Name, "certificates are always verified");
        }),
    ];
}
