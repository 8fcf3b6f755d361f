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
        _hashes = passwords.ToFrozenDictionary(user => user.Key, user => HashOf(user.Value), StringComparer.Ordinal);
    }

    /// <summary>Whether the user exists and this is the password.</summary>
    public bool Verify(string user, string password)
    {
        var isKnown = _hashes.TryGetValue(user, out var expected);
        var isEqual = CryptographicOperations.FixedTimeEquals(HashOf(password), expected ?? _nobody);
        return isKnown & isEqual;
    }

    private byte[] HashOf(string password) => HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(password));
}

/// <summary>PLAIN (RFC 4616): user and password in one message.</summary>
public sealed class PlainServer(PlainUsers users) : SaslServer
{
    private const int PartsMax = 4;

    /// <inheritdoc/>
    public override SaslStep Evaluate(ReadOnlySpan<byte> message, Instant now)
    {
        var parts = Encoding.UTF8.GetString(message).Split('\0', PartsMax);
        if (parts.Length != 3)
        {
            var malformed = $"Invalid SASL/PLAIN response: expected 3 tokens, got {parts.Length}";
            return SaslStep.Refuse(malformed, malformed);
        }

        var (authorizationId, user, password) = (parts[0], parts[1], parts[2]);
        if (user.Length == 0)
            return SaslStep.Refuse("Authentication failed: username not specified", "the client named no user");
        if (password.Length == 0)
            return SaslStep.Refuse("Authentication failed: password not specified", "the client sent no password");
        if (!users.Verify(user, password))
            return SaslStep.Refuse(
                "Authentication failed: Invalid username or password", $"user {LogName.Of(user)}: unknown, or wrong password");
        // The authorization id of another user would let a client act as that user (CVE-2017-12610).
        if (authorizationId.Length > 0 && authorizationId != user)
            return SaslStep.Refuse(ForeignAuthorizationId, $"user {LogName.Of(user)} wants to act as another user");
        return SaslStep.Success([], new SaslIdentity(user, IsTokenAuthenticated: false, ExpiresAt: null));
    }
}
