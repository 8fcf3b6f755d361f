namespace Ottla.Configuration.Security;

/// <summary>Whether a listener asks clients for a certificate (<c>ssl.client.auth</c>).</summary>
public enum ClientCertificates
{
    /// <summary>It does not ask.</summary>
    None,

    /// <summary>A client may have one, which must then be good.</summary>
    Requested,

    /// <summary>A client must have one.</summary>
    Required,
}

/// <summary>A key store or a trust store, as the configuration names it. Equal if all values are; shows no secret.</summary>
/// <param name="What">How messages call it, with the prefix of its configs: <c>listener.name.ssl.ssl.keystore</c>.</param>
/// <param name="Type">Its type: <c>JKS</c>, <c>PKCS12</c> or <c>PEM</c>.</param>
/// <param name="Location">Its file; null for none.</param>
/// <param name="Password">The password of the file; null for none.</param>
/// <param name="KeyPassword">The password of the private key; null for none.</param>
/// <param name="Key">The private key itself, in PEM; null for none.</param>
/// <param name="Certificates">The certificates themselves, in PEM; null for none.</param>
public sealed record StoreSettings(
    string What, string Type, string? Location, string? Password, string? KeyPassword, string? Key, string? Certificates)
{
    /// <summary>Whether there is nothing at all.</summary>
    public bool IsEmpty => Location is null && Key is null && Certificates is null;

    /// <inheritdoc/>
    public override string ToString() => $"{What} ({Type}, {Location ?? (IsEmpty ? "none" : "in the configuration")})";
}

/// <summary>The configs <c>ssl.*</c> of a listener or of a client. Immutable; shows no secret.</summary>
/// <param name="KeyStore">The certificate of this side.</param>
/// <param name="TrustStore">The certificates of those who are trusted to certify others.</param>
/// <param name="EnabledProtocols"><c>ssl.enabled.protocols</c>.</param>
/// <param name="CipherSuites"><c>ssl.cipher.suites</c>; empty for the defaults.</param>
public sealed record SslSettings(
    StoreSettings KeyStore, StoreSettings TrustStore, IReadOnlyList<string> EnabledProtocols, IReadOnlyList<string> CipherSuites)
{
    /// <summary><c>ssl.client.auth</c>.</summary>
    public ClientCertificates ClientAuth { get; private init; }

    /// <summary><c>ssl.principal.mapping.rules</c>.</summary>
    public string PrincipalMappingRules { get; private init; } = "DEFAULT";

    /// <summary>
    /// Whether the name in a server's certificate is compared with the host's (<c>ssl.endpoint.identification.algorithm</c>).
    /// </summary>
    public bool ChecksHostName { get; private init; } = true;

    /// <summary><c>ssl.allow.dn.changes</c>.</summary>
    public bool AllowsSubjectChanges { get; private init; }

    /// <summary><c>ssl.allow.san.changes</c>.</summary>
    public bool AllowsNameChanges { get; private init; }

    /// <summary>The settings of a listener; also those with which this node connects to the same listener of others.</summary>
    /// <exception cref="ConfigException">Settings contradict each other.</exception>
    public static SslSettings Of(BrokerConfig config, string listener) => Of(
        name => config.Get(listener, name), $"listener.name.{listener.ToLowerInvariant()}.") with
    {
        ClientAuth = config.Get(listener, "ssl.client.auth").AsString switch
        {
            "required" => ClientCertificates.Required,
            "requested" => ClientCertificates.Requested,
            _ => ClientCertificates.None,
        },
        PrincipalMappingRules = config.Get(listener, "ssl.principal.mapping.rules").AsString ?? "DEFAULT",
        AllowsSubjectChanges = config.Get(listener, "ssl.allow.dn.changes").AsBoolean,
        AllowsNameChanges = config.Get(listener, "ssl.allow.san.changes").AsBoolean,
    };

    /// <summary>The settings in a client's properties.</summary>
    /// <exception cref="ConfigException">A value is malformed, or settings contradict each other.</exception>
    public static SslSettings Of(IReadOnlyDictionary<string, string> properties) => Of(
        name =>
            properties.TryGetValue(name, out var text) ? ConfigRegistry.Broker[name].Parse(text) : ConfigRegistry.Broker[name].Default, "");

    /// <inheritdoc/>
    public override string ToString() => $"{KeyStore}, {TrustStore}";

    private static SslSettings Of(Func<string, ConfigValue> get, string prefix)
    {
        var keyStore = new StoreSettings(
            $"{prefix}ssl.keystore", Type("ssl.keystore.type"), get("ssl.keystore.location").AsString, get("ssl.keystore.password").Secret,
            get("ssl.key.password").Secret, get("ssl.keystore.key").Secret, get("ssl.keystore.certificate.chain").Secret);
        var trustStore = new StoreSettings(
            $"{prefix}ssl.truststore", Type("ssl.truststore.type"), get("ssl.truststore.location").AsString,
            get("ssl.truststore.password").Secret, null, null, get("ssl.truststore.certificates").Secret);
        Check(keyStore, "key", keyStore.Key is null == keyStore.Certificates is null);
        Check(trustStore, "certificates", true);
        return new SslSettings(keyStore, trustStore, get("ssl.enabled.protocols").AsList, get("ssl.cipher.suites").AsList)
        {
            ChecksHostName = get("ssl.endpoint.identification.algorithm").AsString is { Length: > 0 },
        };

        string Type(string name) => (get(name).AsString ?? "JKS").ToUpperInvariant() switch
        {
            "JKS" => "JKS",
            "PKCS12" => "PKCS12",
            "PEM" => "PEM",
            var other => throw new ConfigException($"{prefix}{name}={other}: this type is unknown. Use PEM or PKCS12."),
        };
    }

    private static void Check(StoreSettings store, string part, bool isWhole)
    {
        if (store.Location is not null && !(store.Key is null && store.Certificates is null))
            throw new ConfigException($"{store.What}.location and {store.What}.{part} are both set: remove one of them.");
        if (!isWhole)
            throw new ConfigException($"{store.What}.key and {store.What}.certificate.chain go together: set both.");
        if ((store.Key ?? store.Certificates) is not null && store.Type != "PEM")
            throw new ConfigException(
                $"{store.What}.type={store.Type}: certificates in the configuration itself are PEM. Set {store.What}.type=PEM.");
    }
}
