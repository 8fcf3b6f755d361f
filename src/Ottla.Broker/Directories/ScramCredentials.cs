using System.Security.Cryptography;
using System.Text;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Sasl;

namespace Ottla.Broker.Directories;

/// <summary>
/// Makes SCRAM credentials (RFC 5802, RFC 7677) from passwords, and reads the arguments of <c>format --add-scram</c> (KIP-900).
/// </summary>
public static class ScramCredentials
{
    /// <summary>The length of a salt, as of those that Kafka's tools make.</summary>
    internal const int SaltLength = 26;

    /// <summary>The characters of a salt.</summary>
    internal const string SaltAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

    /// <summary>Reads an argument such as <c>SCRAM-SHA-256=[name=alice,password=secret,iterations=8192]</c>.</summary>
    /// <exception cref="FormatterException">The argument is malformed.</exception>
    public static UserScramCredentialRecord Parse(string argument)
    {
        var text = argument.Trim();
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
            throw new FormatterException($"Failed to find equals sign in SCRAM argument '{text}'");
        var mechanismName = text[..equals];
        var mechanism = ScramMechanism.Find(mechanismName)
            ?? throw new FormatterException($"The add-scram mechanism {mechanismName} is not supported.");
        var config = text[(equals + 1)..];
        if (!config.StartsWith('['))
            throw new FormatterException("Expected configuration string to start with [");
        if (!config.EndsWith(']'))
            throw new FormatterException("Expected configuration string to end with ]");
        return Parse(mechanism, Components(config[1..^1]));
    }

    private static UserScramCredentialRecord Parse(ScramMechanism mechanism, SortedDictionary<string, string> components)
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

        var iterations = ScramMechanism.IterationsMin;
        if (iterationsText is not null
            && !int.TryParse(
                iterationsText, System.Globalization.NumberStyles.AllowLeadingSign, System.Globalization.CultureInfo.InvariantCulture,
                out iterations))
            throw new FormatterException($"Failed to parse iterations count: {iterationsText}");
        if (iterations < ScramMechanism.IterationsMin)
            throw new FormatterException(
                $"The 'iterations' value must be >= {ScramMechanism.IterationsMin} for add-scram using {mechanism}");
        if (iterations > ScramMechanism.IterationsMax)
            throw new FormatterException(
                $"The 'iterations' value must be <= {ScramMechanism.IterationsMax} for add-scram using {mechanism}");
        var salt = saltText is null
            ? Encoding.ASCII.GetBytes(RandomNumberGenerator.GetString(SaltAlphabet, SaltLength))
            : Decode(saltText, "salt");
        var salted = password is null ? Decode(saltedText!, "saltedPassword") : mechanism.SaltedPassword(password, salt, iterations);
        return new UserScramCredentialRecord
        {
            Name = name,
            Mechanism = mechanism.Number,
            Salt = salt,
            StoredKey = mechanism.StoredKey(salted),
            ServerKey = mechanism.ServerKey(salted),
            Iterations = iterations,
        };

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
}
