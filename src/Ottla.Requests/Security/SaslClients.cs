using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;
using Ottla.Protocol.Sasl;

namespace Ottla.Requests.Security;

/// <summary>The client's side of one login by one mechanism. Pure: no socket, no clock. Used for one login.</summary>
public abstract class SaslClient
{
    /// <summary>The mechanism's name in SaslHandshake.</summary>
    public abstract string Mechanism { get; }

    /// <summary>Whether the server has shown all that it must.</summary>
    public abstract bool IsComplete { get; }

    /// <summary>The first message.</summary>
    public abstract byte[] Begin();

    /// <summary>The answer to the server's next message; null when there is nothing more to say.</summary>
    /// <exception cref="AuthenticationException">The server refuses, or is not who it should be.</exception>
    /// <exception cref="SaslFormatException">The server's message is malformed.</exception>
    public abstract byte[]? Respond(ReadOnlySpan<byte> message);
}

/// <summary>PLAIN (RFC 4616).</summary>
public sealed class PlainClient(string userName, string password) : SaslClient
{
    /// <inheritdoc/>
    public override string Mechanism => "PLAIN";

    /// <inheritdoc/>
    public override bool IsComplete => true;

    /// <inheritdoc/>
    public override byte[] Begin() => PlainMessage.Encode(userName, password);

    /// <inheritdoc/>
    public override byte[]? Respond(ReadOnlySpan<byte> message) => null;
}

/// <summary>SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802), also with a delegation token (KIP-48).</summary>
/// <param name="mechanism">The mechanism.</param>
/// <param name="userName">The user, or the token's id.</param>
/// <param name="password">The password, or the token's HMAC in base64.</param>
/// <param name="isToken">Whether it is a token.</param>
/// <param name="nonce">This side's part of the nonce: random, and new for each login.</param>
public sealed class ScramClient(ScramMechanism mechanism, string userName, string password, bool isToken, string nonce) : SaslClient
{
    /// <summary>More iterations would let a server use up this side's processor.</summary>
    private const int IterationsMax = 1_000_000;

    private readonly ScramClientFirst _first = ScramClientFirst.Create(userName, nonce, isToken);
    private byte[]? _expectedSignature;
    private bool _isComplete;

    /// <inheritdoc/>
    public override string Mechanism => mechanism.Name;

    /// <inheritdoc/>
    public override bool IsComplete => _isComplete;

    /// <inheritdoc/>
    public override byte[] Begin() => _first.ToBytes();

    /// <inheritdoc/>
    public override byte[]? Respond(ReadOnlySpan<byte> message)
    {
        if (_expectedSignature is null)
            return Prove(ScramServerFirst.Parse(message));
        var final = ScramServerFinal.Parse(message);
        if (final.Signature is null || !CryptographicOperations.FixedTimeEquals(final.Signature, _expectedSignature))
            throw new AuthenticationException("the server has not shown that it knows the password: it is not the server of this cluster");
        _isComplete = true;
        return null;
    }

    private byte[] Prove(ScramServerFirst challenge)
    {
        if (!challenge.Nonce.StartsWith(nonce, StringComparison.Ordinal) || challenge.Nonce.Length == nonce.Length)
            throw new AuthenticationException("the server's nonce does not begin with this side's nonce");
        if (challenge.Iterations is < ScramMechanism.IterationsMin or > IterationsMax)
        {
            throw new AuthenticationException(
                $"the server wants {challenge.Iterations} iterations, and {ScramMechanism.IterationsMin} to {IterationsMax} are allowed");
        }

        var salted = mechanism.SaltedPassword(password, challenge.Salt, challenge.Iterations);
        var clientKey = mechanism.ClientKey(salted);
        var withoutProof = ScramClientFinal.TextWithoutProof(challenge.Nonce);
        var signed = Encoding.ASCII.GetBytes($"{_first.Bare},{challenge.Text},{withoutProof}");
        _expectedSignature = mechanism.Hmac(mechanism.ServerKey(salted), signed);
        var proof = mechanism.Combine(clientKey, mechanism.Hmac(mechanism.Hash(clientKey), signed));
        return new ScramClientFinal(challenge.Nonce, proof, withoutProof).ToBytes();
    }
}

/// <summary>OAUTHBEARER (RFC 7628).</summary>
public sealed class OAuthBearerClient(string token) : SaslClient
{
    private bool _isComplete;

    /// <inheritdoc/>
    public override string Mechanism => "OAUTHBEARER";

    /// <inheritdoc/>
    public override bool IsComplete => _isComplete;

    /// <inheritdoc/>
    public override byte[] Begin() => new OAuthBearerClientFirst("", token).ToBytes();

    /// <inheritdoc/>
    public override byte[]? Respond(ReadOnlySpan<byte> message)
    {
        _isComplete = message.IsEmpty;
        return _isComplete ? null : OAuthBearerClientFirst.EndOfExchange.ToArray(); // the server then says why
    }
}
