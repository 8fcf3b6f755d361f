using System.Buffers.Binary;
using System.Text;
using Ottla.Benchmarks.Load;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Security;

/// <summary>The requests of logins as bytes, good ones and hostile ones.</summary>
internal static class LoginFrames
{
    public const string User = "ordinary";
    public const string Password = "ordinary-secret";

    /// <summary>The longest frame that a broker takes before a login: <c>sasl.server.max.receive.size</c>.</summary>
    public const int BytesMax = 512 * 1024;

    /// <summary>The version of the frames here.</summary>
    public const short Version = 1;

    private const short ApiVersionsVersion = 3;

    /// <summary>ApiVersions, as clients begin.</summary>
    public static byte[] ApiVersions() => RequestFrame.Encode(
        new ApiVersionsRequest { ClientSoftwareName = "bench", ClientSoftwareVersion = "1" }, ApiVersionsVersion, correlationId: 0);

    /// <summary>SaslHandshake.</summary>
    public static byte[] Handshake(string mechanism) =>
        RequestFrame.Encode(new SaslHandshakeRequest { Mechanism = mechanism }, Version, correlationId: 0);

    /// <summary>SaslAuthenticate with a message of the mechanism.</summary>
    public static byte[] Authenticate(ReadOnlySpan<byte> message) =>
        RequestFrame.Encode(new SaslAuthenticateRequest { AuthBytes = message.ToArray() }, Version, correlationId: 0);

    /// <summary>The message of PLAIN.</summary>
    public static byte[] Plain(string user, string password) => Encoding.UTF8.GetBytes($"\0{user}\0{password}");

    /// <summary>The first message of SCRAM.</summary>
    public static byte[] ScramFirst() => "n,,n=ordinary,r=fyko+d2lbbFgONRv9qkxdawL"u8.ToArray();

    /// <summary>The last message of SCRAM, with a proof that is wrong.</summary>
    /// <param name="challenge">The server's message: <c>r=NONCE,s=SALT,i=ITERATIONS</c>.</param>
    public static byte[] WrongScramFinal(byte[] challenge)
    {
        var text = Encoding.ASCII.GetString(challenge);
        var nonce = text[..text.IndexOf(',', StringComparison.Ordinal)];
        return Encoding.ASCII.GetBytes($"c=biws,{nonce},p={Convert.ToBase64String(new byte[32])}");
    }

    /// <summary>The first message of OAUTHBEARER.</summary>
    public static byte[] Token(string token) => Encoding.ASCII.GetBytes($"n,,\u0001auth=Bearer {token}\u0001\u0001");

    /// <summary>A length in front of nothing.</summary>
    public static byte[] Announce(int length)
    {
        var bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, length);
        return bytes;
    }

    /// <summary>How a TLS handshake begins: a record that announces more than follows.</summary>
    public static byte[] HalfClientHello() => [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, .. new byte[64]];

    /// <summary>Logs in on a connection.</summary>
    /// <exception cref="BenchException">The broker refuses.</exception>
    public static void LogIn(LoadConnection connection)
    {
        var handshake = connection.Ask<SaslHandshakeRequest, SaslHandshakeResponse>(
            new SaslHandshakeRequest { Mechanism = "PLAIN" }, Version);
        if (handshake.ErrorCode != 0)
            throw new BenchException($"SaslHandshake was answered with {handshake.ErrorCode}.");
        var login = connection.Ask<SaslAuthenticateRequest, SaslAuthenticateResponse>(
            new SaslAuthenticateRequest { AuthBytes = Plain(User, Password) }, Version);
        if (login.ErrorCode != 0)
            throw new BenchException($"SaslAuthenticate was answered with {login.ErrorCode}: {login.ErrorMessage}");
    }
}
