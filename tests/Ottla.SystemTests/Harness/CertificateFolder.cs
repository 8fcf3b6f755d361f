using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Ottla.SystemTests.Harness;

/// <summary>A folder of certificates in PEM files, and the authorities that issue them. Owned by one test or fixture.</summary>
public sealed class CertificateFolder : IDisposable
{
    private readonly Dictionary<string, X509Certificate2> _authorities = [];

    public string Path { get; } = Directory.CreateTempSubdirectory("ottla-certificates-").FullName;

    /// <summary>The file of a certificate.</summary>
    public string FileOf(string name) => System.IO.Path.Combine(Path, $"{name}.pem");

    /// <summary>Makes an authority, whose certificate is in the file of its name.</summary>
    public void AddAuthority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var now = DateTimeOffset.UtcNow;
        _authorities[name] = request.CreateSelfSigned(now.AddDays(-100), now.AddDays(100));
        Replace(FileOf(name), _authorities[name].ExportCertificatePem());
    }

    /// <summary>Has a file hold the certificates of authorities.</summary>
    public void Bundle(string name, params string[] authorities) =>
        Replace(FileOf(name), string.Join('\n', authorities.Select(each => _authorities[each].ExportCertificatePem())) + "\n");

    /// <summary>Has an authority issue a certificate for localhost; the file has its key too.</summary>
    /// <returns>The certificate's thumbprint.</returns>
    public string Issue(string authority, string name, string subject, bool isExpired = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        var now = DateTimeOffset.UtcNow;
        using var certificate = request.Create(
            _authorities[authority], now.AddDays(-90), now.AddDays(isExpired ? -1 : 90), RandomNumberGenerator.GetBytes(8));
        Replace(FileOf(name), $"{key.ExportPkcs8PrivateKeyPem()}\n{certificate.ExportCertificatePem()}\n");
        return certificate.Thumbprint;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var authority in _authorities.Values)
            authority.Dispose();
        Directory.Delete(Path, recursive: true);
    }

    /// <summary>Replaces a file at once, as an operator does: nobody reads half of it.</summary>
    private static void Replace(string file, string content)
    {
        File.WriteAllText($"{file}.new", content);
        File.Move($"{file}.new", file, overwrite: true);
    }
}
