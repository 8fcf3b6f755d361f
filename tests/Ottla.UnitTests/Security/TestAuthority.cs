using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Ottla.UnitTests.Security;

/// <summary>An authority of a test that issues certificates. Made and disposed by one test.</summary>
internal sealed class TestAuthority : IDisposable
{
    private static readonly DateTimeOffset s_from = new(2020, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset s_to = new(2120, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly X509Certificate2 _certificate;
    private int _serial;

    public TestAuthority(string name = "CN=Test CA")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _certificate = request.CreateSelfSigned(s_from, s_to);
    }

    /// <summary>Its own certificate in PEM.</summary>
    public string CertificatePem => _certificate.ExportCertificatePem();

    /// <summary>Issues a certificate for this machine's addresses.</summary>
    public X509Certificate2 Issue(string subject, string dnsName = "localhost", bool isExpired = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(dnsName);
        names.AddIpAddress(IPAddress.Loopback);
        for (byte host = 1; host <= 3; host++)
            names.AddIpAddress(new IPAddress([10, 0, 0, host]));
        request.CertificateExtensions.Add(names.Build());
        var serial = BitConverter.GetBytes(Interlocked.Increment(ref _serial));
        using var issued = request.Create(_certificate, s_from, isExpired ? s_from.AddYears(1) : s_to.AddYears(-1), serial);
        return issued.CopyWithPrivateKey(key);
    }

    /// <summary>A key with its certificate, as a PEM file has them.</summary>
    public static string PemOf(X509Certificate2 certificate) => $"{KeyPemOf(certificate)}\n{certificate.ExportCertificatePem()}\n";

    /// <summary>A key in PEM.</summary>
    public static string KeyPemOf(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        return key.ExportPkcs8PrivateKeyPem();
    }

    public void Dispose() => _certificate.Dispose();
}
