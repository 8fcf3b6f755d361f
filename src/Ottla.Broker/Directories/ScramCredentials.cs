using System.Security.Cryptography;
using System.Text;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Directories;

/// <summary>
/// Makes SCRAM credentials (RFC 5802, RFC 7677) from passwords, and reads the arguments of <c>format --add-scram</c> (KIP-900).
/// </summary>
public static class ScramCredentials
{
    /// <summary>The least iterations that Kafka accepts, and the default.</summary>
    public const int IterationsMin = ScramKeys.IterationsMin;

    /// <summary>The most iterations that Kafka accepts: a login must not become a denial of service.</summary>
    public const int IterationsMax = ScramKeys.IterationsMax;

    private const int SaltLength = 26;

    /// <summary>The number of a mechanism; null when it is not one of SCRAM's.</summary>
    public static sbyte? MechanismOf(string name) => name switch
    {
        "SCRAM-SHA-256" => 1,
        "SCRAM-SHA-512" => 2,
        _ => null,
    };

    /// <summary>The salted password: PBKDF2 of the password.</summary>
    public static byte[] SaltedPassword(sbyte mechanism, string password, ReadOnlySpan<byte> salt, int iterations) =>
        Rfc2898DeriveBytes.Pbkdf2(
            Encoding.UTF8.GetBytes(password), salt, iterations, HashOf(mechanism), mechanism == 1 ? SHA256.HashSizeInBytes
            : SHA512.HashSizeInBytes);

    /// <summary>The record of a credential.</summary>
    public static UserScramCredentialRecord Create(string user, sbyte mechanism, byte[] salt, byte[] saltedPassword, int iterations) =>
        new()
        {
            Name = user,
            Mechanism = mechanism,
            Salt = salt,
            StoredKey = ScramKeys.StoredKey(mechanism, saltedPassword),
            ServerKey = ScramKeys.ServerKey(mechanism, saltedPassword),
            Iterations = iterations,
        };

    /// <summary>Reads an argument such as <c>SCRAM-SHA-256=[name=alice,password=secret,iterations=8192]</c>.</summary>
    /// <exception cref="FormatterException">The argument is malformed.</exception>
    public static UserScramCredentialRecord Parse(string argument)
    {
        var text = argument.Trim();
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
            throw new FormatterException($"Failed to find equals sign in SCRAM argument '{text}'");
        var mechanismName = text[..equals];
        var mechanism = MechanismOf(mechanismName)
            ?? throw new FormatterException($"The add-scram mechanism {mechanismName} is not supported.");
        var config = text[(equals + 1)..];
        if (!config.StartsWith('['))
            throw new FormatterException("Expected configuration string to start with [");
        if (!config.EndsWith(']'))
            throw new FormatterException("Expected configuration string to end with ]");
        return Parse(mechanism, mechanismName, Components(config[1..^1]));
    }

    private static UserScramCredentialRecord Parse(sbyte mechanism, string mechanismName, SortedDictionary<string, string> components)
    {
        var name = Take("name") ?? throw new FormatterException("You must supply 'name' to add-scram");
        var saltText = Take("salt");
        var iterationsText = Take("iterations");
        var password = Take("password");
        var saltedText = Take("saltedpassword");
        if (password is null && saltedText is null)
            throw new FormatterException("You must supply one of 'password' or 'saltedpassword' to add-scram");
        if (password is null && saltText is null)
            throw new FormatterException("You must supply 'salt' with 'saltedpassword' to add-scram");
        if (components.Count > 0)
            throw new FormatterException($"Unknown SCRAM configurations: {string.Join(", ", components.Keys)}");

        var iterations = IterationsMin;
        if (iterationsText is not null
            && !int.TryParse(
                iterationsText, System.Globalization.NumberStyles.AllowLeadingSign, System.Globalization.CultureInfo.InvariantCulture,
                out iterations))
            throw new FormatterException($"Failed to parse iterations count: {iterationsText}");
        if (iterations < IterationsMin)
            throw new FormatterException($"The 'iterations' value must be >= {IterationsMin} for add-scram using {mechanismName}");
        if (iterations > IterationsMax)
            throw new FormatterException($"The 'iterations' value must be <= {IterationsMax} for add-scram using {mechanismName}");
        var salt = saltText is null
            ? Encoding.ASCII.GetBytes(RandomNumberGenerator.GetString("0123456789abcdefghijklmnopqrstuvwxyz", SaltLength))
            : Decode(saltText, "salt");
        var salted = password is null ? Decode(saltedText!, "saltedPassword") : SaltedPassword(mechanism, password, salt, iterations);
        return Create(name, mechanism, salt, salted, iterations);

        string? Take(string key) => components.Remove(key, out var value) ? value : null;
    }

    private static SortedDictionary<string, string> Components(string config)
    {
        var components = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var component in config.Split(','))
        {
            var equals = component.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0)
                throw new FormatterException($"No equals sign found in SCRAM component: {component}");
            var value = component[(equals + 1)..];
            components[component[..equals]] = value.Length >= 2 && value[0] == '"' && value[^1] == '"' ? value[1..^1] : value;
        }

        return components;
    }

    private static byte[] Decode(string base64, string what)
    {
        try
        {
            return Convert.FromBase64String(base64);
        }
        catch (FormatException)
        {
            throw new FormatterException($"Failed to decode given {what}.");
        }
    }

    private static HashAlgorithmName HashOf(sbyte mechanism) => mechanism == 1 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA512;
}
