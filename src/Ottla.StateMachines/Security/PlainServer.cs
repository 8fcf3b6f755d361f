using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Ottla.Kernel;

namespace Ottla.StateMachines.Security;

/// <summary>
/// The users of PLAIN with a keyed hash of each password: comparing hashes takes as long for every password, and for no user.
/// </summary>
/// <remarks>Immutable; any thread may use it.</remarks>
public sealed class PlainUsers
{
    private readonly byte[] _key;
    private readonly byte[] _nobody;
    private readonly FrozenDictionary<string, byte[]> _hashes;

    /// <param name="passwords">The users.</param>
    /// <param name="key">A random key for the hashes.</param>
    public PlainUsers(IEnumerable<KeyValuePair<string, string>> passwords, byte[] key)
    {
        _key = key;
        _nobody = new byte[HMACSHA256.HashSizeInBytes];
        _hashes = passwords.ToFrozenDictionary(
            user => user.Key, user => HashOf(Encoding.UTF8.GetBytes(user.Value)), StringComparer.Ordinal);
    }

    /// <summary>Whether the user exists and this is the password.</summary>
    /// <param name="user">The user.</param>
    /// <param name="password">The password in UTF-8.</param>
    public bool Verify(string user, ReadOnlySpan<byte> password)
    {
        var isKnown = _hashes.TryGetValue(user, out var expected);
        var isEqual = CryptographicOperations.FixedTimeEquals(HashOf(password), expected ?? _nobody);
        return isKnown & isEqual;
    }

    private byte[] HashOf(ReadOnlySpan<byte> password) => HMACSHA256.HashData(_key, password);
}

/// <summary>PLAIN (RFC 4616): user and password in one message.</summary>
public sealed class PlainServer(PlainUsers users) : SaslServer
{
    private const int PartsMax = 4;

    /// <summary>More bytes of a name are not looked at: such a user does not exist.</summary>
    private const int NameBytesMax = 16 * 1024;

    /// <inheritdoc/>
    public override SaslStep Evaluate(ReadOnlySpan<byte> message, Instant now)
    {
        Span<Range> parts = stackalloc Range[PartsMax];
        var count = Split(message, parts);
        if (count != 3)
        {
            var malformed = $"Invalid SASL/PLAIN response: expected 3 tokens, got {count}";
            return SaslStep.Refuse(malformed, malformed);
        }

        var authorizationId = message[parts[0]];
        var name = message[parts[1]];
        var password = message[parts[2]];
        if (name.IsEmpty)
            return SaslStep.Refuse("Authentication failed: username not specified", "the client named no user");
        if (password.IsEmpty)
            return SaslStep.Refuse("Authentication failed: password not specified", "the client sent no password");
        var user = Encoding.UTF8.GetString(name[..Math.Min(name.Length, NameBytesMax)]);
        if (name.Length > NameBytesMax || !users.Verify(user, password))
            return SaslStep.Refuse(
                "Authentication failed: Invalid username or password", $"user {LogName.Of(user)}: unknown, or wrong password");
        // The authorization id of another user would let a client act as that user (CVE-2017-12610).
        if (!authorizationId.IsEmpty && !authorizationId.SequenceEqual(name))
            return SaslStep.Refuse(ForeignAuthorizationId, $"user {LogName.Of(user)} wants to act as another user");
        return SaslStep.Success([], new SaslIdentity(user, IsTokenAuthenticated: false, ExpiresAt: null));
    }

    /// <summary>Splits at the zero bytes; the last part has the rest.</summary>
    private static int Split(ReadOnlySpan<byte> message, Span<Range> parts)
    {
        var (count, start) = (0, 0);
        while (count < parts.Length - 1 && message[start..].IndexOf((byte)0) is >= 0 and var length)
        {
            parts[count++] = start..(start + length);
            start += length + 1;
        }

        parts[count++] = start..message.Length;
        return count;
    }
}
