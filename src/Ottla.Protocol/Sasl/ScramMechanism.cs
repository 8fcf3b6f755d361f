using System.Security.Cryptography;
using System.Text;

namespace Ottla.Protocol.Sasl;

/// <summary>One of SCRAM's mechanisms (RFC 5802, RFC 7677) with its functions. Immutable; there is one object for each.</summary>
public sealed class ScramMechanism
{
    /// <summary>The fewest iterations of a password's hash, and the default, as in Kafka.</summary>
    public const int IterationsMin = 4096;

    /// <summary>The most, as in Kafka: a login must not become a denial of service.</summary>
    public const int IterationsMax = 16384;

    private readonly HashAlgorithmName _hash;

    private ScramMechanism(string name, sbyte number, HashAlgorithmName hash, int hashBytes)
    {
        Name = name;
        Number = number;
        _hash = hash;
        HashBytes = hashBytes;
    }

    /// <summary>SCRAM-SHA-256.</summary>
    public static ScramMechanism Sha256 { get; } = new("SCRAM-SHA-256", 1, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);

    /// <summary>SCRAM-SHA-512.</summary>
    public static ScramMechanism Sha512 { get; } = new("SCRAM-SHA-512", 2, HashAlgorithmName.SHA512, SHA512.HashSizeInBytes);

    /// <summary>The name in SaslHandshake.</summary>
    public string Name { get; }

    /// <summary>The number in requests and in the metadata.</summary>
    public sbyte Number { get; }

    /// <summary>The length of a hash, in bytes.</summary>
    public int HashBytes { get; }

    /// <summary>The mechanism of a name; null when the name is not one of SCRAM's.</summary>
    public static ScramMechanism? Find(string name) => name == Sha256.Name ? Sha256 : name == Sha512.Name ? Sha512 : null;

    /// <summary>The mechanism of a number; null when the number is not one of SCRAM's.</summary>
    public static ScramMechanism? Find(sbyte number) => number == Sha256.Number ? Sha256 : number == Sha512.Number ? Sha512 : null;

    /// <summary>The hash of a message.</summary>
    public byte[] Hash(ReadOnlySpan<byte> message) => CryptographicOperations.HashData(_hash, message);

    /// <summary>The keyed hash of a message.</summary>
    public byte[] Hmac(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message) => CryptographicOperations.HmacData(_hash, key, message);

    /// <summary>The salted password: PBKDF2. It takes about a millisecond.</summary>
    public byte[] SaltedPassword(string password, ReadOnlySpan<byte> salt, int iterations) =>
        Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, iterations, _hash, HashBytes);

    /// <summary>The key that a client proves to have.</summary>
    public byte[] ClientKey(ReadOnlySpan<byte> saltedPassword) => Hmac(saltedPassword, "Client Key"u8);

    /// <summary>
    /// What a server keeps of a password: with it the server can check a client's proof, and nobody can log in.
    /// </summary>
    public byte[] StoredKey(ReadOnlySpan<byte> saltedPassword) => Hash(ClientKey(saltedPassword));

    /// <summary>The key that a server proves to have.</summary>
    public byte[] ServerKey(ReadOnlySpan<byte> saltedPassword) => Hmac(saltedPassword, "Server Key"u8);

    /// <summary>The client's key, hidden or found again by the signature of the exchange.</summary>
    public byte[] Combine(ReadOnlySpan<byte> keyOrProof, ReadOnlySpan<byte> signature)
    {
        var combined = new byte[HashBytes];
        for (var i = 0; i < combined.Length; i++)
            combined[i] = (byte)(keyOrProof[i] ^ signature[i]);
        return combined;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
