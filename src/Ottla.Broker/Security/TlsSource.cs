using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.Logging;
using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Network.Security;
using Ottla.Storage.Files;

namespace Ottla.Broker.Security;

/// <summary>
/// The TLS of one listener, for its clients and for this node's connections to the same listener of others. It reads certificates anew when
/// the configuration or the files change; connections that are open go on with what they began with.
/// </summary>
/// <remarks>
/// Any thread may use it. Lives as long as the node. It looks at the files only when a connection begins, and not each time.
/// </remarks>
/// <param name="listener">The listener's name.</param>
/// <param name="isBetweenNodes">Whether other nodes have the same certificates, and must go on to speak with this one.</param>
/// <param name="files">The disks.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">The log.</param>
internal sealed partial class TlsSource(
    string listener, bool isBetweenNodes, IFileSystem files, TimeProvider time, ILogger logger)
{
    /// <summary>How often files are looked at.</summary>
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private SslSettings? _settings;
    private TlsSettings? _current;
    private byte[] _fingerprint = [];
    private byte[] _refusedFingerprint = [];
    private long _checkedAt;

    /// <summary>When the certificate expires that new connections begin with; null while there is none.</summary>
    public DateTime? CertificateExpiry
    {
        get
        {
            lock (_lock)
                return _current?.Key?.Leaf.NotAfter.ToUniversalTime();
        }
    }

    /// <summary>The TLS for a new connection.</summary>
    /// <param name="settings">The listener's configuration. The same object means that nothing has changed.</param>
    /// <exception cref="ConfigException">The first time: the configuration or a file cannot be used.</exception>
    public TlsSettings Current(SslSettings settings)
    {
        lock (_lock)
        {
            if (ReferenceEquals(settings, _settings) && time.GetElapsedTime(_checkedAt) < CheckInterval)
                return _current!;
            _checkedAt = time.GetTimestamp();
            if (_current is null)
            {
                (_current, _fingerprint) = Load(settings);
                _settings = settings;
                return _current;
            }

            Renew(settings);
            _settings = settings;
            return _current;
        }
    }

    /// <summary>Refuses a configuration to which a running node cannot change.</summary>
    /// <exception cref="ConfigException">It cannot be used.</exception>
    public void Check(SslSettings settings)
    {
        var (updated, _) = Load(settings);
        lock (_lock)
        {
            if (_current is not null && Difference(_current, updated, _settings!) is { } difference)
                throw new ConfigException(difference);
        }
    }

    /// <summary>Takes over what has changed, or says in the log why not. Called under the lock.</summary>
    private void Renew(SslSettings settings)
    {
        try
        {
            var (updated, fingerprint) = Load(settings);
            if (fingerprint.AsSpan().SequenceEqual(_fingerprint))
                return;
            if (Difference(_current!, updated, settings) is { } difference)
            {
                LogRefusalOnce(fingerprint, difference);
                return;
            }

            var hasNewKey = updated.Key?.Leaf.Thumbprint != _current!.Key?.Leaf.Thumbprint;
            (_current, _fingerprint) = (updated, fingerprint);
            if (hasNewKey && updated.Key is { } key)
                LogRenewed(logger, listener, key.Leaf.Subject, key.Leaf.NotAfter);
            else
                LogChanged(logger, listener, updated.Trusted?.Count ?? 0);
        }
        catch (ConfigException e)
        {
            LogRefusalOnce(SHA256.HashData(Encoding.UTF8.GetBytes(e.Message)), e.Message);
        }
    }

    private void LogRefusalOnce(byte[] fingerprint, string reason)
    {
        if (_refusedFingerprint.AsSpan().SequenceEqual(fingerprint))
            return;
        _refusedFingerprint = fingerprint;
        LogNotRenewed(logger, listener, reason);
    }

    private (TlsSettings Settings, byte[] Fingerprint) Load(SslSettings settings)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        try
        {
            var tls = new TlsSettings
            {
                Key = settings.KeyStore.IsEmpty ? null : ReadKey(settings.KeyStore, hash),
                Trusted = settings.TrustStore.IsEmpty ? null : ReadTrusted(settings.TrustStore, hash),
                Protocols = TlsSettings.ProtocolsOf(settings.EnabledProtocols),
                CipherSuites = TlsSettings.CipherSuitesOf(settings.CipherSuites),
                AsksForCertificate = settings.ClientAuth != ClientCertificates.None,
                RequiresCertificate = settings.ClientAuth == ClientCertificates.Required,
                ChecksHostName = settings.ChecksHostName,
            };
            hash.AppendData(Encoding.UTF8.GetBytes(
                $"{settings.ClientAuth} {settings.ChecksHostName} {string.Join(',', settings.EnabledProtocols)} "
                    + $"{string.Join(',', settings.CipherSuites)}"));
            return (tls, hash.GetHashAndReset());
        }
        catch (CertificateStoreException e)
        {
            throw new ConfigException($"TLS of the listener {listener}: {e.Message}");
        }
    }

    private CertifiedKey ReadKey(StoreSettings store, IncrementalHash hash)
    {
        if (store.Location is null)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(store.Key + store.Certificates));
            return CertificateStores.ReadPemKey(store.What, store.Key!, store.Certificates!, store.KeyPassword);
        }

        return CertificateStores.ReadKey(
            $"{store.What} ({store.Location})", store.Type, ReadFile(store, hash), store.Password, store.KeyPassword);
    }

    private X509Certificate2Collection ReadTrusted(StoreSettings store, IncrementalHash hash)
    {
        if (store.Location is null)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(store.Certificates!));
            return CertificateStores.ReadPemCertificates(store.What, store.Certificates!);
        }

        return CertificateStores.ReadTrusted($"{store.What} ({store.Location})", store.Type, ReadFile(store, hash), store.Password);
    }

    private byte[] ReadFile(StoreSettings store, IncrementalHash hash)
    {
        byte[]? content;
        try
        {
            content = files.TryReadAllBytes(Path.GetFullPath(store.Location!), CertificateStores.BytesMax);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CertificateStoreException($"{store.What}.location={store.Location} cannot be read: {e.Message}", e);
        }

        hash.AppendData(content ?? []);
        return content ?? throw new CertificateStoreException($"{store.What}.location={store.Location}: there is no such file.");
    }

    /// <summary>
    /// Why a certificate cannot take the place of another while the node runs; null when it can. As in Kafka, another name is more likely a
    /// mistake than a wish, and clients that compare names would lose the node.
    /// </summary>
    private string? Difference(TlsSettings current, TlsSettings updated, SslSettings settings)
    {
        if (current.Key is null != updated.Key is null)
            return "A key store cannot be added to a running listener, or taken from it: restart the node.";
        if (current.Key?.Leaf is not { } before || updated.Key?.Leaf is not { } after)
            return null;
        var (oldSubject, newSubject) = (DistinguishedName.Format(before.SubjectName), DistinguishedName.Format(after.SubjectName));
        if (oldSubject != newSubject && !settings.AllowsSubjectChanges)
        {
            return $"Keystore DistinguishedName does not match: existing={oldSubject}, new={newSubject}. Set "
                + "ssl.allow.dn.changes=true in the "
                + "static configuration to allow that, or restart the node.";
        }

        var (oldNames, newNames) = (AlternativeNames(before), AlternativeNames(after));
        return oldNames.IsSubsetOf(newNames) || settings.AllowsNameChanges
            ? Rift(current, updated)
            : $"Keystore SubjectAltNames do not match: existing={string.Join(", ", oldNames)}, new={string.Join(", ", newNames)}. Set "
                + "ssl.allow.san.changes=true in the static configuration to allow that, or restart the node.";
    }

    /// <summary>
    /// Why nodes that have the new certificates already could not speak with those that have the old ones; null when they can, or when
    /// the old ones are of no use any more.
    /// </summary>
    private string? Rift(TlsSettings current, TlsSettings updated) =>
        isBetweenNodes && current.RefusalBetween(current) is null && current.RefusalBetween(updated) is { } refusal
            ? "Nodes with the new certificates and nodes with the old ones would refuse each other: have all nodes trust both authorities "
                + $"first, then give them new certificates, then take the old authority away. {refusal}"
            : null;

    private static SortedSet<string> AlternativeNames(X509Certificate2 certificate)
    {
        var names = new SortedSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var extension in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
        {
            names.UnionWith(extension.EnumerateDnsNames());
            names.UnionWith(extension.EnumerateIPAddresses().Select(address => address.ToString()));
        }

        return names;
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "New connections of the listener {Listener} use the new certificate of {Subject}, which is valid until "
            + "{NotAfter:yyyy-MM-dd HH:mm:ss}")]
    private static partial void LogRenewed(ILogger logger, string listener, string subject, DateTime notAfter);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "New connections of the listener {Listener} use its changed TLS settings: the same certificate, and {Count} trusted ones")]
    private static partial void LogChanged(ILogger logger, string listener, int count);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "The listener {Listener} goes on with its old certificates, because the new ones cannot be used: {Reason}")]
    private static partial void LogNotRenewed(ILogger logger, string listener, string reason);
}
