using System.Security.Cryptography;
using System.Text;

namespace Ottla.StateMachines.Metadata;

/// <summary>The keys of a SCRAM credential, made from the salted password (RFC 5802). Pure.</summary>
public static class ScramKeys
{
    /// <summary>The number of SCRAM-SHA-256; the only other mechanism is 2, SCRAM-SHA-512.</summary>
    public const sbyte Sha256 = 1;

    /// <summary>The number of SCRAM-SHA-512.</summary>
    public const sbyte Sha512 = 2;

    /// <summary>The least iterations that Kafka accepts, and the default.</summary>
    public const int IterationsMin = 4096;

    /// <summary>The most iterations that Kafka accepts: a login must not become a denial of service.</summary>
    public const int IterationsMax = 16384;

    /// <summary>
    /// What a broker compares a login with: a client can prove that it has the password, and nobody can log in with this.
    /// </summary>
    public static byte[] StoredKey(sbyte mechanism, byte[] saltedPassword)
    {
        var clientKey = Hmac(mechanism, saltedPassword, "Client Key");
        return mechanism == Sha256 ? SHA256.HashData(clientKey) : SHA512.HashData(clientKey);
    }

    /// <summary>What a broker proves itself with.</summary>
    public static byte[] ServerKey(sbyte mechanism, byte[] saltedPassword) => Hmac(mechanism, saltedPassword, "Server Key");

    private static byte[] Hmac(sbyte mechanism, byte[] key, string text)
    {
        var data = Encoding.ASCII.GetBytes(text);
        return mechanism == Sha256 ? HMACSHA256.HashData(key, data) : HMACSHA512.HashData(key, data);
    }
}
