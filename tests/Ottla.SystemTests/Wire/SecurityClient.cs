using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Wire;

/// <summary>What an operator asks of a cluster to change secrets and certificates, by hand.</summary>
public static class SecurityClient
{
    /// <summary>A broker as a resource of configs.</summary>
    public const sbyte BrokerResource = 4;

    /// <summary>A topic as a resource of configs.</summary>
    public const sbyte TopicResource = 2;

    private const short IncrementalAlterConfigsKey = 44;
    private const short AlterUserScramCredentialsKey = 51;
    private const int Iterations = 4096;
    private const sbyte Sha512 = 2;

    /// <summary>Sets the password of a user for SCRAM-SHA-512.</summary>
    /// <returns>Kafka's error code.</returns>
    public static async Task<short> AlterPasswordAsync(RawConnection connection, string user, string password)
    {
        var salt = RandomNumberGenerator.GetBytes(24);
        var salted = Rfc2898DeriveBytes.Pbkdf2(
            Encoding.UTF8.GetBytes(password), salt, Iterations, HashAlgorithmName.SHA512, SHA512.HashSizeInBytes);
        var body = new WireWriter().CompactLength(0).CompactLength(1)
            .CompactString(user).Int8(Sha512).Int32(Iterations).CompactLength(salt.Length).Raw(salt)
            .CompactLength(salted.Length).Raw(salted).NoTags();
        var response = await connection.RequestFlexibleAsync(AlterUserScramCredentialsKey, 0, body);
        response.Int32(); // throttle time
        return response.CompactArray(reader =>
        {
            reader.CompactString(); // user
            var error = reader.Int16();
            reader.CompactString(); // message
            return error;
        }).Single();
    }

    /// <summary>Sets a config of a topic or a broker, or removes it when the value is null.</summary>
    /// <returns>Kafka's error code and message.</returns>
    public static async Task<(short Error, string? Message)> AlterConfigAsync(
        RawConnection connection, sbyte resourceType, string resource, string name, string? value)
    {
        var body = new WireWriter().CompactLength(1).Int8(resourceType).CompactString(resource)
            .CompactLength(1).CompactString(name).Int8(value is null ? 1 : 0).CompactString(value).NoTags().NoTags().Int8(0);
        var response = await connection.RequestFlexibleAsync(IncrementalAlterConfigsKey, 1, body);
        response.Int32(); // throttle time
        return response.CompactArray(reader =>
        {
            var answer = (reader.Int16(), reader.CompactString());
            reader.Int8(); // type
            reader.CompactString(); // name
            return answer;
        }).Single();
    }

    /// <summary>The thumbprint of the certificate that a listener shows; null when it does not answer.</summary>
    public static async Task<string?> TryThumbprintAsync(int port)
    {
        try
        {
            using var deadline = new CancellationTokenSource(RawConnection.OperationLimit);
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", port, deadline.Token);
            await using var tls = new SslStream(client.GetStream());
            string? thumbprint = null;
            await tls.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = "localhost",
                    AllowTlsResume = false,
                    RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                        (thumbprint = (certificate as X509Certificate2)?.Thumbprint) is not null,
                },
                deadline.Token);
            return thumbprint;
        }
        catch (Exception exception) when (ClusterClient.IsNoAnswer(exception))
        {
            return null;
        }
    }
}
