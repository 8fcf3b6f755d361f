using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Ottla.Network.Security;

/// <summary>What one side of TLS connections uses: its certificate, who it trusts, versions and cipher suites. Immutable.</summary>
/// <remarks>Connections that began with one object keep it; a change of the configuration makes another.</remarks>
public sealed class TlsSettings
{
    private const string ServerPurpose = "1.3.6.1.5.5.7.3.1";
    private const string ClientPurpose = "1.3.6.1.5.5.7.3.2";

    /// <summary>This side's certificate; null for none, which only a client may lack.</summary>
    public CertifiedKey? Key { get; init; }

    /// <summary>The trusted certificates; null for those of the operating system.</summary>
    public X509Certificate2Collection? Trusted { get; init; }

    /// <summary>The versions of TLS.</summary>
    public required SslProtocols Protocols { get; init; }

    /// <summary>The cipher suites; null for the defaults.</summary>
    public CipherSuitesPolicy? CipherSuites { get; init; }

    /// <summary>Whether a server asks its clients for a certificate.</summary>
    public bool AsksForCertificate { get; init; }

    /// <summary>Whether a server refuses clients without a certificate.</summary>
    public bool RequiresCertificate { get; init; }

    /// <summary>Whether a client compares the server's certificate with the host name.</summary>
    public bool ChecksHostName { get; init; } = true;

    /// <summary>The certificate with its chain, as handshakes use it.</summary>
    internal SslStreamCertificateContext? Context => field ??= Key is { } key
        ? SslStreamCertificateContext.Create(key.Leaf, key.Chain, offline: true)
        : null;

    /// <summary>The versions of <c>ssl.enabled.protocols</c>.</summary>
    /// <exception cref="CertificateStoreException">A version is unknown, or too old to be safe.</exception>
    public static SslProtocols ProtocolsOf(IEnumerable<string> names)
    {
        var protocols = SslProtocols.None;
        foreach (var name in names)
        {
            protocols |= name switch
            {
                "TLSv1.2" => SslProtocols.Tls12,
                "TLSv1.3" => SslProtocols.Tls13,
                _ => throw new CertificateStoreException($"ssl.enabled.protocols: {name} is not offered; use TLSv1.2 and TLSv1.3."),
            };
        }

        return protocols != SslProtocols.None
            ? protocols
            : throw new CertificateStoreException("ssl.enabled.protocols is empty; use TLSv1.2 and TLSv1.3.");
    }

    /// <summary>The cipher suites of <c>ssl.cipher.suites</c>; null when none are named.</summary>
    /// <exception cref="CertificateStoreException">A suite is unknown, or this system cannot choose suites.</exception>
    public static CipherSuitesPolicy? CipherSuitesOf(IReadOnlyList<string> names)
    {
        if (names.Count == 0)
            return null;
        var suites = new List<TlsCipherSuite>(names.Count);
        foreach (var name in names)
        {
            if (!Enum.TryParse(name, ignoreCase: false, out TlsCipherSuite suite) || !Enum.IsDefined(suite) || char.IsAsciiDigit(name[0]))
                throw new CertificateStoreException(
                    $"ssl.cipher.suites: {name} is unknown; use names such as TLS_AES_256_GCM_SHA384.");
            suites.Add(suite);
        }

#pragma warning disable CA1416 // the exception says so where it does not work
        try
        {
            return new CipherSuitesPolicy(suites);
        }
        catch (PlatformNotSupportedException)
        {
            throw new CertificateStoreException(
                "ssl.cipher.suites: this operating system chooses cipher suites by itself. Remove the config.");
        }
#pragma warning restore CA1416
    }

    /// <summary>
    /// Why nodes with these settings and nodes with others refuse each other, in either direction; null when they do not, or when one of
    /// them has no key.
    /// </summary>
    public string? RefusalBetween(TlsSettings other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return RefusalOfServer(other) ?? other.RefusalOfServer(this) ?? RefusalOfClient(other) ?? other.RefusalOfClient(this);
    }

    private string? RefusalOfServer(TlsSettings server) => server.Key is { } key ? Refusal(key.Leaf, key.Chain, isClient: false) : null;

    private string? RefusalOfClient(TlsSettings client) =>
        AsksForCertificate && client.Key is { } key ? Refusal(key.Leaf, key.Chain, isClient: true) : null;

    /// <summary>Why a peer's certificate is refused; null when it is good.</summary>
    /// <param name="certificate">The peer's certificate.</param>
    /// <param name="sent">What else the peer sent.</param>
    /// <param name="isClient">Whether the peer is a client.</param>
    internal string? Refusal(X509Certificate2 certificate, X509Certificate2Collection sent, bool isClient)
    {
        using var chain = new X509Chain();
        var policy = chain.ChainPolicy;
        policy.RevocationMode = X509RevocationMode.NoCheck; // as in Kafka
        policy.DisableCertificateDownloads = true; // a peer must not make this node fetch what it names
        policy.ExtraStore.AddRange(sent);
        policy.ApplicationPolicy.Add(new Oid(isClient ? ClientPurpose : ServerPurpose));
        if (Trusted is { } trusted)
        {
            policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            policy.CustomTrustStore.AddRange(trusted);
            // As in Java, what is trusted need not be the end of a chain: it is looked for below.
            policy.VerificationFlags = X509VerificationFlags.AllowUnknownCertificateAuthority;
        }

        var isBuilt = chain.Build(certificate);
        try
        {
            var flaws = chain.ChainStatus.Where(status => status.Status != X509ChainStatusFlags.NoError
                && (Trusted is null
                    || status.Status is not (X509ChainStatusFlags.PartialChain or X509ChainStatusFlags.UntrustedRoot))).ToList();
            if (flaws.Count > 0)
                return string.Join(' ', flaws.Select(flaw => flaw.StatusInformation.Trim()).Distinct(StringComparer.Ordinal));
            if (Trusted is not null && !chain.ChainElements.Any(element => IsTrusted(element.Certificate)))
                return "no trusted certificate vouches for it";
            return isBuilt || Trusted is not null ? null : "its chain cannot be built";
        }
        finally
        {
            foreach (var element in chain.ChainElements)
                element.Certificate.Dispose();
        }
    }

    private bool IsTrusted(X509Certificate2 certificate)
    {
        foreach (var trusted in Trusted!)
        {
            if (certificate.RawDataMemory.Span.SequenceEqual(trusted.RawDataMemory.Span))
                return true;
        }

        return false;
    }
}
