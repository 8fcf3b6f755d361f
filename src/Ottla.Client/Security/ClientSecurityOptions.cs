using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Ottla.Network.Buffers;
using Ottla.Network.Security;
using Ottla.Requests.Security;

namespace Ottla.Client;

/// <summary>TLS and login of a client's connections: <c>security.protocol</c> and what belongs to it.</summary>
public sealed record ClientSecurityOptions
{
    /// <summary>Whether connections are encrypted (<c>SSL</c>, <c>SASL_SSL</c>).</summary>
    public bool UseTls { get; init; } = true;

    /// <summary>Certificates that are trusted; null for those of the operating system (<c>ssl.truststore</c>).</summary>
    public X509Certificate2Collection? TrustedCertificates { get; init; }

    /// <summary>
    /// This client's certificate with its private key, for clusters that ask for one; null for none (<c>ssl.keystore</c>).
    /// </summary>
    public X509Certificate2? ClientCertificate { get; init; }

    /// <summary>The certificates between <see cref="ClientCertificate"/> and its root.</summary>
    public X509Certificate2Collection? ClientCertificateChain { get; init; }

    /// <summary>
    /// Whether a node's certificate has to name the host that was connected to. Off only where something else says who answers
    /// (<c>ssl.endpoint.identification.algorithm</c>).
    /// </summary>
    public bool VerifyHostName { get; init; } = true;

    /// <summary>The login (<c>sasl.mechanism</c>, <c>sasl.jaas.config</c>); null for none.</summary>
    public SaslLogin? Login { get; init; }

    internal void Validate()
    {
        if (ClientCertificate is { HasPrivateKey: false })
            throw new ArgumentException($"{nameof(ClientCertificate)} has no private key.");
        if (!UseTls && (ClientCertificate ?? (object?)TrustedCertificates) is not null)
            throw new ArgumentException($"Certificates are given, but {nameof(UseTls)} is false.");
        if (!UseTls && Login is null)
            throw new ArgumentException("Security has neither TLS nor a login: leave it null for clear text.");
    }

    internal IConnectionSecurity ToConnectionSecurity(string clientId, BufferPool buffers)
    {
        TlsSettings? settings = null;
        if (UseTls)
        {
            settings = new TlsSettings
            {
                Key = ClientCertificate is { } leaf ? new CertifiedKey(leaf, ClientCertificateChain ?? []) : null,
                Trusted = TrustedCertificates,
                Protocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                ChecksHostName = VerifyHostName,
            };
        }

        return new ClientSecurity(settings is null ? null : () => settings, Login is { } login ? login.Begin : null, clientId, buffers);
    }
}
