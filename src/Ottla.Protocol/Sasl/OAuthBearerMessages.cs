using System.Text;

namespace Ottla.Protocol.Sasl;

/// <summary>A client's first OAUTHBEARER message (RFC 7628).</summary>
/// <param name="AuthorizationId">Whom the client wants to act as; empty for whom the token names.</param>
/// <param name="Token">The token: a secret.</param>
public sealed record OAuthBearerClientFirst(string AuthorizationId, string Token)
{
    /// <summary>What a client answers to a server that refuses its token.</summary>
    public static ReadOnlySpan<byte> EndOfExchange => [Separator];

    /// <summary>The longest token that is read, in bytes. HTTP servers, which take tokens too, have lower bounds.</summary>
    public const int TokenBytesMax = 32 * 1024;

    private const byte Separator = 1;

    private const int AuthorizationIdBytesMax = 32 * 1024;

    /// <summary>The message as bytes.</summary>
    public byte[] ToBytes() => Encoding.UTF8.GetBytes(
        $"n,{(AuthorizationId.Length == 0 ? "" : $"a={AuthorizationId}")},\u0001auth=Bearer {Token}\u0001\u0001");

    /// <summary>Reads the message that a client sent.</summary>
    /// <exception cref="SaslFormatException">It is malformed, too long, or asks for channel binding.</exception>
    public static OAuthBearerClientFirst Parse(ReadOnlySpan<byte> message)
    {
        var first = message.IndexOf(Separator);
        if (first is < 0 or > AuthorizationIdBytesMax || message.Length < first + 2 || message[^1] != Separator || !Ascii.IsValid(message))
            throw Malformed();
        var authorizationId = ParseHeader(Encoding.ASCII.GetString(message[..first]));
        string? token = null;
        for (var rest = message[(first + 1)..^1]; !rest.IsEmpty;)
        {
            var end = rest.IndexOf(Separator);
            if (end < 0)
                throw Malformed();
            var pair = rest[..end];
            var equals = pair.IndexOf((byte)'=');
            if (equals < 1 || equals == pair.Length - 1 || !IsValid(pair[..equals], pair[(equals + 1)..]))
                throw Malformed();
            if (pair[..equals].SequenceEqual("auth"u8))
                token = token is null ? ParseToken(pair[(equals + 1)..]) : throw Malformed();
            rest = rest[(end + 1)..];
        }

        return new OAuthBearerClientFirst(authorizationId, token ?? throw Malformed());
    }

    /// <inheritdoc/>
    public override string ToString() => "OAUTHBEARER, first message";

    private static string ParseHeader(string header)
    {
        if (header == "n,,")
            return "";
        if (!header.StartsWith("n,a=", StringComparison.Ordinal) || header.Length < 6 || header[^1] != ','
            || header.AsSpan(4, header.Length - 5).Contains(','))
            throw Malformed();
        return ScramText.Unescape(header[4..^1]);
    }

    private static bool IsValid(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        foreach (var letter in name)
        {
            if (!char.IsAsciiLetter((char)letter))
                return false;
        }

        foreach (var letter in value)
        {
            if (letter is (< 0x20 or > 0x7e) and not ((byte)'\t' or (byte)'\r' or (byte)'\n'))
                return false;
        }

        return true;
    }

    private static string ParseToken(ReadOnlySpan<byte> value)
    {
        var scheme = "bearer "u8;
        if (value.Length < scheme.Length || !Ascii.EqualsIgnoreCase(value[..scheme.Length], scheme))
            throw Malformed();
        var token = value[scheme.Length..].TrimStart((byte)' ');
        if (token.Length > TokenBytesMax)
            throw new SaslFormatException($"The token is longer than {TokenBytesMax} bytes.");
        foreach (var letter in token.TrimEnd((byte)'='))
        {
            if (!char.IsAsciiLetterOrDigit((char)letter)
                && letter is not ((byte)'-' or (byte)'_' or (byte)'~' or (byte)'+' or (byte)'/' or (byte)'.'))
                throw Malformed();
        }

        return token.Length > 0 ? Encoding.ASCII.GetString(token) : throw Malformed();
    }

    private static SaslFormatException Malformed() => new("The client's first OAUTHBEARER message is malformed.");
}

/// <summary>The messages of PLAIN (RFC 4616).</summary>
public static class PlainMessage
{
    /// <summary>The message of a client.</summary>
    public static byte[] Encode(string userName, string password) => Encoding.UTF8.GetBytes($"\0{userName}\0{password}");
}
