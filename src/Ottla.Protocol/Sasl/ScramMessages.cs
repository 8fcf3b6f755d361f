using System.Globalization;
using System.Text;

namespace Ottla.Protocol.Sasl;

/// <summary>A SASL message does not have the form of its mechanism. The text names no secret, and nothing that the peer sent.</summary>
public sealed class SaslFormatException(string message) : ProtocolException(message);

/// <summary>A client's first SCRAM message.</summary>
/// <param name="AuthorizationId">Whom the client wants to act as; empty for itself.</param>
/// <param name="UserName">The user, or the id of a delegation token.</param>
/// <param name="Nonce">The client's nonce.</param>
/// <param name="IsToken">Whether the name is that of a delegation token: the extension <c>tokenauth=true</c>.</param>
/// <param name="Bare">The message without its first part, as the proof covers it.</param>
public sealed record ScramClientFirst(string AuthorizationId, string UserName, string Nonce, bool IsToken, string Bare)
{
    /// <summary>The first part of a message without channel binding, which is all that Kafka knows.</summary>
    public const string Header = "n,,";

    private const string TokenExtension = "tokenauth";

    /// <summary>Makes the message of a client.</summary>
    public static ScramClientFirst Create(string userName, string nonce, bool isToken)
    {
        var escaped = userName.Replace("=", "=3D", StringComparison.Ordinal).Replace(",", "=2C", StringComparison.Ordinal);
        return new ScramClientFirst("", userName, nonce, isToken, $"n={escaped},r={nonce}{(isToken ? $",{TokenExtension}=true" : "")}");
    }

    /// <summary>The message as bytes.</summary>
    public byte[] ToBytes() => Encoding.UTF8.GetBytes(Header + Bare);

    /// <summary>Reads the message that a client sent.</summary>
    /// <exception cref="SaslFormatException">It is malformed, or asks for channel binding.</exception>
    public static ScramClientFirst Parse(ReadOnlySpan<byte> message)
    {
        var text = ScramText.Decode(message);
        if (!text.StartsWith("n,", StringComparison.Ordinal))
            throw new SaslFormatException("The client's first SCRAM message does not begin with n, which means no channel binding.");
        var parts = text.Split(',');
        var index = 2;
        if (parts.Length > index && ScramText.IsAttribute(parts[index], 'm'))
            index++;
        if (parts.Length < index + 2 || (parts[1].Length > 0 && !ScramText.IsAttribute(parts[1], 'a'))
            || !ScramText.IsAttribute(parts[index], 'n') || !ScramText.IsAttribute(parts[index + 1], 'r'))
            throw new SaslFormatException("The client's first SCRAM message lacks the user or the nonce.");
        var isToken = false;
        foreach (var extension in parts.AsSpan(index + 2))
        {
            var (name, value) = ScramText.Extension(extension);
            isToken |= name == TokenExtension && value.Equals("true", StringComparison.OrdinalIgnoreCase);
        }

        var authorizationId = parts[1].Length == 0 ? "" : ScramText.Unescape(parts[1][2..]);
        return new ScramClientFirst(
            authorizationId, ScramText.Unescape(parts[index][2..]), ScramText.Printable(parts[index + 1][2..]), isToken,
            string.Join(',', parts[index..]));
    }
}

/// <summary>A server's first SCRAM message.</summary>
/// <param name="Nonce">The client's nonce, and the server's behind it.</param>
/// <param name="Salt">The salt of the user's password.</param>
/// <param name="Iterations">How often the password is hashed.</param>
/// <param name="Text">The message.</param>
public sealed record ScramServerFirst(string Nonce, byte[] Salt, int Iterations, string Text)
{
    /// <summary>Makes the message of a server.</summary>
    public static ScramServerFirst Create(string nonce, byte[] salt, int iterations) =>
        new(nonce, salt, iterations, string.Create(
            CultureInfo.InvariantCulture, $"r={nonce},s={Convert.ToBase64String(salt)},i={iterations}"));

    /// <summary>Reads the message that a server sent.</summary>
    /// <exception cref="SaslFormatException">It is malformed.</exception>
    public static ScramServerFirst Parse(ReadOnlySpan<byte> message)
    {
        var text = ScramText.Decode(message);
        var parts = text.Split(',');
        var index = ScramText.IsAttribute(parts[0], 'm') ? 1 : 0;
        if (parts.Length < index + 3 || !ScramText.IsAttribute(parts[index], 'r') || !ScramText.IsAttribute(parts[index + 1], 's')
            || !ScramText.IsAttribute(parts[index + 2], 'i')
            || !int.TryParse(parts[index + 2].AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var iterations))
            throw new SaslFormatException("The server's first SCRAM message lacks the nonce, the salt or the iterations.");
        return new ScramServerFirst(
            ScramText.Printable(parts[index][2..]), ScramText.Base64(parts[index + 1][2..]), iterations, text);
    }
}

/// <summary>A client's last SCRAM message.</summary>
/// <param name="Nonce">The nonce of both sides.</param>
/// <param name="Proof">What shows that the client knows the password.</param>
/// <param name="WithoutProof">The message without the proof, which the proof covers.</param>
public sealed record ScramClientFinal(string Nonce, byte[] Proof, string WithoutProof)
{
    /// <summary>What a client says before its proof.</summary>
    public static string TextWithoutProof(string nonce) =>
        $"c={Convert.ToBase64String(Encoding.ASCII.GetBytes(ScramClientFirst.Header))},r={nonce}";

    /// <summary>The message as bytes.</summary>
    public byte[] ToBytes() => Encoding.UTF8.GetBytes($"{WithoutProof},p={Convert.ToBase64String(Proof)}");

    /// <summary>Reads the message that a client sent.</summary>
    /// <exception cref="SaslFormatException">It is malformed.</exception>
    public static ScramClientFinal Parse(ReadOnlySpan<byte> message)
    {
        var text = ScramText.Decode(message);
        var parts = text.Split(',');
        if (parts.Length < 3 || !ScramText.IsAttribute(parts[0], 'c') || !ScramText.IsAttribute(parts[1], 'r')
            || !ScramText.IsAttribute(parts[^1], 'p'))
            throw new SaslFormatException("The client's last SCRAM message lacks the channel, the nonce or the proof.");
        ScramText.Base64(parts[0][2..]);
        foreach (var extension in parts.AsSpan(2..^1))
            ScramText.Extension(extension);
        return new ScramClientFinal(
            ScramText.Printable(parts[1][2..]), ScramText.Base64(parts[^1][2..]), text[..text.LastIndexOf(',')]);
    }
}

/// <summary>A server's last SCRAM message: its signature, or an error.</summary>
/// <param name="Signature">What shows that the server knows the password; null when it refuses.</param>
public sealed record ScramServerFinal(byte[]? Signature)
{
    /// <summary>The message as bytes.</summary>
    public byte[] ToBytes() => Encoding.ASCII.GetBytes($"v={Convert.ToBase64String(Signature ?? [])}");

    /// <summary>Reads the message that a server sent.</summary>
    /// <exception cref="SaslFormatException">It is malformed.</exception>
    public static ScramServerFinal Parse(ReadOnlySpan<byte> message)
    {
        var first = ScramText.Decode(message).Split(',')[0];
        if (ScramText.IsAttribute(first, 'e'))
            return new ScramServerFinal((byte[]?)null);
        return ScramText.IsAttribute(first, 'v')
            ? new ScramServerFinal(ScramText.Base64(first[2..]))
            : throw new SaslFormatException("The server's last SCRAM message lacks the signature.");
    }
}

/// <summary>The parts of SCRAM messages.</summary>
internal static class ScramText
{
    /// <summary>No message of SCRAM is longer.</summary>
    private const int BytesMax = 64 * 1024;

    /// <summary>A message as text, all of it ASCII without NUL, as Kafka demands.</summary>
    public static string Decode(ReadOnlySpan<byte> message)
    {
        if (message.Length > BytesMax || message.Contains((byte)0) || !Ascii.IsValid(message))
            throw new SaslFormatException("A SCRAM message has bytes that are not ASCII, or is too long.");
        return Encoding.ASCII.GetString(message);
    }

    /// <summary>Whether a part has the form <c>x=value</c>, with a value.</summary>
    public static bool IsAttribute(string part, char name) => part.Length > 2 && part[0] == name && part[1] == '=';

    /// <summary>The name and the value of an extension.</summary>
    public static (string Name, string Value) Extension(string part)
    {
        var equals = part.IndexOf('=', StringComparison.Ordinal);
        if (equals < 1 || equals == part.Length - 1 || !part.AsSpan(0, equals).ContainsOnlyLetters())
            throw new SaslFormatException("An extension of a SCRAM message has not the form name=value.");
        return (part[..equals], part[(equals + 1)..]);
    }

    /// <summary>A name with its escapes resolved.</summary>
    public static string Unescape(string name)
    {
        var text = name.Replace("=2C", ",", StringComparison.Ordinal);
        if (text.Replace("=3D", "", StringComparison.Ordinal).Contains('=', StringComparison.Ordinal))
            throw new SaslFormatException("A name in a SCRAM message has an equals sign that is not escaped.");
        return text.Replace("=3D", "=", StringComparison.Ordinal);
    }

    /// <summary>A value without blanks and control characters.</summary>
    public static string Printable(string value) => value.AsSpan().ContainsAnyExceptInRange('!', '~')
        ? throw new SaslFormatException("A nonce in a SCRAM message has a character that is not allowed.")
        : value;

    public static byte[] Base64(string value)
    {
        var bytes = new byte[(value.Length * 3 / 4) + 3];
        return Convert.TryFromBase64String(value, bytes, out var count)
            ? bytes[..count]
            : throw new SaslFormatException("A value in a SCRAM message is not base64.");
    }

    private static bool ContainsOnlyLetters(this ReadOnlySpan<char> text)
    {
        foreach (var letter in text)
        {
            if (!char.IsAsciiLetter(letter))
                return false;
        }

        return true;
    }
}
