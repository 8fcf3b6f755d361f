using System.Security.Cryptography;
using Ottla.Protocol.Sasl;
using Ottla.Requests.Security;

namespace Ottla.Client;

/// <summary>A way to log in. Immutable; each connection begins a login of its own.</summary>
public sealed class SaslLogin
{
    private readonly Func<SaslClient> _begin;

    private SaslLogin(string mechanism, Func<SaslClient> begin)
    {
        Mechanism = mechanism;
        _begin = begin;
    }

    /// <summary>The mechanism's name (<c>sasl.mechanism</c>).</summary>
    public string Mechanism { get; }

    /// <summary>PLAIN: name and password as they are. Only over TLS.</summary>
    public static SaslLogin Plain(string userName, string password) => new("PLAIN", () => new PlainClient(userName, password));

    /// <summary>SCRAM-SHA-256: the password is not sent.</summary>
    public static SaslLogin ScramSha256(string userName, string password) =>
        Scram(ScramMechanism.Sha256, userName, password, isToken: false);

    /// <summary>SCRAM-SHA-512: the password is not sent.</summary>
    public static SaslLogin ScramSha512(string userName, string password) =>
        Scram(ScramMechanism.Sha512, userName, password, isToken: false);

    /// <summary>A delegation token (KIP-48), by SCRAM-SHA-256.</summary>
    /// <param name="tokenId">The token's id.</param>
    /// <param name="hmac">Its HMAC in base64.</param>
    public static SaslLogin DelegationToken(string tokenId, string hmac) => Scram(ScramMechanism.Sha256, tokenId, hmac, isToken: true);

    /// <summary>OAUTHBEARER.</summary>
    /// <param name="token">Returns the token as it is now; called for every login, so it should have one at hand.</param>
    public static SaslLogin OAuthBearer(Func<string> token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return new SaslLogin("OAUTHBEARER", () => new OAuthBearerClient(token()));
    }

    internal SaslClient Begin() => _begin();

    private static SaslLogin Scram(ScramMechanism mechanism, string userName, string password, bool isToken)
    {
        const int nonceBytes = 24;
        return new SaslLogin(mechanism.Name, () => new ScramClient(
            mechanism, userName, password, isToken, Convert.ToBase64String(RandomNumberGenerator.GetBytes(nonceBytes))));
    }
}
