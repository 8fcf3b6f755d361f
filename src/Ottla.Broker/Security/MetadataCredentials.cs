using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Ottla.Broker.Directories;
using Ottla.Kernel;
using Ottla.Protocol.Sasl;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Security;

namespace Ottla.Broker.Security;

/// <summary>The users and the delegation tokens of the metadata, as SCRAM needs them. Thread-safe; lives as long as the node.</summary>
/// <param name="image">The metadata as it is now.</param>
/// <param name="tokenSecret"><c>delegation.token.secret.key</c>; null for no tokens.</param>
internal sealed class MetadataCredentials(Func<MetadataImage> image, string? tokenSecret) : IScramCredentials
{
    /// <summary>Credentials of tokens that are kept, since each takes a millisecond to make.</summary>
    private const int TokenCredentialsMax = 10_000;

    private const string UserType = "User:";

    // With a key that all nodes share, all of them make the same salt up for a name. Made when it is needed: without OpenSSL on the machine
    // a node still serves listeners that have no logins.
    private readonly Lazy<byte[]> _fakeKey = new(() => tokenSecret is null
        ? RandomNumberGenerator.GetBytes(32)
        : HMACSHA256.HashData(Encoding.UTF8.GetBytes(tokenSecret), "salts of unknown users"u8));

    private readonly DelegationTokenKey? _tokenKey = DelegationTokenKey.From(tokenSecret);
    private readonly ConcurrentDictionary<(string TokenId, sbyte Mechanism), ScramCredential> _tokenCredentials = new();

    /// <inheritdoc/>
    public ScramEntry Find(ScramMechanism mechanism, string name, bool isToken, Instant now)
    {
        var current = image();
        if (!isToken)
        {
            return current.Scram.ByUser.TryGetValue(new ScramKey(name, mechanism.Number), out var credential)
                ? new ScramEntry(credential, new SaslIdentity(name, IsTokenAuthenticated: false, ExpiresAt: null))
                : new ScramEntry(MakeUp(mechanism, name), Identity: null);
        }

        if (_tokenKey is null || !current.DelegationTokens.ById.TryGetValue(name, out var token)
            || token.ExpirationTimestampMs <= now.UnixMilliseconds || !token.Owner.StartsWith(UserType, StringComparison.Ordinal))
            return new ScramEntry(MakeUp(mechanism, name), Identity: null);
        return new ScramEntry(
            CredentialOf(_tokenKey, token, mechanism),
            new SaslIdentity(token.Owner[UserType.Length..], IsTokenAuthenticated: true, new Instant(token.ExpirationTimestampMs)));
    }

    /// <summary>The password of a token: its HMAC in base64 (KIP-48).</summary>
    private ScramCredential CredentialOf(DelegationTokenKey tokenKey, DelegationToken token, ScramMechanism mechanism)
    {
        var key = (token.TokenId, mechanism.Number);
        if (_tokenCredentials.TryGetValue(key, out var known))
            return known;
        var password = Convert.ToBase64String(tokenKey.HmacOf(token.TokenId));
        var salt = RandomNumberGenerator.GetBytes(ScramCredentials.SaltLength);
        var salted = mechanism.SaltedPassword(password, salt, ScramMechanism.IterationsMin);
        var made = new ScramCredential(
            [.. salt], [.. mechanism.StoredKey(salted)], [.. mechanism.ServerKey(salted)], ScramMechanism.IterationsMin);
        if (_tokenCredentials.Count >= TokenCredentialsMax)
            _tokenCredentials.Clear();
        _tokenCredentials[key] = made;
        return made;
    }

    /// <summary>What a client gets to see for a name that does not exist: always the same salt, as if there were a user.</summary>
    private ScramCredential MakeUp(ScramMechanism mechanism, string name)
    {
        var bytes = HMACSHA512.HashData(_fakeKey.Value, Encoding.UTF8.GetBytes($"{mechanism.Name} {name}"));
        var salt = new byte[ScramCredentials.SaltLength];
        for (var i = 0; i < salt.Length; i++)
            salt[i] = (byte)ScramCredentials.SaltAlphabet[bytes[i] % ScramCredentials.SaltAlphabet.Length];
        var keys = mechanism.Hmac(_fakeKey.Value, salt);
        return new ScramCredential([.. salt], [.. keys], [.. keys], ScramMechanism.IterationsMin);
    }
}
