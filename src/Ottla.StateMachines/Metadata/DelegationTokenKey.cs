using System.Security.Cryptography;
using System.Text;

namespace Ottla.StateMachines.Metadata;

/// <summary>
/// The key of a cluster that delegation tokens are made with (<c>delegation.token.secret.key</c>). Immutable. It is never written anywhere.
/// </summary>
public sealed class DelegationTokenKey
{
    private readonly byte[] _key;

    private DelegationTokenKey(byte[] key) => _key = key;

    /// <summary>The key of a configuration; null where there are no tokens.</summary>
    public static DelegationTokenKey? From(string? secret) =>
        string.IsNullOrEmpty(secret) ? null : new DelegationTokenKey(Encoding.UTF8.GetBytes(secret));

    /// <summary>What the holder of a token knows, besides its id: HMAC-SHA-512 of the id.</summary>
    public byte[] HmacOf(string tokenId) => HMACSHA512.HashData(_key, Encoding.UTF8.GetBytes(tokenId));

    /// <summary>The token that somebody holds; null when there is none.</summary>
    public DelegationToken? Find(DelegationTokensImage tokens, byte[] hmac)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        foreach (var token in tokens.ById.Values)
        {
            if (CryptographicOperations.FixedTimeEquals(HmacOf(token.TokenId), hmac))
                return token;
        }

        return null;
    }
}
