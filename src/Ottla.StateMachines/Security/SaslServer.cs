using Ottla.Kernel;

namespace Ottla.StateMachines.Security;

/// <summary>Who logged in.</summary>
/// <param name="Name">The user's name.</param>
/// <param name="IsTokenAuthenticated">Whether the login was by a delegation token.</param>
/// <param name="ExpiresAt">When the credentials end; null when they do not.</param>
public sealed record SaslIdentity(string Name, bool IsTokenAuthenticated, Instant? ExpiresAt);

/// <summary>Why a login failed.</summary>
/// <param name="ClientMessage">What the client is told; null for the one text that says nothing about users.</param>
/// <param name="LogReason">What the log says. It has no secret. Null when an earlier step said it.</param>
public sealed record SaslFailure(string? ClientMessage, string? LogReason);

/// <summary>What a mechanism makes of a client's message: an answer, and perhaps the end of the login.</summary>
/// <param name="Response">The answer's bytes.</param>
/// <param name="Identity">Who logged in; null while the login goes on, and when it failed.</param>
/// <param name="Failure">Why it failed; null when it did not.</param>
public readonly record struct SaslStep(byte[] Response, SaslIdentity? Identity, SaslFailure? Failure)
{
    /// <summary>
    /// Why the login is going to fail, for the log, when the client first has to confirm it: it may leave without. Null otherwise.
    /// </summary>
    public string? ComingFailure { get; private init; }

    /// <summary>The client has to say more.</summary>
    public static SaslStep Continue(byte[] response) => new(response, null, null);

    /// <summary>The client is refused, and has to confirm that before it is told.</summary>
    public static SaslStep AskToConfirm(byte[] response, string logReason) => new(response, null, null) { ComingFailure = logReason };

    /// <summary>The client is who it says.</summary>
    public static SaslStep Success(byte[] response, SaslIdentity identity) => new(response, identity, null);

    /// <summary>The login failed, and the client is told the text that says nothing about users.</summary>
    public static SaslStep Refuse(string logReason) => new([], null, new SaslFailure(null, logReason));

    /// <summary>The login failed, and the client is told why.</summary>
    public static SaslStep Refuse(string clientMessage, string logReason) => new([], null, new SaslFailure(clientMessage, logReason));

    /// <summary>The client has confirmed a failure, whose reason the log has: it is told now.</summary>
    public static SaslStep RefuseAsAnnounced(string clientMessage) => new([], null, new SaslFailure(clientMessage, LogReason: null));
}

/// <summary>The server's side of one login by one mechanism. Pure: no socket, no clock. Used for one login.</summary>
public abstract class SaslServer
{
    /// <summary>The text for a client that asks to act as another user, which nobody may.</summary>
    protected const string ForeignAuthorizationId =
        "Authentication failed: Client requested an authorization id that is different from username";

    /// <summary>Takes the client's next message.</summary>
    public abstract SaslStep Evaluate(ReadOnlySpan<byte> message, Instant now);
}
