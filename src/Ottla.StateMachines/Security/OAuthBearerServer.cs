using System.Text;
using Ottla.Kernel;
using Ottla.Protocol.Sasl;

namespace Ottla.StateMachines.Security;

/// <summary>What a token says, once it is verified; or why it is refused.</summary>
/// <param name="PrincipalName">Whom the token names; null when it is refused.</param>
/// <param name="ExpiresAt">When the token ends.</param>
/// <param name="Refusal">Why it is refused, for the log; it has no part of the token. Null when the token is good.</param>
public sealed record TokenVerdict(string? PrincipalName, Instant ExpiresAt, string? Refusal)
{
    /// <summary>The token is good.</summary>
    public static TokenVerdict Accept(string principalName, Instant expiresAt) => new(principalName, expiresAt, null);

    /// <summary>The token is refused.</summary>
    public static TokenVerdict Refuse(string reason) => new(null, default, reason);
}

/// <summary>Judges the tokens of OAUTHBEARER.</summary>
public interface ITokenValidator
{
    /// <summary>Judges a token. Does not wait, and does not throw whatever the token is.</summary>
    TokenVerdict Validate(string token, Instant now);
}

/// <summary>OAUTHBEARER (RFC 7628, KIP-255).</summary>
/// <remarks>
/// A refused token gets a JSON text; the client answers it with one byte, and only then the login fails. Some clients close the connection
/// instead, so the reason goes to the log when the token is judged.
/// </remarks>
public sealed class OAuthBearerServer(ITokenValidator tokens) : SaslServer
{
    private const string InvalidToken = "{\"status\":\"invalid_token\"}";

    private bool _isRefused;

    /// <inheritdoc/>
    public override SaslStep Evaluate(ReadOnlySpan<byte> message, Instant now)
    {
        if (_isRefused)
        {
            return message.SequenceEqual(OAuthBearerClientFirst.EndOfExchange)
                ? SaslStep.RefuseAsAnnounced(InvalidToken)
                : SaslStep.Refuse("the token is refused, and the client's last message is malformed");
        }

        OAuthBearerClientFirst first;
        try
        {
            first = OAuthBearerClientFirst.Parse(message);
        }
        catch (SaslFormatException e)
        {
            return SaslStep.Refuse(e.Message);
        }

        var verdict = tokens.Validate(first.Token, now);
        if (verdict.PrincipalName is not { } name)
        {
            _isRefused = true;
            return SaslStep.AskToConfirm(Encoding.ASCII.GetBytes(InvalidToken), $"the token is refused: {verdict.Refusal}");
        }

        // The authorization id of another user would let a client act as that user (CVE-2017-12610).
        if (first.AuthorizationId.Length > 0 && first.AuthorizationId != name)
        {
            return SaslStep.Refuse(
                $"Authentication failed: Client requested an authorization id ({first.AuthorizationId}) that is different from the token's "
                    + $"principal name ({name})",
                $"user {LogName.Of(name)} wants to act as another user");
        }

        return SaslStep.Success([], new SaslIdentity(name, IsTokenAuthenticated: false, verdict.ExpiresAt));
    }
}
