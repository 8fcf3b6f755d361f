using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Ottla.Network.Security;

/// <summary>A key store or a trust store cannot be used; the message says which, why, and what to do. It has no secret.</summary>
public sealed class CertificateStoreException(string message, Exception? innerException = null) : Exception(message, innerException);

/// <summary>
/// A certificate with its private key, and the certificates that lead to a trusted one. Immutable; lives as long as it is used.
/// </summary>
/// <param name="Leaf">The certificate with the key.</param>
/// <param name="Chain">The others.</param>
public sealed record CertifiedKey(X509Certificate2 Leaf, X509Certificate2Collection Chain);

/// <summary>Reads key stores and trust stores: PEM and PKCS#12. Keeps nothing.</summary>
public static class CertificateStores
{
    /// <summary>No store is larger.</summary>
    public const int BytesMax = 4 * 1024 * 1024;

    private const string CertificateLabel = "CERTIFICATE";
    private const string EncryptedKeyLabel = "ENCRYPTED PRIVATE KEY";

    /// <summary>How files of Java's own formats begin: JKS and JCEKS.</summary>
    private static readonly byte[][] s_javaMagics = [[0xfe, 0xed, 0xfe, 0xed], [0xce, 0xce, 0xce, 0xce]];

    private static ReadOnlySpan<byte> PemBegin => "-----BEGIN "u8;

    /// <summary>Reads a key with its certificates from a file's content.</summary>
    /// <param name="what">What to call the store: <c>ssl.keystore (/etc/ottla/keys.p12)</c>.</param>
    /// <param name="type"><c>PEM</c>, <c>PKCS12</c> or <c>JKS</c>.</param>
    /// <param name="content">The content.</param>
    /// <param name="password">The password of the store; null for none.</param>
    /// <param name="keyPassword">The password of the key; null for none.</param>
    /// <exception cref="CertificateStoreException">It cannot be used.</exception>
    public static CertifiedKey ReadKey(string what, string type, byte[] content, string? password, string? keyPassword)
    {
        if (IsPem(what, type, content))
        {
            var text = Encoding.UTF8.GetString(content);
            return ReadPemKey(what, text, text, keyPassword);
        }

        var all = ReadPkcs12(what, content, password);
        var leaf = all.FirstOrDefault(certificate => certificate.HasPrivateKey)
            ?? throw new CertificateStoreException($"{what} has no private key.");
        return new CertifiedKey(leaf, [.. all.Where(certificate => certificate != leaf)]);
    }

    /// <summary>Reads a key with its certificates from PEM texts.</summary>
    /// <param name="what">What to call the store.</param>
    /// <param name="key">The text with the key.</param>
    /// <param name="certificates">The text with the certificates, the key's own first.</param>
    /// <param name="keyPassword">The password of the key; null for none.</param>
    /// <exception cref="CertificateStoreException">It cannot be used.</exception>
    public static CertifiedKey ReadPemKey(string what, string key, string certificates, string? keyPassword)
    {
        var all = ReadPemCertificates(what, certificates);
        var isEncrypted = key.Contains($"-----BEGIN {EncryptedKeyLabel}-----", StringComparison.Ordinal);
        if (!isEncrypted && !key.Contains(" PRIVATE KEY-----", StringComparison.Ordinal)
            && !key.Contains("-----BEGIN PRIVATE KEY-----", StringComparison.Ordinal))
            throw new CertificateStoreException($"{what} has no private key.");
        if (isEncrypted && keyPassword is null)
            throw new CertificateStoreException($"The private key of {what} is encrypted: set ssl.key.password.");
        if (!isEncrypted && keyPassword is not null)
            throw new CertificateStoreException($"The private key of {what} is not encrypted: remove ssl.key.password.");
        try
        {
            var first = all[0].ExportCertificatePem();
            var leaf = isEncrypted ? X509Certificate2.CreateFromEncryptedPem(first, key, keyPassword)
                : X509Certificate2.CreateFromPem(first, key);
            all.RemoveAt(0);
            return new CertifiedKey(leaf, all);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new CertificateStoreException(
                $"The private key of {what} cannot be read, or does not belong to the first certificate"
                    + (isEncrypted ? ", or ssl.key.password is wrong." : "."), e);
        }
    }

    /// <summary>Reads trusted certificates from a file's content.</summary>
    /// <exception cref="CertificateStoreException">It cannot be used.</exception>
    public static X509Certificate2Collection ReadTrusted(string what, string type, byte[] content, string? password)
    {
        var certificates = IsPem(what, type, content)
            ? ReadPemCertificates(what, Encoding.UTF8.GetString(content))
            : ReadPkcs12(what, content, password);
        return certificates.Count > 0 ? certificates : throw new CertificateStoreException($"{what} has no certificates.");
    }

    /// <summary>Reads certificates from a PEM text.</summary>
    /// <exception cref="CertificateStoreException">It cannot be used.</exception>
    public static X509Certificate2Collection ReadPemCertificates(string what, string text)
    {
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPem(text);
        }
        catch (CryptographicException e)
        {
            throw new CertificateStoreException($"A certificate of {what} cannot be read: {e.Message}", e);
        }

        return certificates.Count > 0
            ? certificates
            : throw new CertificateStoreException($"{what} has no certificates: '-----BEGIN {CertificateLabel}-----' is not in it.");
    }

    private static bool IsPem(string what, string type, byte[] content)
    {
        if (Array.Exists(s_javaMagics, magic => content.AsSpan().StartsWith(magic)))
        {
            throw new CertificateStoreException(
                $"{what} is a Java key store (JKS), which only Java can read. Convert it with 'keytool -importkeystore -srckeystore "
                    + $"OLD.jks "
                    + "-destkeystore NEW.p12 -deststoretype PKCS12', and set the location to NEW.p12 and the type to PKCS12.");
        }

        var isPem = content.AsSpan().IndexOf(PemBegin) >= 0;
        if (isPem != (type == "PEM"))
        {
            throw new CertificateStoreException(isPem
                ? $"{what} is a PEM file, and its type is {type}: set the type to PEM."
                : $"{what} is not a PEM file, and its type is PEM: set the type to PKCS12, or convert the file.");
        }

        return isPem;
    }

    private static X509Certificate2Collection ReadPkcs12(string what, byte[] content, string? password)
    {
        try
        {
            return X509CertificateLoader.LoadPkcs12Collection(content, password, X509KeyStorageFlags.EphemeralKeySet);
        }
        catch (CryptographicException e)
        {
            throw new CertificateStoreException($"{what} cannot be read as PKCS#12, or its password is wrong: {e.Message}", e);
        }
    }
}
